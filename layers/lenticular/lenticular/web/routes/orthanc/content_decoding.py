"""The body of `POST /instances`: decompressed if it has a Content-Encoding, up to a limit."""

import zlib
from collections.abc import AsyncIterator, Iterator

from fastapi import Request

from lenticular import errors
from lenticular.transactions.ingest.zip_reader import check_expansion
from lenticular.web.request_body import require_body

PIECE_BYTES = 1024 * 1024
ENCODINGS = ("gzip", "x-gzip", "deflate")
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


async def body_of(request: Request, maximum: int) -> AsyncIterator[bytes]:
    """Yield the pieces of the body, decompressed; refuse an empty one and one above `maximum`."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    try:
        pieces = require_body(request, maximum)
        if encoding in ENCODINGS:
            pieces = _unpacked(pieces, maximum)
        elif encoding != "identity":
            raise errors.InvalidInstance(f"The Content-Encoding {encoding!r} is not understood.")
        async for piece in pieces:
            yield piece
    except (errors.InvalidRequest, errors.LengthRequired):
        # Orthanc's clients expect the status of a bad file for an empty body.
        raise errors.InvalidInstance("Received an empty DICOM file") from None


async def _unpacked(pieces: AsyncIterator[bytes], maximum: int) -> AsyncIterator[bytes]:
    """Yield the decompressed body in pieces."""
    inflater = Inflater(maximum)
    async for piece in pieces:
        for content in inflater.feed(piece):
            yield content
    inflater.finish()


class Inflater:
    """Unpacks gzip and deflate a bounded piece at a time (RFC 9110 8.4.1)."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._received = self._unpacked = 0
        self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the bytes that a piece unpacks to."""
        self._received += len(piece)
        rest, content = piece, b""
        # A full piece may not be all that the input so far gives.
        while rest or len(content) == PIECE_BYTES:
            if self._inflater.eof:  # gzip may have several members
                if not rest:
                    return
                self._inflater = zlib.decompressobj(_GZIP_OR_ZLIB)
            content, rest = self._step(rest)
            if content:
                yield content

    def finish(self) -> None:
        """Refuse a stream that was cut off."""
        if not self._inflater.eof:
            raise errors.InvalidInstance("The body ends before its Content-Encoding does.")

    def _step(self, packed: bytes) -> tuple[bytes, bytes]:
        """Return a piece of the content, and what is left to unpack."""
        try:
            content = self._inflater.decompress(packed, PIECE_BYTES)
        except zlib.error as error:
            raise errors.InvalidInstance("The body is not what its encoding says.") from error
        self._unpacked += len(content)
        if self._unpacked > self._maximum:
            raise errors.TooLarge(f"The body unpacks to more than {self._maximum:,} bytes.")
        check_expansion(self._received, self._unpacked)
        return content, self._inflater.unconsumed_tail or self._inflater.unused_data
