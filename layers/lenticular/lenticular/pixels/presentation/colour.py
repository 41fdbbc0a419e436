"""Colours of every space as RGB of 8 bits, PS3.3 C.7.6.3.1.2; single ones, C.10.7.1.1."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom.model import Dataset
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.dataset_values import integer, integers

Array = NDArray[Any]

_VALUES = np.arange(256, dtype=np.float64)
# ITU-R BT.601 leaves room below black and above white; YBR_FULL does not.
_LUMA_IN_FULL = np.clip((_VALUES - 16) * 255 / 219, 0, 255).round().astype(np.uint8)
_CHROMA_IN_FULL = np.clip((_VALUES - 128) * 255 / 224 + 128, 0, 255).round().astype(np.uint8)

_PILLOW_MODES = {"YBR_FULL": "YCbCr", "YBR_PARTIAL": "YCbCr", "HSV": "HSV", "CMYK": "CMYK"}


# From XYZ with the white point D50, as CIELab has it, to the primaries of sRGB.
_XYZ_TO_SRGB = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)
_D50 = np.array([0.9642, 1.0, 0.8249])


class Colour(NamedTuple):
    """Red, green and blue of 8 bits."""

    red: int
    green: int
    blue: int


def colour_of(dataset: Dataset, grey: str, cie_lab: str, default: Colour) -> Colour:
    """Return a colour of a dataset: a P-Value of 16 bits, a CIELab value, or both."""
    lab, value = integers(dataset, cie_lab), integer(dataset, grey)
    if len(lab) == 3:
        return _from_lab(*lab)
    return default if value is None else Colour(*[min(max(value, 0), 65535) >> 8] * 3)


def in_colour(picture: Array, *colours: Colour) -> tuple[Array, Any]:
    """Return the picture, in RGB if a colour needs it, and the first colour as a pixel of it."""
    if picture.ndim == 2 and all(len(set(colour)) == 1 for colour in colours):
        return picture, colours[0].red
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, axis=2)
    return picture, colours[0]


def _from_lab(*encoded: int) -> Colour:
    """Return a colour of PS3.3 C.10.7.1.1: L of 0 to 100, a and b of -128 to 127, in 16 bits."""
    lightness, a, b = (value / 65535 for value in encoded)
    y = (lightness * 100 + 16) / 116
    ends = np.array([y + (a * 255 - 128) / 500, y, y - (b * 255 - 128) / 200])
    xyz = np.where(ends > 6 / 29, ends**3, (ends - 4 / 29) * 3 * (6 / 29) ** 2) * _D50
    linear = np.clip(_XYZ_TO_SRGB @ xyz, 0, 1)
    curved = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Colour(*(int(channel) for channel in (curved * 255).round()))


def to_rgb(frame: DecodedFrame) -> Array:
    """Return the frame's colours as RGB of 8 bits, shape (rows, columns, 3)."""
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
    """Return the upper eight of the bits in use; fewer bits are spread over the whole range."""
    if samples.dtype.kind == "i":
        samples = samples.clip(0)
    if bits > 8:
        samples = samples >> (bits - 8)
    elif bits < 8:
        samples = samples * (255 // ((1 << bits) - 1))
    return np.ascontiguousarray(samples.astype(np.uint8, copy=False))


def _converted(samples: Array, mode: str) -> Array:
    """Return the samples converted by Pillow from this mode to RGB."""
    from PIL import Image

    size = (samples.shape[1], samples.shape[0])
    return np.asarray(Image.frombuffer(mode, size, samples, "raw", mode, 0, 1).convert("RGB"))
