"""Frames that are not compressed: from little-endian bytes to samples, PS3.5 8.1 and 8.2.

RLE (PS3.5 Annex G) and Deflated Image Frame Compression (PS3.5 A.4.13) are undone here too: their
content is the same bytes in another order or packing.
"""

import struct
import zlib
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from lenticular.errors import NotRenderable
from lenticular.pixels.image_pixel import PixelDescription

Array = NDArray[Any]

_WHOLE_WORDS = (8, 16, 32, 64)

MAX_ODD_SAMPLES = 1 << 24
"""The limit for samples of an odd number of bits, which take a byte for each bit."""


def read_native(frame: bytes, description: PixelDescription) -> Array:
    """Return the words of a frame in the shape (rows, columns[, samples]), colours unchanged."""
    rows, columns = description.rows, description.columns
    if _is_subsampled(frame, description):
        return _spread_chroma(_words(frame, description, rows * columns * 2), rows, columns)
    words = _words(frame, description, description.samples)
    if description.samples_per_pixel == 1:
        return words.reshape(rows, columns)
    if description.planar:
        planes = words.reshape(description.samples_per_pixel, rows, columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    return words.reshape(rows, columns, description.samples_per_pixel)


def native_size(description: PixelDescription) -> int:
    """Return the bytes of a frame of this description."""
    bits = description.samples * description.bits_allocated
    if description.photometric_interpretation.endswith("_422"):
        bits = bits * 2 // 3
    return -(-bits // 8)


def inflate_frame(frame: bytes, description: PixelDescription) -> bytes:
    """Inflate one deflated frame, whose size is known from its description."""
    size = native_size(description)
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, size + 1)
    except zlib.error as error:
        raise NotRenderable("The deflated frame is damaged.") from error


def read_rle(frame: bytes, description: PixelDescription) -> Array:
    """Decode the segments of an RLE frame, one byte plane each, most significant first."""
    pixels = description.rows * description.columns
    width = max(description.bits_allocated // 8, 1)
    segments = _rle_segments(frame)
    if description.bits_allocated not in (1, *_WHOLE_WORDS) or (
        len(segments) != width * description.samples_per_pixel
    ):
        raise NotRenderable("The RLE frame does not have the segments that its pixels need.")
    planes = np.empty((pixels, description.samples_per_pixel, width), np.uint8)
    for index, segment in enumerate(segments):
        sample, plane = divmod(index, width)
        planes[:, sample, width - 1 - plane] = _unpack_rle(segment, pixels)
    words = planes.view(f"<u{width}")
    shape: tuple[int, ...] = (description.rows, description.columns)
    if description.samples_per_pixel > 1:
        shape += (description.samples_per_pixel,)
    return words.reshape(shape)


def _rle_segments(frame: bytes) -> list[bytes]:
    """Return the segments of an RLE frame."""
    if len(frame) < 64:
        raise NotRenderable("The RLE frame is shorter than its header.")
    count, *offsets = struct.unpack_from("<16I", frame)
    starts = offsets[:count]
    ends = [*starts[1:], len(frame)]
    if not 1 <= count <= 15 or any(
        not 64 <= start <= end <= len(frame) for start, end in zip(starts, ends, strict=True)
    ):
        raise NotRenderable("The RLE frame's header points outside the frame.")
    return [frame[start:end] for start, end in zip(starts, ends, strict=True)]


def _unpack_rle(segment: bytes, pixels: int) -> Array:
    """Decode a segment."""
    # A padding byte at a segment's end may decode to more than the pixels.
    out = bytearray(pixels + 128)
    try:
        size = len(imagecodecs.packbits_decode(segment, out=out))
    except (RuntimeError, ValueError) as error:
        raise NotRenderable("The RLE frame is damaged.") from error
    decoded = np.frombuffer(out, np.uint8)
    if size >= pixels:
        return decoded[:pixels]
    if size >= -(-pixels // 8) and size <= -(-pixels // 8) + 1:  # one bit per pixel, still packed
        return np.unpackbits(decoded, count=pixels, bitorder="little")
    raise NotRenderable("The RLE frame ends before its last pixel.")


def _words(frame: bytes, description: PixelDescription, count: int) -> Array:
    """Return the first `count` words of Bits Allocated each."""
    bits = description.bits_allocated
    if len(frame) * 8 < count * bits:
        raise NotRenderable(
            f"The frame has {len(frame)} bytes where its pixels need {-(-count * bits // 8)}."
        )
    if description.floating:
        return np.frombuffer(frame, f"<f{bits // 8}", count)
    if bits in _WHOLE_WORDS:
        return np.frombuffer(frame, f"<u{bits // 8}", count)
    if bits > 1 and count > MAX_ODD_SAMPLES:
        raise NotRenderable(f"A frame with so many samples of {bits} bits each is not decoded.")
    unpacked = np.unpackbits(np.frombuffer(frame, np.uint8), count=count * bits, bitorder="little")
    return unpacked if bits == 1 else _joined(unpacked.reshape(count, bits))


def _joined(bits: Array) -> Array:
    """Return words of an odd number of bits, packed without gaps (ACR-NEMA, PS3.5 8.1.1)."""
    size = next(whole for whole in _WHOLE_WORDS if whole >= bits.shape[1])
    padded = np.zeros((bits.shape[0], size), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return np.packbits(padded, axis=1, bitorder="little").view(f"<u{size // 8}").reshape(-1)


def _is_subsampled(frame: bytes, description: PixelDescription) -> bool:
    """Return True if two pixels share their chrominance (PS3.3 C.7.6.3.1.2).

    The length of the frame decides: some writers resample and keep the old name.
    """
    if not description.photometric_interpretation.endswith("_422"):
        return False
    full = description.samples * description.bits_allocated // 8
    return description.samples_per_pixel == 3 and len(frame) < full and description.columns > 1


def _spread_chroma(words: Array, rows: int, columns: int) -> Array:
    """Return Y Cb Cr for each pixel, from Y1 Y2 Cb Cr for two."""
    pairs = words.reshape(-1, 4)
    spread = np.empty((pairs.shape[0], 2, 3), words.dtype)
    spread[:, :, 0] = pairs[:, :2]
    spread[:, :, 1] = pairs[:, 2:3]
    spread[:, :, 2] = pairs[:, 3:4]
    return spread.reshape(rows, columns, 3)
