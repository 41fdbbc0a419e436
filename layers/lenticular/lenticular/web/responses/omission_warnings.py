"""Responses that leave parts out: 206 and a Warning for each (PS3.18 8.5 and 10.4.3)."""

from collections.abc import Iterable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lenticular.transactions.retrieve.omissions import Omissions
from lenticular.web.http import content_encoding
from lenticular.web.request_context import base_url


def respond_whole(
    request: Request, status: int, headers: dict[str, str], body: bytes, omissions: Omissions
) -> Response:
    """Respond with a body that is made already; 206 if something is left out of it."""
    if omissions:
        status, headers = 206, without_etag(headers)
    response = content_encoding.respond_maybe_gzip(request, status, headers, body)
    return warn_of(request, response, omissions.sentences())


def respond_streaming(
    request: Request,
    status: int,
    headers: dict[str, str],
    pieces: Iterable[bytes],
    omissions: Omissions,
) -> Response:
    """Respond with a body that is made while it is sent: nothing more can be left out of it."""
    if omissions:
        status, headers = 206, without_etag(headers)
    omissions.status_is_sent()
    response = StreamingResponse(pieces, status, headers)
    return warn_of(request, response, omissions.sentences())


def warn_of(request: Request, response: Response, sentences: Iterable[str]) -> Response:
    """Add a Warning header for each sentence (PS3.18 8.4.3)."""
    service = base_url(request)
    for sentence in sentences:
        text = sentence.encode("ascii", "replace").decode()
        response.headers.append("Warning", f"299 {service}: {text}")
    return response


def without_etag(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers without the ETag: the response may be complete the next time."""
    return {name: value for name, value in headers.items() if name != "etag"}
