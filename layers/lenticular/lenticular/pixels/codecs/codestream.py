"""Heads of compressed frames: codec, size, colours and transfer syntax, before they are decoded.

Our own code reads the head, so that a frame that claims to be enormous is refused before a decoder
reserves memory for it, and because the codec of a frame is not always that of its transfer syntax.
JPEG: ITU-T T.81 Annex B; JPEG-LS: T.87 Annex C; JPEG 2000: T.800 Annex A; JPEG XL:
ISO/IEC 18181-1.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

from lenticular.dicom.transfer_syntaxes import JPEG_ROOT, RLE_LOSSLESS

SEARCHED_BYTES = 65536
"""A codestream begins within this many bytes of a frame, behind the boxes of file formats."""

SHOWN_BYTES = 4 * SEARCHED_BYTES
"""The bytes of a stream that are enough to read its head."""

_RLE_HEADER = struct.Struct("<16I")


class Codec(Enum):
    """The families of codecs that frames are compressed with."""

    JPEG = "JPEG"
    JPEG_LOSSLESS = "JPEG Lossless"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    JPEG_XL = "JPEG XL"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a codestream.

    `transformed`: the decoder turns the colours into RGB by itself (JPEG 2000, JPEG XL), or has to
    (JPEG, if the stream looks like YCbCr); None if the stream does not say. `subsampled`: the
    components of a JPEG have different resolutions. `inverted`: the inks of CMYK are inverted, as
    in Adobe's programs. `transfer_syntax_uid` is that of PS3.5 A.4 for the stream.
    """

    codec: Codec
    rows: int
    columns: int
    components: int
    transfer_syntax_uid: str
    precision: int = 0
    signed: bool = False
    transformed: bool | None = None
    subsampled: bool = False
    inverted: bool = False
    scans: int = 1
    tiles: int = 1


def transfer_syntax_of(frame: bytes) -> str | None:
    """Return the transfer syntax of a compressed frame by its first bytes, None if it has none."""
    head = read_head(frame)
    if head is not None:
        return head.transfer_syntax_uid
    return RLE_LOSSLESS if has_rle_header(frame) else None


def has_rle_header(frame: bytes) -> bool:
    """Return True if a frame begins with an RLE header: a count and offsets (PS3.5 G.5)."""
    if len(frame) < _RLE_HEADER.size:
        return False
    count, *offsets = _RLE_HEADER.unpack_from(frame)
    if not 1 <= count <= 15 or offsets[0] != _RLE_HEADER.size or any(offsets[count:]):
        return False
    return offsets[:count] == sorted(set(offsets[:count]))


def read_head(frame: bytes) -> Head | None:
    """Return the head of a compressed frame; None if its codec is unknown or it is broken."""
    try:
        return _read_head(frame)
    except (struct.error, IndexError):
        return None


def _read_head(frame: bytes) -> Head | None:
    """Return the head by the first bytes of a frame."""
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
_SOF_SYNTAXES = {
    0xC0: JPEG_ROOT + "50",
    0xC1: JPEG_ROOT + "51",
    0xC2: JPEG_ROOT + "55",
}
_SOS = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_APPLICATIONS = {_APP0: b"JFIF", _APP14: b"Adobe"}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


def _jpeg(frame: bytes) -> Head | None:
    """Read the segments up to the first scan; the last frame header counts."""
    start_of_frame, segments = None, dict[int, bytes]()
    for marker, segment in _segments(frame):
        if marker in _SOF or marker == _SOF_JPEG_LS:
            start_of_frame = marker, segment
        elif segment.startswith(_APPLICATIONS.get(marker, b"")):
            segments[marker] = segment
    return _jpeg_head(*start_of_frame, segments, frame) if start_of_frame else None


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and content of each segment, the first scan header last (T.81 B.1)."""
    position, marker = 2, 0
    while marker != _SOS:
        position = frame.find(b"\xff", position) + 1
        if not position:
            return
        marker = frame[position]
        if marker in (0x00, 0xFF) or marker in _WITHOUT_LENGTH:
            continue
        (length,) = struct.unpack_from(">H", frame, position + 1)
        yield marker, frame[position + 3 : position + 1 + length]
        position += 1 + length


def _jpeg_head(marker: int, segment: bytes, segments: dict[int, bytes], frame: bytes) -> Head:
    """Return the head of a JPEG or JPEG-LS."""
    precision, rows, columns, count = struct.unpack_from(">BHHB", segment)
    parameter = _scan_parameter(segments.get(_SOS, b""))
    codec, syntax = Codec.JPEG, _SOF_SYNTAXES.get(marker, JPEG_ROOT + "51")
    if marker == _SOF_JPEG_LS:
        codec, syntax = Codec.JPEG_LS, JPEG_ROOT + ("81" if parameter else "80")
    elif marker in _SOF_LOSSLESS:
        codec, syntax = Codec.JPEG_LOSSLESS, JPEG_ROOT + ("70" if parameter == 1 else "57")
    samplings = {segment[7 + 3 * index] for index in range(count)}
    transformed = None
    if codec is Codec.JPEG and count == 3:
        identifiers = bytes(segment[6 + 3 * index] for index in range(3))
        transformed = _is_ycbcr(identifiers, len(samplings) > 1, segments)
    return Head(
        codec=codec,
        rows=rows,
        columns=columns,
        components=count,
        transfer_syntax_uid=syntax,
        precision=precision,
        transformed=transformed,
        subsampled=len(samplings) > 1,
        inverted=count == 4 and _APP14 in segments,
        scans=frame.count(b"\xff\xda"),
    )


def _scan_parameter(scan: bytes) -> int:
    """Return the byte behind the components in a scan header: predictor (T.81) or NEAR (T.87)."""
    position = 1 + 2 * scan[0] if scan else 0
    return scan[position] if 0 < position < len(scan) else 0


def _is_ycbcr(identifiers: bytes, subsampled: bool, segments: dict[int, bytes]) -> bool | None:
    """Return True if signs of encoders mean YCbCr, None without a sign; PS3.5 requires none."""
    if subsampled:  # encoders never halve the resolution of green
        return True
    adobe = segments.get(_APP14, b"")
    if len(adobe) >= 12:
        return adobe[11] != 0
    if identifiers == b"RGB":
        return False
    return True if _APP0 in segments else None


def _jpeg_2000(frame: bytes, start: int) -> Head | None:
    """Read the SIZ segment."""
    *sizes, components = struct.unpack_from(">8IH", frame, start + 8)
    x_end, y_end, x_start, y_start, tile_width, tile_height, _, _ = sizes
    depth = frame[start + 42]
    columns, rows = x_end - x_start, y_end - y_start
    if min(columns, rows, tile_width, tile_height) < 1:
        return None
    tiles = -(-columns // tile_width) * -(-rows // tile_height)
    style = _coding_style(frame, start)
    return Head(
        codec=Codec.JPEG_2000,
        rows=rows,
        columns=columns,
        components=components,
        transfer_syntax_uid=_jpeg_2000_syntax(frame, style),
        precision=(depth & 0x7F) + 1,
        signed=bool(depth & 0x80),
        transformed=len(style) > 8 and style[8] != 0,  # multiple component transformation
        tiles=tiles,
    )


def _coding_style(frame: bytes, start: int) -> bytes:
    """Return the beginning of the COD segment (T.800 A.6.1), nothing without one."""
    position = frame.find(b"\xff\x52", start, start + SEARCHED_BYTES)
    return frame[position : position + 14] if position >= 0 else b""


def _jpeg_2000_syntax(frame: bytes, style: bytes) -> str:
    """Return the transfer syntax by wavelet (T.800 Table A.20) and block coder (T.814 A.2)."""
    reversible = len(style) == 14 and style[13] == 1
    high_throughput = len(style) == 14 and bool(style[12] & 0x40)
    if high_throughput and frame.find(b"\xff\x50", 0, SEARCHED_BYTES) >= 0:
        return JPEG_ROOT + ("201" if reversible else "203")
    return JPEG_ROOT + ("90" if reversible else "91")


_JPEG_XL_SIZES = (9, 13, 18, 30)
_JPEG_XL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def _jpeg_xl(frame: bytes) -> Head | None:
    """Read the SizeHeader, least significant bits first."""
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
    return Head(Codec.JPEG_XL, rows, columns, 0, JPEG_ROOT + "112", transformed=True)


def _jpeg_xl_length(bits: Callable[[int], int], in_eights: int) -> int:
    """Read a side of the image."""
    return 8 * (bits(5) + 1) if in_eights else bits(_JPEG_XL_SIZES[bits(2)]) + 1


def _bits(data: bytes) -> Callable[[int], int]:
    """Return a function that reads bits."""
    rest = int.from_bytes(data, "little")

    def read(count: int) -> int:
        nonlocal rest
        value = rest & ((1 << count) - 1)
        rest >>= count
        return value

    return read
