"""How the elements of a data set are written: byte order, and whether VRs are, PS3.5 7 and A."""

import struct

from lenticular.dicom import values
from lenticular.dicom.values import Kind
from lenticular.errors import InvalidInstance

UNDEFINED = 0xFFFFFFFF
"""The length of what ends at a delimiter."""

DELIMITERS = 0xFFFE
ITEM = 0xFFFEE000
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD


class Damaged(InvalidInstance):
    """The bytes are no data set from here on."""


def cut_off(what: str, stop: int, end: int) -> Damaged:
    """Something claims to be longer than what holds it."""
    return Damaged(f"The file is cut off or damaged: {what} runs to byte {stop:,} of {end:,}.")


class Coding:
    """One way to write elements."""

    def __init__(self, order: str, explicit: bool) -> None:
        self.order = order
        self.explicit = explicit
        self.kinds = values.LITTLE_ENDIAN if order == "<" else values.BIG_ENDIAN
        self.kinds_by_code = {vr.encode(): kind for vr, kind in self.kinds.items()}
        self.unknown = self.kinds["UN"]
        self.header = struct.Struct(order + "HH2sH").unpack_from
        self.tag_and_length = struct.Struct(order + "HHI").unpack_from
        self.length = struct.Struct(order + "I").unpack_from

    def tag_at(self, data: memoryview, position: int) -> tuple[int, int]:
        """The tag and the 32 bit length at a place; items and implicit elements begin so."""
        group, number, length = self.tag_and_length(data, position)
        return group << 16 | number, length

    def explicit_header(
        self, data: memoryview, position: int, end: int
    ) -> "tuple[Kind, Coding, int, int]":
        """Kind, coding of the value, start and length of an element in Explicit VR."""
        _, _, code, length = self.header(data, position)
        kind = self.kinds_by_code.get(code)
        if kind is None:
            return self._irregular_header(data, position, end)
        if not kind.has_long_header:
            return kind, self, position + 8, length
        if position + 12 > end:
            raise cut_off("an element's header", position + 12, end)
        (length,) = self.length(data, position + 8)
        # What a sender did not know it passed on as it came, which is implicit (PS3.5 6.2.2).
        return kind, IMPLICIT_LITTLE if kind.vr == "UN" else self, position + 12, length

    def _irregular_header(
        self, data: memoryview, position: int, end: int
    ) -> "tuple[Kind, Coding, int, int]":
        """The same of an element whose VR is none we know.

        A VR of two capitals is of a later standard (PS3.5 6.2). With anything else someone wrote
        an implicit element among explicit ones, and its 32 bit length has to make sense.
        """
        coding = IMPLICIT_LITTLE if self.order == "<" else IMPLICIT_BIG
        code = bytes(data[position + 4 : position + 6])
        start, (length,) = position + 8, self.length(data, position + 4)
        if code.isalpha() and code.isupper():
            coding, length = IMPLICIT_LITTLE, self.header(data, position)[3]
            if not length and position + 12 <= end:
                start, (length,) = position + 12, self.length(data, position + 8)
        if length != UNDEFINED and start + length > end:
            raise cut_off("an element without a known VR", start + length, end)
        return self.unknown, coding, start, length


IMPLICIT_LITTLE = Coding("<", explicit=False)
EXPLICIT_LITTLE = Coding("<", explicit=True)
IMPLICIT_BIG = Coding(">", explicit=False)
EXPLICIT_BIG = Coding(">", explicit=True)
