"""Corrections of LocalStack's API Gateway where it differs from AWS's and tests would see it."""

from localstack.aws.handlers.codec import ContentDecoder
from localstack.runtime import hooks

EVERY_TYPE = "*/*"


@hooks.on_infra_start()
def be_as_on_aws():
    """Take `*/*` for every media type, and leave the bodies of requests as they were sent."""
    from localstack.services.apigateway.next_gen.execute_api.integrations import aws

    matches = aws.mime_type_matches_binary_media_types

    def matches_every_type_too(mime_type, binary_media_types):
        return EVERY_TYPE in binary_media_types or matches(mime_type, binary_media_types)

    aws.mime_type_matches_binary_media_types = matches_every_type_too
    decode = ContentDecoder.__call__

    def decode_for_aws_alone(self, chain, context, response):
        # API Gateway inflates nothing, unless it is told to compress.
        if not is_for_an_api(context.request):
            decode(self, chain, context, response)

    ContentDecoder.__call__ = decode_for_aws_alone


def is_for_an_api(request):
    """Return True if a request is for a deployed API and not for a service of AWS."""
    return ".execute-api." in request.host or request.path.startswith("/_aws/execute-api/")
