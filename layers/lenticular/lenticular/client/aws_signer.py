"""Signature Version 4 of AWS, which the default authoriser of the stack requires."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from lenticular.client.connection import UploadFailed
from lenticular.client.streamed_body import Body

SERVICE = "execute-api"


class Signer:
    """Signs requests with the AWS credentials of this machine: environment, profile or role."""

    def __init__(self, url: str) -> None:
        try:
            from botocore.session import Session
        except ImportError as error:
            raise UploadFailed("--sign needs botocore: pip install 'lenticular[aws]'.") from error
        session = Session()
        credentials = session.get_credentials()
        if credentials is None:
            raise UploadFailed("--sign finds no AWS credentials (environment, profile or role).")
        self._credentials = credentials
        named = re.search(r"\.execute-api\.([a-z0-9-]+)\.", urlsplit(url).netloc)
        region = named[1] if named else session.get_config_variable("region")
        if not region:
            raise UploadFailed("--sign needs a region: set AWS_DEFAULT_REGION.")
        self._region = str(region)

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | Body | None
    ) -> dict[str, str]:
        """Return the headers of this request together with its signature."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        request = AWSRequest(method, url, dict(headers), body or b"")
        # Temporary credentials are renewed by asking for them each time.
        SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(
            request
        )
        return dict(request.headers.items())
