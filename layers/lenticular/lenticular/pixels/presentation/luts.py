"""Lookup tables in a dataset: Modality and VOI LUTs, palettes; PS3.3 C.11.1.1, C.11.2.1, C.7.9.

Descriptors are often wrong about their tables (0 for 65536 entries, 16 bits for 8-bit entries,
signed numbers in unsigned words), so the data decide.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.pixels.dataset_values import BulkReader, content, integers

Array = NDArray[Any]

_PALETTE_DESCRIPTORS = (
    tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
    tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DESCRIPTOR,
)
_PALETTES = (
    tags.RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
)
_SEGMENTED_PALETTES = (
    tags.SEGMENTED_RED_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.SEGMENTED_GREEN_PALETTE_COLOR_LOOKUP_TABLE_DATA,
    tags.SEGMENTED_BLUE_PALETTE_COLOR_LOOKUP_TABLE_DATA,
)


@dataclass(frozen=True, slots=True)
class Lut:
    """A table for the values from `first` on; entries are 16-bit words, hashable as bytes."""

    first: int
    bits: int
    entries: bytes

    def __len__(self) -> int:
        return len(self.entries) // 2

    def look_up(self, values: Array) -> Array:
        """Return the entries for these values; the first or last entry for values outside."""
        table = np.frombuffer(self.entries, "<u2")
        indices = np.nan_to_num(np.floor(values) - self.first)
        entries: Array = table[np.clip(indices, 0, len(table) - 1).astype(np.intp)]
        return entries

    @property
    def greatest(self) -> int:
        """The greatest value that an entry may have."""
        return int((1 << self.bits) - 1)


@dataclass(frozen=True, slots=True)
class Palette:
    """Red, green and blue of 8 bits for the values from `first` on."""

    first: int
    colours: Array

    def look_up(self, values: Array) -> Array:
        """Return the colours of these values, in the shape (..., 3)."""
        index = np.clip(values.astype(np.int64) - self.first, 0, len(self.colours) - 1)
        return np.take(self.colours, index, axis=0)


def read_lut(item: Dataset, bulk: BulkReader, signed: bool) -> Lut | None:
    """Return the table in an item of a Modality LUT or VOI LUT Sequence, None if it has none."""
    descriptor = _descriptor(item, tags.LUT_DESCRIPTOR, signed)
    if descriptor is None:
        return None
    entries = _entries(content(item, tags.LUT_DATA, bulk), descriptor.count)
    if not entries.size:
        return None
    needed = int(entries.max()).bit_length()
    bits = max(needed, min(descriptor.bits, 16), 1)
    return Lut(descriptor.first, bits, entries.tobytes())


def read_palette(dataset: Dataset, bulk: BulkReader, signed: bool) -> Palette | None:
    """Return the palette of a PALETTE COLOR image, None when a colour of it is missing."""
    channels, first, bits = [], 0, 0
    for index in range(3):
        descriptor = _descriptor(dataset, _PALETTE_DESCRIPTORS[index], signed)
        channel = None if descriptor is None else _channel(dataset, index, bulk, descriptor)
        if descriptor is None or channel is None or not channel.size:
            return None
        first, bits = descriptor.first, max(bits, min(descriptor.bits, 16))
        channels.append(channel)
    length = max(map(len, channels))
    padded = [np.pad(channel, (0, length - len(channel)), mode="edge") for channel in channels]
    colours = np.stack(padded, axis=1)
    # 16 bits are often declared for entries of 8, and some writers use 12.
    needed = int(colours.max()).bit_length()
    shift = max(bits if bits > 8 else 16, needed) - 8 if needed > 8 else 0
    return Palette(first, (colours >> shift).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class _Descriptor:
    count: int
    first: int
    bits: int


def _descriptor(dataset: Dataset, tag: str, signed: bool) -> _Descriptor | None:
    """Read a LUT Descriptor (PS3.3 C.11.1.1.1)."""
    values = integers(dataset, tag)
    if len(values) < 3 or not -32768 <= values[1] <= 65535:
        return None
    count, first, bits = values[:3]
    # The input values decide the sign, not the VR (PS3.3 C.11.2.1.1).
    first &= 0xFFFF
    first = first - 65536 if signed and first >= 32768 else first
    return _Descriptor(count & 0xFFFF or 65536, first, bits)


def _channel(dataset: Dataset, index: int, bulk: BulkReader, descriptor: _Descriptor) -> Array:
    """Return one colour of a palette."""
    plain = content(dataset, _PALETTES[index], bulk)
    if plain:
        return _entries(plain, descriptor.count)
    segmented = content(dataset, _SEGMENTED_PALETTES[index], bulk)
    letter = "B" if descriptor.bits == 8 else "H"
    return np.array(_expand(segmented, letter, descriptor.count), np.uint16)


def _entries(data: bytes, count: int) -> Array:
    """Return entries of 16 bits each or, if there are exactly as many bytes as entries, of 8."""
    if count <= len(data) <= count + 1 and len(data) < 2 * count:
        return np.frombuffer(data, np.uint8, count).astype("<u2")
    return np.frombuffer(data, "<u2", min(len(data) // 2, count))


_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class _Segment:
    segment_type: int
    length: int
    position: int  # of the data behind type and length


def _expand(data: bytes, letter: str, count: int) -> list[int]:
    """Expand a segmented table (PS3.3 C.7.9.2) to at most `count` entries."""
    table: list[int] = []
    for segment in _segments(data, letter, 0):
        repeated: Iterable[_Segment] = (segment,)
        if segment.segment_type == _INDIRECT:
            (offset,) = struct.unpack_from("<I", data, segment.position)
            repeated = islice(_segments(data, letter, offset), segment.length)
        for each in repeated:
            table += _written_out(data, letter, each, table[-1:])
            if len(table) >= count:
                return table[:count]
    return table


def _segments(data: bytes, letter: str, position: int) -> Iterator[_Segment]:
    """Yield the segments from a position to the end, or to the first invalid one."""
    width = struct.calcsize(letter)
    while position + 2 * width <= len(data):
        segment_type, length = struct.unpack_from(f"<2{letter}", data, position)
        position += 2 * width
        size = {_DISCRETE: length * width, _LINEAR: width, _INDIRECT: 4}.get(segment_type)
        if size is None or position + size > len(data):
            return
        yield _Segment(segment_type, length, position)
        position += size


def _written_out(data: bytes, letter: str, segment: _Segment, before: list[int]) -> list[int]:
    """Return the entries of a segment."""
    if segment.segment_type == _DISCRETE:
        return list(struct.unpack_from(f"<{segment.length}{letter}", data, segment.position))
    if segment.segment_type == _LINEAR and before:
        (last,) = struct.unpack_from(f"<{letter}", data, segment.position)
        line = np.linspace(before[0], last, segment.length + 1).round().astype(int)
        return [int(value) for value in line[1:]]
    return []
