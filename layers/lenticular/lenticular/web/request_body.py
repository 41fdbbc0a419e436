"""Request bodies, whose length is checked before and while they arrive."""

from collections.abc import AsyncIterator

from fastapi import Request

from lenticular import errors
from lenticular.web.responses import payload_limit


def require_body(request: Request, maximum: int) -> AsyncIterator[bytes]:
    """Return the pieces of the body; refuse it if it has no length, is empty or too large.

    The checks that need only the headers are made at once, before a byte is read.
    """
    length = request.headers.get("content-length")
    if length is None and "transfer-encoding" not in request.headers:
        raise errors.LengthRequired("Send the body with its Content-Length, or in chunks.")
    if length is not None and int(length) == 0:
        raise errors.InvalidRequest("The body is empty, so there is nothing to store.")
    if length is not None and payload_limit.exceeds(request, int(length)):
        raise payload_limit.too_large_to_take(request)
    if length is not None and int(length) > maximum:
        raise _too_large(maximum)
    return _pieces(request, maximum)


def refuse_encoded(request: Request) -> None:
    """Refuse a body with a Content-Encoding, which the multipart reader cannot read."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise errors.UnsupportedMedia(f"Send the body as it is, without {encoding!r} encoding.")


async def _pieces(request: Request, maximum: int) -> AsyncIterator[bytes]:
    """Yield the pieces of the body; refuse it if it becomes too large."""
    received = 0
    async for piece in request.stream():
        received += len(piece)
        if payload_limit.exceeds(request, received):
            raise payload_limit.too_large_to_take(request)
        if received > maximum:
            raise _too_large(maximum)
        if piece:
            yield piece
    if not received:
        raise errors.InvalidRequest("The body is empty, so there is nothing to store.")


def _too_large(maximum: int) -> errors.TooLarge:
    """Return the refusal of a body above `maximum`."""
    return errors.TooLarge(
        f"One request may carry at most {maximum:,} bytes; send fewer instances at a time,"
        " or put the files into the drop folder."
    )
