"""Decoded frames as the bytes of Explicit VR Little Endian, PS3.5 8.1 and 8.2."""

from collections.abc import Iterable, Iterator

import numpy as np

from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.image_pixel import PixelDescription

_WORDS = (8, 16, 32, 64)


def uncompressed(decoded: DecodedFrame, description: PixelDescription) -> bytes:
    """Return the samples of a frame in words of Bits Allocated, ordered by Planar Configuration.

    Colours that the codec turned into RGB stay RGB: converted back to YBR_FULL_422 they would lose
    half of their chrominance.
    """
    _check(decoded, description)
    samples = decoded.samples
    if description.planar and samples.ndim == 3:
        samples = samples.transpose(2, 0, 1)
    if description.bits_allocated == 1:
        return np.packbits(samples.astype(bool).ravel(), bitorder="little").tobytes()
    letter = "f" if samples.dtype.kind == "f" else "i" if description.signed else "u"
    word = np.dtype(f"<{letter}{description.bits_allocated // 8}")
    return samples.astype(word).tobytes()


def packed(frames: Iterable[bytes], frame_bits: int) -> Iterator[bytes]:
    """Yield frames without padding between them, as native pixel data holds them (PS3.5 8.1.1).

    Only frames of single bits do not end with a whole byte: the next one begins within it.
    """
    if frame_bits % 8 == 0:
        yield from frames
        return
    held, count = 0, 0  # the bits that do not fill a byte yet, and how many they are
    for frame in frames:
        held |= int.from_bytes(frame, "little") << count
        size, count = divmod(count + frame_bits, 8)
        yield (held & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        held >>= 8 * size
    if count:
        yield held.to_bytes(1, "little")


def _check(decoded: DecodedFrame, description: PixelDescription) -> None:
    """Refuse a frame that does not fit the attributes, which are all that a reader has."""
    count = decoded.samples.shape[2] if decoded.samples.ndim == 3 else 1
    fits = (
        decoded.samples.shape[:2] == (description.rows, description.columns)
        and count == description.samples_per_pixel
        and (description.bits_allocated in _WORDS or description.bits_allocated == 1)
        and decoded.bits <= description.bits_allocated
    )
    if not fits:
        raise NotRenderable("The size of the compressed frame differs from the attributes.")
