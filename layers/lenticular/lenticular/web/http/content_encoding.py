"""Responses as gzip where it pays, RFC 9110 8.4 and 12.5.3: JSON and XML, never DICOM or pictures.

At the quickest level: the others gain nothing on a local network, and hardly anything on a slow
line.
"""

import re
import zlib
from collections.abc import Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response

from lenticular.web.http.media_types import MULTIPART_RELATED, TEXTS

AT_LEAST = 16 * 1024
"""A smaller body fits into the first round trip of a connection (RFC 6928)."""

_LEVEL = 1
_GZIP = 16 + zlib.MAX_WBITS
_NAMES = "|".join(map(re.escape, TEXTS))
_TEXT = re.compile(rf'({_NAMES})(;|$)|{MULTIPART_RELATED}; type="({_NAMES})"')
_CODING = re.compile(r"\s*(gzip|x-gzip|\*)\s*(?:;\s*q=([0-9.]+)\s*)?", re.I)


def is_worth_gzip(request: Request, headers: dict[str, str], size: int | None) -> bool:
    """Return True if the client accepts gzip, and a body of this size (None: large) gains by it.

    A range is one of the bytes as they are.
    """
    return (
        (size is None or size >= AT_LEAST)
        and _TEXT.match(headers.get("content-type", "")) is not None
        and "content-range" not in headers
        and "content-encoding" not in headers
        and _takes_gzip(",".join(request.headers.getlist("accept-encoding")))
    )


def respond_maybe_gzip(
    request: Request, status: int, headers: dict[str, str], body: bytes
) -> Response:
    """Return the response whose body this is, as gzip if that pays."""
    if status == 200 and is_worth_gzip(request, headers, len(body)):
        body, headers = b"".join(gzipped([body])), gzip_headers(headers)
    return Response(body, status, headers)


def gzip_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return the headers for the response as gzip: without its length, and with a weak ETag."""
    rest = {name: value for name, value in headers.items() if name != "content-length"}
    etag = rest.get("etag", "")
    if etag.startswith('"'):
        rest["etag"] = f"W/{etag}"
    return {**rest, "content-encoding": "gzip"}


def gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces as one gzip stream."""
    packer = zlib.compressobj(_LEVEL, wbits=_GZIP)
    for piece in pieces:
        if packed := packer.compress(piece):
            yield packed
    yield packer.flush()


def _takes_gzip(accept_encoding: str) -> bool:
    """Return True if an Accept-Encoding header allows gzip."""
    weights: dict[str, float] = {}
    for element in accept_encoding.split(","):
        match = _CODING.fullmatch(element)
        if match is not None:
            weights[match[1].lower()] = _weight(match[2])
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0


def _weight(text: str | None) -> float:
    try:
        return float(text or "1")
    except ValueError:
        return 0.0
