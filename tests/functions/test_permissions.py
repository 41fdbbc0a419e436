"""The functions do with their roles and in their network what they have to: nothing is denied.

All tests of this folder run with the roles of the translated template in force, so that what a
function may not do fails in its own test.
"""

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.helpers import samples
from tests.helpers.aws import roles

DICOM = "application/dicom"


def test_what_a_role_does_not_allow_is_denied_as_on_aws(recorder, storage):
    with pytest.raises(ClientError, match="DicomwebFunction may not s3:PutObject"):
        recorder.of_function(
            "DicomwebFunction",
            lambda: storage.client.put_object(Bucket=storage.bucket, Key="instances/a", Body=b""),
        )()


def test_a_service_without_an_endpoint_is_not_reached_from_the_network(recorder):
    secrets = boto3.client("secretsmanager")

    with pytest.raises(EndpointConnectionError):
        recorder.of_function(
            "UploadFunction", lambda: secrets.get_secret_value(SecretId="administrator")
        )()


@pytest.mark.parametrize("function", ["UploadFunction", "IngestFunction"])
def test_what_stores_may_look_at_the_file_of_what_is_stored_again(function):
    """It may have been lost, and what comes again takes its place."""
    key = "arn:aws:s3:::Bucket/instances/abc/1.2/1.2.3/1.2.3.4-0.dcm"

    assert any(each.covers("s3:GetObject", key) for each in roles.permissions(function))


def test_an_instance_that_is_stored_again_is_stored(functions):
    content = samples.ct("stored again")

    for _ in range(2):
        answer = functions.call("upload", "POST", "/dicom-web/studies", content, content_type=DICOM)
        assert answer.status == 200, answer.content
