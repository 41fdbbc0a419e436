"""Heads of compressed frames: which codec, which size, which colours, before anything is decoded.

The head is read by our own few lines so that a frame that claims to be enormous is refused before
a decoder reserves memory for it, and because the codec is what the frame says it is, not what the
transfer syntax promised. JPEG: ITU-T T.81 Annex B; JPEG-LS: T.87 Annex C; JPEG 2000: T.800
Annex A; JPEG XL: ISO/IEC 18181-1.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

SEARCHED_BYTES = 65536
"""How far into a frame a codestream may begin: file formats put boxes before it."""


class Codec(Enum):
    """The families of codecs that frames are compressed with."""

    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    JPEG_XL = "JPEG XL"


@dataclass(frozen=True, slots=True)
class Head:
    """What a codestream says of itself.

    `transformed`: the decoder turns the colours into RGB by itself (JPEG 2000, JPEG XL), or has
    to (JPEG, where it is YCbCr by all signs in the stream); None when the stream does not say.
    """

    codec: Codec
    rows: int
    columns: int
    components: int
    precision: int = 0
    signed: bool = False
    transformed: bool | None = None
    scans: int = 1
    tiles: int = 1


def read_head(frame: bytes) -> Head | None:
    """The head of a compressed frame, None when it is of no known kind or broken."""
    try:
        return _read_head(frame)
    except (struct.error, IndexError):
        return None


def _read_head(frame: bytes) -> Head | None:
    if frame[:2] == b"\xff\x0a" or frame[4:8] == b"JXL ":
        return _jpeg_xl(frame)
    start = frame.find(b"\xff\x4f\xff\x51", 0, SEARCHED_BYTES)
    if start == 0 or (start > 0 and frame[4:6] == b"jP"):
        return _jpeg_2000(frame, start)
    if frame[:2] == b"\xff\xd8":
        return _jpeg(frame)
    return None


_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SOF_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF}
_SOF_JPEG_LS = 0xF7
_SOS = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def _jpeg(frame: bytes) -> Head | None:
    """Walk the markers up to the first scan."""
    position, start_of_frame, jfif, adobe = 2, None, False, None
    while True:
        position = frame.find(b"\xff", position) + 1
        marker = frame[position] if position else _SOS
        if marker in (0x00, 0xFF) or marker in _WITHOUT_LENGTH:
            continue
        if marker == _SOS:
            break
        (length,) = struct.unpack_from(">H", frame, position + 1)
        segment = frame[position + 3 : position + 1 + length]
        if marker == _APP0 and segment.startswith(b"JFIF"):
            jfif = True
        elif marker == _APP14 and segment.startswith(b"Adobe") and len(segment) >= 12:
            adobe = segment[11]
        elif marker in _SOF or marker == _SOF_JPEG_LS:
            start_of_frame = marker, segment
        position += 1 + length
    return _jpeg_head(*start_of_frame, jfif, adobe, frame) if start_of_frame else None


def _jpeg_head(marker: int, segment: bytes, jfif: bool, adobe: int | None, frame: bytes) -> Head:
    precision, rows, columns, count = struct.unpack_from(">BHHB", segment)
    codec = Codec.JPEG
    if marker == _SOF_JPEG_LS:
        codec = Codec.JPEG_LS
    elif marker in _SOF_LOSSLESS:
        codec = Codec.JPEG_LOSSLESS
    transformed = None
    if codec is Codec.JPEG and count == 3:
        identifiers = bytes(segment[6 + 3 * index] for index in range(3))
        samplings = {segment[7 + 3 * index] for index in range(3)}
        transformed = _is_ycbcr(identifiers, len(samplings) > 1, jfif, adobe)
    scans = frame.count(b"\xff\xda")
    return Head(codec, rows, columns, count, precision, transformed=transformed, scans=scans)


def _is_ycbcr(identifiers: bytes, subsampled: bool, jfif: bool, adobe: int | None) -> bool | None:
    """Tell by the signs that encoders leave; none of them is required by PS3.5."""
    if subsampled:  # nobody halves the resolution of green
        return True
    if adobe is not None:
        return adobe != 0
    if identifiers == b"RGB":
        return False
    return True if jfif else None


def _jpeg_2000(frame: bytes, start: int) -> Head | None:
    *sizes, components = struct.unpack_from(">8IH", frame, start + 8)
    x_end, y_end, x_start, y_start, tile_width, tile_height, _, _ = sizes
    depth = frame[start + 42]
    columns, rows = x_end - x_start, y_end - y_start
    if min(columns, rows, tile_width, tile_height) < 1:
        return None
    tiles = -(-columns // tile_width) * -(-rows // tile_height)
    return Head(
        codec=Codec.JPEG_2000,
        rows=rows,
        columns=columns,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        transformed=_multiple_component_transformation(frame, start),
        tiles=tiles,
    )


def _multiple_component_transformation(frame: bytes, start: int) -> bool:
    """Whether the COD segment asks for it: the decoder's result is then RGB."""
    position = frame.find(b"\xff\x52", start, start + SEARCHED_BYTES)
    return position >= 0 and frame[position + 8] != 0


_JPEG_XL_SIZES = (9, 13, 18, 30)
_JPEG_XL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _jpeg_xl(frame: bytes) -> Head | None:
    """Read the SizeHeader, whose bits come lowest first."""
    start = frame.find(b"\xff\x0a", 0, SEARCHED_BYTES)
    if start < 0:
        return None
    bits = _bits(frame[start + 2 : start + 34])
    in_eights = bits(1)
    rows = _jpeg_xl_length(bits, in_eights)
    ratio = bits(3)
    if ratio:
        numerator, denominator = _JPEG_XL_RATIOS[ratio - 1]
        columns = rows * numerator // denominator
    else:
        columns = _jpeg_xl_length(bits, in_eights)
    return Head(Codec.JPEG_XL, rows, columns, components=0, transformed=True)


def _jpeg_xl_length(bits: Callable[[int], int], in_eights: int) -> int:
    return 8 * (bits(5) + 1) if in_eights else bits(_JPEG_XL_SIZES[bits(2)]) + 1


def _bits(data: bytes) -> Callable[[int], int]:
    rest = int.from_bytes(data, "little")

    def take(count: int) -> int:
        nonlocal rest
        taken = rest & ((1 << count) - 1)
        rest >>= count
        return taken

    return take
