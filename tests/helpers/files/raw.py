"""Data sets made byte by byte: for the tests that need what no toolkit would write."""

import struct

from lenticular.dicom.read import part10
from lenticular.dicom.read.deflate import inflated

LONG = ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
UNDEFINED = 0xFFFFFFFF
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"

STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.4", "1.2.3.4.5"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"


def element(
    tag: int, vr: str, value: bytes | str, length: int | None = None, order: str = "<"
) -> bytes:
    """An element in Explicit VR; a length that is given need not be true."""
    content = value.encode("latin_1") if isinstance(value, str) else value
    if len(content) % 2:
        content += b"\0" if vr == "UI" else b" "
    size = len(content) if length is None else length
    group, number = tag >> 16, tag & 0xFFFF
    if vr in LONG:
        return struct.pack(f"{order}HH2sHI", group, number, vr.encode(), 0, size) + content
    return struct.pack(f"{order}HH2sH", group, number, vr.encode(), size) + content


def implicit(tag: int, value: bytes | str, length: int | None = None) -> bytes:
    """An element in Implicit VR Little Endian."""
    content = value.encode("latin_1") if isinstance(value, str) else value
    content += b" " * (len(content) % 2)
    size = len(content) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, size) + content


def item(content: bytes, length: int | None = None) -> bytes:
    """An item of a sequence or of encapsulated pixels."""
    return implicit(0xFFFEE000, b"", len(content) if length is None else length) + content


ITEM_END = implicit(0xFFFEE00D, b"")
SEQUENCE_END = implicit(0xFFFEE0DD, b"")


def meta(transfer_syntax: str | None = EXPLICIT_LITTLE, sop_class: str = SOP_CLASS) -> bytes:
    """Preamble, prefix and File Meta Information."""
    content = element(0x00020002, "UI", sop_class) + element(0x00020003, "UI", INSTANCE)
    if transfer_syntax is not None:
        content += element(0x00020010, "UI", transfer_syntax)
    length = element(0x00020000, "UL", struct.pack("<I", len(content)))
    return b"\0" * 128 + b"DICM" + length + content


def identifiers(charset: str | None = None) -> bytes:
    """What an instance needs to be filed, in group 0008; the rest is in `further`."""
    begin = b"" if charset is None else element(0x00080005, "CS", charset)
    return begin + element(0x00080016, "UI", SOP_CLASS) + element(0x00080018, "UI", INSTANCE)


def further() -> bytes:
    """The identifiers of group 0020."""
    return element(0x0020000D, "UI", STUDY) + element(0x0020000E, "UI", SERIES)


def file(
    *behind: bytes,
    between: bytes = b"",
    charset: str | None = None,
    syntax: str | None = EXPLICIT_LITTLE,
) -> bytes:
    """A file with elements between groups 0008 and 0020, and behind these."""
    return meta(syntax) + identifiers(charset) + between + further() + b"".join(behind)


def inflated_file(content: bytes) -> bytes:
    """Return a deflated file as if it had not been deflated."""
    start, _ = part10.data_set_start(content)
    return bytes(inflated(memoryview(content), start))


def words(*numbers: int) -> bytes:
    """Unsigned 16 bit numbers."""
    return struct.pack(f"<{len(numbers)}H", *numbers)


def image(
    rows: int,
    columns: int,
    bits: int = 8,
    frames: int | str = 1,
    samples: int = 1,
    photometric: str = "MONOCHROME2",
) -> bytes:
    """The Image Pixel Module as far as the size of a frame needs it."""  # fmt: skip
    return b"".join(
        [
            element(0x00280002, "US", words(samples)),
            element(0x00280004, "CS", photometric),
            element(0x00280008, "IS", str(frames)),
            element(0x00280010, "US", words(rows)),
            element(0x00280011, "US", words(columns)),
            element(0x00280100, "US", words(bits)),
        ]
    )


def pixels(value: bytes, vr: str = "OB", length: int | None = None) -> bytes:
    """Native pixel data."""
    return element(0x7FE00010, vr, value, length)


def encapsulated(*fragments: bytes, table: bytes = b"", end: bytes = SEQUENCE_END) -> bytes:
    """Encapsulated pixel data, PS3.5 A.4."""
    content = item(table) + b"".join(item(fragment) for fragment in fragments) + end
    return element(0x7FE00010, "OB", b"", UNDEFINED) + content
