"""The encoding of a data set: byte order, and explicit or implicit VR, PS3.5 7 and A."""

import struct

from lenticular.dicom.read import vr_decode
from lenticular.dicom.read.vr_decode import VrCodec
from lenticular.errors import InvalidInstance

UNDEFINED = 0xFFFFFFFF
"""The length of a value that ends at a delimiter."""
LONGEST_LENGTH = 0xFFFFFFFE

MAX_PADDING = 64 * 1024
"""Zeros behind a data set, or instead of a delimiter, that count as padding."""

DELIMITERS = 0xFFFE
ITEM = 0xFFFEE000
TRAILING_PADDING = 0xFFFCFFFC
ITEM_END = 0xFFFEE00D
SEQUENCE_END = 0xFFFEE0DD
ITEM_BYTES = struct.pack("<HH", DELIMITERS, ITEM & 0xFFFF)
SEQUENCE_END_BYTES = struct.pack("<HH", DELIMITERS, SEQUENCE_END & 0xFFFF)
"""The tags of delimiters as they are written in little endian (PS3.5 7.5)."""


class Damaged(InvalidInstance):
    """The bytes from here on are not a data set."""


def cut_off(what: str, stop: int, end: int) -> Damaged:
    """Return the error for an element that claims to be longer than its parent."""
    return Damaged(f"The file is cut off or damaged: {what} runs to byte {stop:,} of {end:,}.")


def only_zeros(data: memoryview, start: int, end: int) -> bool:
    """Return True if only padding follows."""
    return end - start <= MAX_PADDING and data[start:end] == bytes(end - start)


_CODECS = {
    ("<", False): vr_decode.LITTLE_ENDIAN,
    (">", False): vr_decode.BIG_ENDIAN,
    ("<", True): vr_decode.LITTLE_ENDIAN_AS_WRITTEN,
    (">", True): vr_decode.BIG_ENDIAN_AS_WRITTEN,
}


class Encoding:
    """One way to write elements.

    Reading `as_written` leaves each text as the file has it; otherwise it is read into JSON.
    """

    def __init__(self, order: str, explicit: bool, as_written: bool = False) -> None:
        self.order = order
        self.explicit = explicit
        self.as_written = as_written
        self.codecs = _CODECS[order, as_written]
        self.codecs_by_code = {vr.encode(): codec for vr, codec in self.codecs.items()}
        self.unknown = self.codecs["UN"]
        self.header = struct.Struct(order + "HH2sH").unpack_from
        self.tag_and_length = struct.Struct(order + "HHI").unpack_from
        self.length = struct.Struct(order + "I").unpack_from

    def tag_at(self, data: memoryview, position: int) -> tuple[int, int]:
        """Return tag and 32 bit length at a position, as items and implicit elements begin."""
        group, number, length = self.tag_and_length(data, position)
        return group << 16 | number, length

    def explicit_header(
        self, data: memoryview, position: int, end: int
    ) -> "tuple[VrCodec, Encoding, int, int]":
        """Return codec, encoding of the value, start and length of an element in Explicit VR."""
        _, _, code, length = self.header(data, position)
        codec = self.codecs_by_code.get(code)
        if codec is None:
            return self._irregular_header(data, position, end)
        if not codec.has_long_header:
            return codec, self, position + 8, length
        if position + 12 > end:
            raise cut_off("an element's header", position + 12, end)
        (length,) = self.length(data, position + 8)
        # A sender passes on values of unknown VR as it got them, which is implicit (PS3.5 6.2.2).
        encoding = encoding_of("<", False, self.as_written) if codec.vr == "UN" else self
        return codec, encoding, position + 12, length

    def _irregular_header(
        self, data: memoryview, position: int, end: int
    ) -> "tuple[VrCodec, Encoding, int, int]":
        """Return the same for an element whose VR is not known.

        A VR of two capitals is of a later standard, with a long header (PS3.5 6.2). Otherwise
        someone wrote an implicit element among explicit ones, or left the VR blank. The bytes
        behind the value tell which: the end, a delimiter or an element with a higher tag.
        """
        tag, implicit_length = self.tag_at(data, position)
        _, _, code, short_length = self.header(data, position)
        candidates = [(position + 8, implicit_length), (position + 8, short_length)]
        if code.isalpha() and code.isupper() and position + 12 <= end:
            candidates[0] = (position + 12, self.length(data, position + 8)[0])
        elif code.isspace():
            candidates.append((position + 6, 0))  # not even a length was written
        likely = [self._likelihood(data, *each, end, tag) for each in candidates]
        if not any(likely):
            raise Damaged(f"The data set is damaged at byte {position:,}: there is no such VR.")
        start, length = candidates[likely.index(max(likely))]
        return self.unknown, self.implicit, start, length

    def _likelihood(self, data: memoryview, start: int, length: int, end: int, tag: int) -> int:
        """Return how likely a value is here, by the bytes behind it: 2, 1 or 0."""
        stop = start if length == UNDEFINED else start + length
        if stop == end:
            return 2
        if stop + 8 > end:
            return 0
        following, _ = self.tag_at(data, stop)
        if length == UNDEFINED:
            return 2 if following in (ITEM, SEQUENCE_END) else 0
        if following < tag:
            return 0
        code = bytes(data[stop + 4 : stop + 6])
        return 2 if following >> 16 == DELIMITERS or code in self.codecs_by_code else 1

    @property
    def implicit(self) -> "Encoding":
        """The implicit encoding of the same byte order."""
        return encoding_of(self.order, False, self.as_written)


_ENCODINGS = {
    (order, explicit, as_written): Encoding(order, explicit, as_written)
    for order in "<>"
    for explicit in (False, True)
    for as_written in (False, True)
}


def encoding_of(order: str, explicit: bool, as_written: bool = False) -> Encoding:
    """Return the encoding of a byte order, explicit or implicit."""
    return _ENCODINGS[order, explicit, as_written]


IMPLICIT_LITTLE = encoding_of("<", explicit=False)
EXPLICIT_LITTLE = encoding_of("<", explicit=True)
IMPLICIT_BIG = encoding_of(">", explicit=False)
EXPLICIT_BIG = encoding_of(">", explicit=True)
