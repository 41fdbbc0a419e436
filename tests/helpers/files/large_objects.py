"""Large multi-frame objects, made in pieces as they are read."""

import hashlib
from collections.abc import Iterator

from tests.helpers import samples

MEGABYTE = 1024 * 1024


MEMORY = 300 * MEGABYTE


ROWS = COLUMNS = 1024  # a frame is a megabyte


def frame(number: int) -> bytes:
    """A megabyte that tells its number."""
    return number.to_bytes(4, "little") * (MEGABYTE // 4)


def large_object(study: str, frames: int) -> Iterator[bytes]:
    """A native 8-bit multi-frame object in pieces, made as it is read."""
    base = samples.dataset(study, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2", Modality="OT")
    base.Rows, base.Columns, base.NumberOfFrames = ROWS, COLUMNS, frames
    base.BitsAllocated, base.BitsStored, base.HighBit, base.PixelRepresentation = 8, 8, 7, 0
    base.SamplesPerPixel, base.PhotometricInterpretation = 1, "MONOCHROME2"
    length = (frames * MEGABYTE).to_bytes(4, "little")
    yield samples.encode(base) + b"\xe0\x7f\x10\x00OB\0\0" + length
    for number in range(1, frames + 1):
        yield frame(number)


def checksum(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
