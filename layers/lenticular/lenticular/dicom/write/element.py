"""Elements in Explicit VR Little Endian, PS3.5 7.1.2: sizes first, then bytes piece by piece.

Values may be files of any size: they are read when they are written, a megabyte at a time. Every
value has an even length (PS3.5 7.1.1); only this module adds the padding of its VR.
"""

import struct
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import SEEK_END, BufferedIOBase
from itertools import accumulate

from lenticular.dicom.read.element_encoding import (
    ITEM_BYTES,
    LONGEST_LENGTH,
    SEQUENCE_END_BYTES,
    UNDEFINED,
)
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN
from lenticular.dicom.write.vr_encode import padding
from lenticular.errors import InvalidInstance

PIECE_BYTES = 1024 * 1024
_LONGEST_SHORT = 0xFFFE
_SHORT_HEADER = struct.Struct("<HH2sH").pack
_LONG_HEADER = struct.Struct("<HH2sHI").pack
_SEQUENCE_END = SEQUENCE_END_BYTES + bytes(4)


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Compressed frames, PS3.5 A.4, each in one fragment, with a Basic Offset Table."""

    frames: Sequence[BufferedIOBase]

    def pieces(self) -> Iterator[bytes]:
        """Return the value and its delimiter in pieces."""
        sizes = [_frame_size(frame) for frame in self.frames]
        offsets = list(accumulate((8 + size + size % 2 for size in sizes), initial=0))[:-1]
        table = array("I", offsets).tobytes() if offsets and offsets[-1] < LONGEST_LENGTH else b""
        yield ITEM_BYTES + len(table).to_bytes(4, "little") + table
        for frame, size in zip(self.frames, sizes, strict=True):
            yield ITEM_BYTES + (size + size % 2).to_bytes(4, "little")
            yield from _file_pieces(frame)
            if size % 2:
                yield b"\0"
        yield _SEQUENCE_END


@dataclass(frozen=True)
class WritableElement:
    """An element as it is written; a sequence has its items as value."""

    tag: str
    vr: str
    value: "bytes | BufferedIOBase | Encapsulated | tuple[tuple[WritableElement, ...], ...]"

    @cached_property
    def written_vr(self) -> str:
        """The VR in the header: UN if the VR's own header cannot hold the length (PS3.5 6.2.2)."""
        is_long = self.length > _LONGEST_SHORT and not LITTLE_ENDIAN[self.vr].has_long_header
        return "UN" if is_long else self.vr

    @cached_property
    def size(self) -> int:
        """The bytes of the value without its padding, or of all its items."""
        if isinstance(self.value, bytes):
            return len(self.value)
        if isinstance(self.value, tuple):
            return sum(8 + _size_of_all(item) for item in self.value)
        return 0 if isinstance(self.value, Encapsulated) else file_size(self.value)

    @cached_property
    def length(self) -> int:
        """The length in the header."""
        if isinstance(self.value, Encapsulated):
            return UNDEFINED
        length = self.size + self.size % 2
        if length > LONGEST_LENGTH:
            raise InvalidInstance(f"The value of {self.tag} has 4 GB or more (PS3.5 7.1).")
        return length

    def value_pieces(self) -> Iterator[bytes]:
        """Return the value in pieces, padded to an even length."""
        if isinstance(self.value, Encapsulated):
            yield from self.value.pieces()
        elif isinstance(self.value, tuple):
            for item in self.value:
                yield ITEM_BYTES + _size_of_all(item).to_bytes(4, "little")
                for element in item:
                    yield from element.pieces()
        else:
            yield from (self.value,) if isinstance(self.value, bytes) else _file_pieces(self.value)
            if self.size % 2:
                yield padding(self.vr)

    def pieces(self) -> Iterator[bytes]:
        """Return header and value in pieces."""
        group, number = int(self.tag[:4], 16), int(self.tag[4:], 16)
        vr = self.written_vr
        if LITTLE_ENDIAN[vr].has_long_header:
            yield _LONG_HEADER(group, number, vr.encode(), 0, self.length)
        else:
            yield _SHORT_HEADER(group, number, vr.encode(), self.length)
        yield from self.value_pieces()

    @cached_property
    def written_size(self) -> int:
        """The bytes of header and value."""
        return (12 if LITTLE_ENDIAN[self.written_vr].has_long_header else 8) + self.length


def file_size(file: BufferedIOBase) -> int:
    """Return the size of a file."""
    return file.seek(0, SEEK_END)


def _size_of_all(elements: Sequence[WritableElement]) -> int:
    """Return the bytes of all elements."""
    return sum(element.written_size for element in elements)


def _frame_size(frame: BufferedIOBase) -> int:
    """Return the size of a frame; refuse one that is too large."""
    size = file_size(frame)
    if size >= LONGEST_LENGTH:
        raise InvalidInstance("A frame of 4 GB or more cannot be written (PS3.5 A.4).")
    return size


def _file_pieces(file: BufferedIOBase) -> Iterator[bytes]:
    """Yield a file in pieces."""
    # From its start each time: several elements may share a value, and it is read back later.
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
