"""The items that hold encapsulated pixels, PS3.5 A.4."""

import struct
from array import array
from dataclasses import dataclass

from lenticular.dicom.read.element_encoding import (
    DELIMITERS,
    ITEM,
    SEQUENCE_END,
    TRAILING_PADDING,
    Damaged,
    Encoding,
    cut_off,
    only_zeros,
)
from lenticular.errors import FailureReason

_ITEM_NUMBER = ITEM & 0xFFFF

MAX_FRAGMENTS = 4_000_000


@dataclass(frozen=True, slots=True)
class Fragments:
    """Positions of the items' headers, of the end of the last item, and of the bytes behind it.

    The first item is the Basic Offset Table. `is_closed` is True if a delimiter came.
    """

    items: "array[int]"
    stop: int
    following: int
    is_closed: bool


def scan(data: memoryview, start: int, end: int, coding: Encoding) -> Fragments:
    """Return the positions of all items, reading only their headers."""
    unpack = struct.Struct(coding.order + "HHI").unpack_from
    items = array("Q")
    position = start
    while position + 8 <= end:
        group, number, length = unpack(data, position)
        if number != _ITEM_NUMBER or group != DELIMITERS:
            if group << 16 | number == SEQUENCE_END:
                return Fragments(items, position, position + 8, is_closed=True)
            if group << 16 | number == TRAILING_PADDING or only_zeros(data, position, end):
                return Fragments(items, position, end, is_closed=False)
            raise Damaged("The pixel data is damaged: something else is between its fragments.")
        items.append(position)
        position += 8 + length
        if len(items) > MAX_FRAGMENTS:
            raise Damaged(
                f"The pixel data has more than {MAX_FRAGMENTS:,} fragments.",
                FailureReason.OUT_OF_RESOURCES,
            )
    if position > end:
        raise cut_off("a fragment of the pixel data", position, end)
    return Fragments(items, position, end, is_closed=False)
