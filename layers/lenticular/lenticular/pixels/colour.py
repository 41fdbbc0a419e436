"""Colours of every space as RGB of 8 bits, PS3.3 C.7.6.3.1.2."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.pixels.decode import Frame

Array = NDArray[Any]

_VALUES = np.arange(256, dtype=np.float64)
# ITU-R BT.601 leaves room below black and above white; YBR_FULL does not.
_LUMA_IN_FULL = np.clip((_VALUES - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
_CHROMA_IN_FULL = np.clip((_VALUES - 128) * 255 / 224 + 128, 0, 255).round().astype(np.uint8)

_PILLOW_MODES = {"YBR_FULL": "YCbCr", "YBR_PARTIAL": "YCbCr", "HSV": "HSV", "CMYK": "CMYK"}


def to_rgb(frame: Frame) -> Array:
    """The frame's colours as RGB of 8 bits, shape (rows, columns, 3)."""
    samples = in_eight_bits(frame.samples, frame.bits)
    if frame.colour_space == "ARGB":
        return np.ascontiguousarray(samples[:, :, 1:])
    if frame.colour_space == "YBR_PARTIAL":
        samples = np.stack(
            (
                _LUMA_IN_FULL[samples[:, :, 0]],
                *np.moveaxis(_CHROMA_IN_FULL[samples[:, :, 1:]], 2, 0),
            ),
            axis=2,
        )
    mode = _PILLOW_MODES.get(frame.colour_space)
    return samples if mode is None else _converted(samples, mode)


def in_eight_bits(samples: Array, bits: int) -> Array:
    """The upper eight of the bits in use; fewer than eight are spread over the whole range."""
    if samples.dtype.kind == "i":
        samples = samples.clip(0)
    if bits > 8:
        samples = samples >> (bits - 8)
    elif bits < 8:
        samples = samples * (255 // ((1 << bits) - 1))
    return np.ascontiguousarray(samples.astype(np.uint8, copy=False))


def _converted(samples: Array, mode: str) -> Array:
    from PIL import Image

    size = (samples.shape[1], samples.shape[0])
    return np.asarray(Image.frombuffer(mode, size, samples, "raw", mode, 0, 1).convert("RGB"))
