"""The byte ranges of frames, PS3.5 8 and A.4, PS3.3 C.7.6.3 and C.7.6.6.

Only the headers of fragments are read, and the first bytes of fragments if nothing else separates
frames, so an object of any size is quickly done.
"""

import struct
import sys
from array import array
from dataclasses import replace

from lenticular.dicom import tags
from lenticular.dicom.integers import first_integer
from lenticular.dicom.model import Dataset, PixelLayout
from lenticular.dicom.read.element_encoding import cut_off
from lenticular.dicom.read.element_stack import OpenBulk
from lenticular.dicom.read.elements import ElementReader
from lenticular.dicom.read.fragments import Fragments
from lenticular.dicom.transfer_syntaxes import RLE_LOSSLESS, TransferSyntax

_FLOATING_POINT_BITS = {tags.FLOAT_PIXEL_DATA: 32, tags.DOUBLE_FLOAT_PIXEL_DATA: 64}

# The first bytes of a compressed image: JPEG and JPEG-LS, JPEG 2000 and HTJ2K (bare, in a JP2),
# JPEG XL (bare, in a container).
_IMAGE_STARTS = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\x00\x00\x00\x0cjP",
    b"\xff\x0a",
    b"\x00\x00\x00\x0cJX",
)
_START_LENGTH = 8
_RLE_HEADER = struct.Struct("<16I")
_RLE_SEGMENTS = 15


def pixel_layout(
    data: memoryview, reader: ElementReader, syntax: TransferSyntax
) -> PixelLayout | None:
    """Return the layout of the pixels of a data set; None if it has none."""
    if reader.pixels is None:
        return None
    if reader.fragments is None:
        native = _native(reader.pixels, reader, syntax)
        return _compressed(data, native) or native
    return _encapsulated(data, reader.pixels, reader.fragments, reader, syntax)


def _native(pixels: OpenBulk, reader: ElementReader, syntax: TransferSyntax) -> PixelLayout:
    """Return the layout of pixels that are not encapsulated."""
    dataset = reader.dataset
    bits = _FLOATING_POINT_BITS.get(pixels.path) or _number(dataset, tags.BITS_ALLOCATED)
    claimed = 1 if _has_no_count(dataset) else _number(dataset, tags.NUMBER_OF_FRAMES)
    frame_bits = _frame_bits(dataset, bits, claimed or 1, pixels.length) or pixels.length * 8
    available = pixels.length * 8 // frame_bits
    swaps = reader.is_big_endian or (syntax.big_endian_pixels and not syntax.big_endian)
    return PixelLayout(
        tag=pixels.path,
        vr=pixels.vr,
        encapsulated=False,
        offset=pixels.offset,
        length=pixels.length,
        number_of_frames=min(claimed or available, available),
        frame_bits=frame_bits,
        word_bytes=_word_bytes(bits, pixels.vr) if swaps else 1,
    )


def _compressed(data: memoryview, native: PixelLayout) -> PixelLayout | None:
    """Return the layout of a compressed image that stands in no item; None for other pixels.

    Some writers forget the items. It is told by its first bytes where there are too few for pixels.
    """
    if native.number_of_frames or not _begins_image(data, native.offset):
        return None
    whole = array("Q", (native.offset, native.length))
    return replace(native, encapsulated=True, number_of_frames=1, frame_bits=0, frames=whole)


def _frame_bits(dataset: Dataset, bits: int, frames: int, length: int) -> int:
    """Return the size of one frame as the Image Pixel Module gives it."""
    pixels = _number(dataset, tags.ROWS) * _number(dataset, tags.COLUMNS)
    samples = _number(dataset, tags.SAMPLES_PER_PIXEL) or 1
    whole = _padded_by_frame(pixels * samples * bits, frames, length)
    photometric = dataset.get(tags.PHOTOMETRIC_INTERPRETATION, {}).get("Value", [""])[0]
    # Two pixels share their chrominance (C.7.6.3.1.2), unless the length shows otherwise: the
    # name often remains when an image is decompressed.
    if photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and samples == 3:
        return whole if length * 8 >= frames * whole else pixels * 2 * bits
    return whole


def _padded_by_frame(bits: int, frames: int, length: int) -> int:
    """Return the bits of a frame, with padding if the length shows that each frame has some.

    One-bit frames follow each other without a gap (PS3.5 8.1.1), but some writers begin each one
    with a new byte.
    """
    octets = -(-bits // 8)
    padded, packed = frames * octets, -(-frames * bits // 8)
    is_padded = length in (padded, padded + padded % 2) and length > packed + packed % 2
    return octets * 8 if is_padded else bits


def _word_bytes(bits: int, vr: str) -> int:
    """Return the size of words in a big-endian file: whole pixel cells, or the words of OW."""
    if bits in (16, 32, 64):
        return bits // 8
    return 2 if vr == "OW" else 1


def _number(dataset: Dataset, key: str) -> int:
    """Return a count or size of the data set; 0 if it is missing, negative or not a number."""
    return max(first_integer(dataset, key) or 0, 0)


def _has_no_count(dataset: Dataset) -> bool:
    """Return True if the data set gives no number of frames."""
    return not dataset.get(tags.NUMBER_OF_FRAMES, {}).get("Value")


def _encapsulated(
    data: memoryview,
    pixels: OpenBulk,
    fragments: Fragments,
    reader: ElementReader,
    syntax: TransferSyntax,
) -> PixelLayout:
    """Return the layout of encapsulated pixels."""
    claimed = _number(reader.dataset, tags.NUMBER_OF_FRAMES)
    tables = [_extended_offset_table(data, reader), _basic_offset_table(data, fragments)]
    starts = _starts_as_claimed(data, fragments, claimed, tables, syntax)
    if not starts and not syntax.is_video:
        if not fragments.is_closed and len(fragments.items) - 1 < claimed:
            raise cut_off("the pixel data", pixels.offset + pixels.length + 8, len(data))
        starts = _starts_found(data, fragments, claimed, tables, syntax)
    count = min(claimed, pixels.length * 8) or 1  # an image has at least a bit
    if starts or (not syntax.is_video and len(fragments.items) - 1 < count):
        count = min(count, len(starts)) if claimed else len(starts)
    return PixelLayout(
        tag=pixels.path,
        vr=pixels.vr,
        encapsulated=True,
        offset=pixels.offset,
        length=pixels.length,
        number_of_frames=count,
        frames=_runs(starts, fragments.stop)[: 2 * count],
    )


def _starts_as_claimed(
    data: memoryview,
    fragments: Fragments,
    claimed: int,
    tables: "list[array[int]]",
    syntax: TransferSyntax,
) -> "array[int]":
    """Return the first item of each frame, by the first rule that gives their declared number."""
    items = fragments.items[1:]
    if not items or not claimed:
        return array("Q")
    for table in tables:
        if len(table) == claimed and _is_true(table, items):
            return array("Q", (items[0] + offset for offset in table))
    if len(items) == claimed:
        return items
    images = _image_starts(data, items, syntax)
    return images if len(images) == claimed else array("Q")


def _starts_found(
    data: memoryview,
    fragments: Fragments,
    claimed: int,
    tables: "list[array[int]]",
    syntax: TransferSyntax,
) -> "array[int]":
    """Return the first item of each image, if their number is not the declared one."""
    items = fragments.items[1:]
    if not items:
        return items
    images = _image_starts(data, items, syntax)
    if claimed <= 1:
        return images if len(images) == len(items) else items[:1]
    for table in tables:
        if len(table) > 1 and _is_true(table, items):
            return array("Q", (items[0] + offset for offset in table))
    if len(images) > 1:
        return images
    return items if syntax.uid == RLE_LOSSLESS or len(items) < claimed else array("Q")


def _is_true(table: "array[int]", items: "array[int]") -> bool:
    """Return True if an offset table points at items, in ascending order, from the first on.

    A table of 32 bits wraps round in an object of more than 4 GB; then it is not true.
    """
    # Looked up in one iterator, each has to lie behind the one before.
    remaining = iter(items)
    return table[0] == 0 and all(items[0] + offset in remaining for offset in table)


def _extended_offset_table(data: memoryview, reader: ElementReader) -> "array[int]":
    """Return the Extended Offset Table (7FE0,0001), C.7.6.3.1.8."""
    start, length = reader.offset_tables.get(tags.EXTENDED_OFFSET_TABLE, (0, 0))
    return _little_endian_words("Q", data[start : start + length].tobytes())


def _basic_offset_table(data: memoryview, fragments: Fragments) -> "array[int]":
    """Return the Basic Offset Table, A.4."""
    if not fragments.items:
        return array("I")
    start = fragments.items[0] + 8
    stop = fragments.items[1] if len(fragments.items) > 1 else fragments.stop
    return _little_endian_words("I", data[start:stop].tobytes())


def _little_endian_words(code: str, raw: bytes) -> "array[int]":
    """Return the words of a table."""
    words = array(code)
    words.frombytes(raw[: len(raw) // words.itemsize * words.itemsize])
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _image_starts(data: memoryview, items: "array[int]", syntax: TransferSyntax) -> "array[int]":
    """Return the fragments that begin with the first bytes of a compressed image."""
    begins = _begins_rle if syntax.uid == RLE_LOSSLESS else _begins_image
    starts = array("Q", (item for item in items if begins(data, item + 8)))
    return starts if starts and starts[0] == items[0] else array("Q")


def _begins_image(data: memoryview, offset: int) -> bool:
    """Return True if a compressed image begins at this offset."""
    return data[offset : offset + _START_LENGTH].tobytes().startswith(_IMAGE_STARTS)


def _begins_rle(data: memoryview, offset: int) -> bool:
    """Return True for the header of an RLE frame, PS3.5 G.5.

    A frame of RLE is one fragment (A.4.2), but some writers divide it.
    """
    header = data[offset : offset + _RLE_HEADER.size]
    if len(header) < _RLE_HEADER.size:
        return False
    segments, first, *others = _RLE_HEADER.unpack(header)
    counted = 1 <= segments <= _RLE_SEGMENTS and first == _RLE_HEADER.size
    return counted and not any(others[segments - 1 :])


def _runs(starts: "array[int]", stop: int) -> "array[int]":
    """Return offset and length, by turns, of the items from each start to the next."""
    ends = starts[1:]
    ends.append(stop)
    runs = array("Q")
    for start, end in zip(starts, ends, strict=False):
        runs.append(start)
        runs.append(end - start)
    return runs
