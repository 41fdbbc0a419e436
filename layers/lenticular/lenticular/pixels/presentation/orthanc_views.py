"""Greys as Orthanc shows them: stretched between their extremes, or as clamped numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.presentation.grey import GreyTransformation, apply, least_and_greatest
from lenticular.pixels.render_options import Window

Array = NDArray[Any]


def stretch(frame: DecodedFrame) -> Array:
    """Return the samples as greys, the least black, the greatest white, linear in between."""
    low, high = least_and_greatest(frame.samples, None)
    window = Window((low + high) / 2, high - low, "LINEAR_EXACT")
    inverted = frame.colour_space == "MONOCHROME1"
    return apply(GreyTransformation(voi=window, inverted=inverted), frame.samples)


def clamp(frame: DecodedFrame, number_type: str) -> Array:
    """Return stored values as numbers of this type (uint8, uint16, int16), clamped to its range.

    Negative numbers become their bit patterns, since the formats know none. A single bit becomes 0
    or 255: a picture of zeros and ones looks black.
    """
    limits = np.iinfo(number_type)
    samples = np.nan_to_num(frame.samples) if frame.samples.dtype.kind == "f" else frame.samples
    if frame.bits == 1:
        samples = (samples != 0) * np.uint8(255)
    clamped: Array = samples.clip(limits.min, limits.max).astype(number_type)
    return clamped.view(f"u{clamped.dtype.itemsize}")
