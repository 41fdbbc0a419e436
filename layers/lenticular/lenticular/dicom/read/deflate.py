"""The deflated data set of a file, PS3.5 A.5, inflated piece by piece.

The standard's stream is a raw one (RFC 1951). Streams with a zlib or gzip header are read too, and
so is a data set that is not deflated although its file says so.
"""

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from lenticular.dicom.read.element_encoding import EXPLICIT_LITTLE
from lenticular.errors import FailureReason, InvalidInstance

PIECE = 64 * 1024
MAX_INFLATED = 1024 * 1024 * 1024
FREE_INFLATED, MAX_RATIO = 64 * 1024 * 1024, 100
"""A data set may grow to this size in any case, and beyond it a hundredfold."""

_RAW, _ZLIB_OR_GZIP = -zlib.MAX_WBITS, 32 + zlib.MAX_WBITS
_DAMAGED = "The deflated data set is damaged."


def inflated(data: memoryview, start: int) -> bytearray:
    """Return the file with its data set, which begins at `start`, inflated."""
    limit = max(FREE_INFLATED, (len(data) - start) * MAX_RATIO)
    whole = bytearray(data[:start])
    slices = (data[at : at + PIECE] for at in range(start, len(data), PIECE))
    for piece in inflated_pieces(slices, limit):
        whole += piece
    return whole


def inflated_pieces(
    pieces: Iterable[bytes | memoryview], limit: int | None = None
) -> Iterator[bytes]:
    """Yield the inflated bytes of a data set; raise InvalidInstance if there are too many."""
    limit = min(limit or MAX_INFLATED, MAX_INFLATED)
    rest = iter(pieces)
    begin = bytes(next(rest, b""))
    inflater = _inflater(begin)
    size = 0
    for piece in chain([begin], rest):
        for inflated_piece in [bytes(piece)] if inflater is None else _inflate(inflater, piece):
            size += len(inflated_piece)
            if size > limit:
                problem = f"The deflated data set grows beyond {limit:,} bytes."
                raise InvalidInstance(problem, FailureReason.OUT_OF_RESOURCES)
            yield inflated_piece
    if inflater is not None and not inflater.eof:
        raise InvalidInstance("The file is cut off: its deflated data set does not end.")


def _inflate(inflater: "zlib._Decompress", piece: bytes | memoryview) -> Iterator[bytes]:
    """Yield the inflated bytes of a piece."""
    try:
        while not inflater.eof:
            found = inflater.decompress(piece, PIECE)
            if found:
                yield found
            piece = inflater.unconsumed_tail
            if not piece and len(found) < PIECE:  # else it may hold more of what it has read
                return
    except zlib.error as error:
        raise InvalidInstance(_DAMAGED) from error


def _inflater(begin: bytes) -> "zlib._Decompress | None":
    """Return the inflater for a stream with this beginning; None if it is not deflated."""
    for wrapping in (_RAW, _ZLIB_OR_GZIP):
        try:
            zlib.decompressobj(wrapping).decompress(begin, 1)
        except zlib.error:
            continue
        return zlib.decompressobj(wrapping)
    if begin[:2] == b"\x08\x00" and begin[4:6] in EXPLICIT_LITTLE.codecs_by_code:
        return None
    raise InvalidInstance(_DAMAGED)
