"""Signature Version 4 for `requests` and for what is built on it, such as dicomweb-client.

A response above the payload limit is a redirect to a presigned URL of S3. On the way there
`requests` drops the Authorization header, and keeps `X-Amz-Date` and `X-Amz-Security-Token`, which
S3 refuses beside a presigned URL. So redirects to another host are followed here, without them.
"""

from typing import Any
from urllib.parse import urljoin, urlsplit

from lenticular.client.aws_signer import Signer

_REDIRECTS = (301, 302, 303, 307, 308)
_DROPPED = ("authorization", "x-amz-", "content-", "host", "cookie")


class SignedRequests:
    """Credentials for `requests`: `session.auth = SignedRequests(url)`."""

    def __init__(self, url: str) -> None:
        self._signer = Signer(url)
        self._host = urlsplit(url).netloc

    def __call__(self, request: Any) -> Any:
        """Sign a prepared request of `requests`, and follow its redirects to other hosts."""
        if urlsplit(request.url).netloc == self._host:
            body = request.body.encode() if isinstance(request.body, str) else request.body
            # `requests` adds headers that proxies may change; the signature covers only these.
            plain = {
                name: value
                for name, value in request.headers.items()
                if name.lower() in ("content-type", "host")
            }
            signed = self._signer.headers(request.method, request.url, plain, body)
            request.headers.update(signed)
            request.register_hook("response", self._follow)
        return request

    def _follow(self, response: Any, **options: Any) -> Any:
        """Return the response of the storage in place of a redirect to it."""
        location = response.headers.get("Location")
        if response.status_code not in _REDIRECTS or not location:
            return response
        url = urljoin(response.url, location)
        if urlsplit(url).netloc == self._host:
            return response
        request = response.request.copy()
        request.hooks["response"] = []
        request.prepare_method("GET")
        request.prepare_body(None, None)
        for name in list(request.headers):
            if name.lower().startswith(_DROPPED):
                del request.headers[name]
        # The URL is signed as it is, so nothing in it may be quoted anew.
        request.url = url
        connection = response.connection
        response.close()
        found = connection.send(request, **options)
        found.history = [*response.history, response]
        return found
