"""From stored values to a picture of 8 bits, PS3.4 N.2 and PS3.18 8.3.5.

Greys pass through Modality LUT, VOI LUT and Presentation LUT, colours become RGB. For samples of up
to 16 bits the three are one table of bytes, computed once for each set of parameters: looking up is
ten times faster than computing.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.dataset_values import BulkReader, code, integer, item, number
from lenticular.pixels.presentation.colour import to_rgb
from lenticular.pixels.presentation.luts import Lut, read_lut, read_palette
from lenticular.pixels.render_options import Window

Array = NDArray[Any]

# X-Ray Angiographic, Radiofluoroscopic and (retired) Biplane: their Modality LUT gives the
# intensity of the beam and is not for display; the VOI LUT applies to stored values.
_MODALITY_LUT_NOT_FOR_DISPLAY = {f"1.2.840.10008.5.1.4.1.1.12.{kind}" for kind in (1, 2, 3)}

_TABLES = 64
_COMPUTED_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class GreyTransformation:
    """The stages from a stored value to a grey; `voi` is None until computed from the samples."""

    modality: Lut | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi: Window | Lut | None = None
    presentation: Lut | None = None
    inverted: bool = False
    levels: int = 256

    @property
    def dtype(self) -> type[np.unsignedinteger[Any]]:
        """The numpy type of the greys."""
        return np.uint8 if self.levels <= 256 else np.uint16


def present(
    frame: DecodedFrame, attributes: Dataset, bulk: BulkReader, window: Window | None = None
) -> Array:
    """Return the picture of a frame: bytes in the shape (rows, columns) or (rows, columns, 3)."""
    if frame.colour_space == "PALETTE COLOR":
        return _palette_colours(frame, attributes, bulk)
    if not frame.colour_space.startswith("MONOCHROME"):
        return to_rgb(frame)
    transformation = grey_transformation(frame, attributes, bulk, window)
    inverted = frame.colour_space == "MONOCHROME1" or transformation.inverted
    if transformation.voi is None:
        voi = _full_range(frame, attributes, transformation)
        transformation = replace(transformation, voi=voi)
    return apply(replace(transformation, inverted=inverted), frame.samples)


def grey_transformation(
    frame: DecodedFrame, attributes: Dataset, bulk: BulkReader, window: Window | None = None
) -> GreyTransformation:
    """Read Modality LUT, VOI LUT and Presentation LUT Shape; a requested window comes first."""
    modality = _modality_lut(attributes, bulk, signed=frame.samples.dtype.kind == "i")
    slope, intercept = (
        number(attributes, tags.RESCALE_SLOPE),
        number(attributes, tags.RESCALE_INTERCEPT),
    )
    found = GreyTransformation(
        modality=modality,
        slope=slope if slope else 1.0,
        intercept=intercept or 0.0,
        inverted=code(attributes, tags.PRESENTATION_LUT_SHAPE) == "INVERSE",
    )
    least, _ = modality_output(frame, found)
    return replace(found, voi=window or read_voi(attributes, bulk, signed=least < 0))


def modality_output(frame: DecodedFrame, transformation: GreyTransformation) -> tuple[float, float]:
    """Return the least and the greatest value that the Modality LUT can give."""
    if transformation.modality is not None:
        return 0.0, float(transformation.modality.greatest)
    if frame.samples.dtype.kind == "f":
        return -math.inf, math.inf
    least = -(1 << (frame.bits - 1)) if frame.samples.dtype.kind == "i" else 0
    ends = (least, least + (1 << frame.bits) - 1)
    low, high = sorted(end * transformation.slope + transformation.intercept for end in ends)
    return low, high


def read_voi(attributes: Dataset, bulk: BulkReader, *, signed: bool) -> Window | Lut | None:
    """Read the first VOI LUT, or else the first window; `signed`: of signed values."""
    return _voi_lut(attributes, bulk, signed) or _window(attributes)


def apply(transformation: GreyTransformation, samples: Array) -> Array:
    """Return the greys of these samples."""
    transformation = _between_whole_numbers(transformation, samples)
    if samples.dtype.kind not in "iu" or samples.dtype.itemsize > 2:
        return _computed(transformation, samples)
    size = samples.dtype.itemsize
    table = _table(transformation, f"{samples.dtype.kind}{size}")
    return np.take(table, samples.view(f"u{size}"))


def _between_whole_numbers(
    transformation: GreyTransformation, samples: Array
) -> GreyTransformation:
    """Use the exact function in place of LINEAR where values lie between whole numbers.

    LINEAR counts whole numbers, so a width of 1 leaves two of them (PS3.3 C.11.2.1.2.1); of a
    parametric map from 0 to 1 that would be black and white only.
    """
    voi = transformation.voi
    if not isinstance(voi, Window) or voi.function != "LINEAR":
        return transformation
    is_fractional = samples.dtype.kind == "f"
    if voi.width == 1 and transformation.modality is None:
        is_fractional = is_fractional or not transformation.slope.is_integer()
    if not is_fractional:
        return transformation
    return replace(transformation, voi=replace(voi, function="LINEAR_EXACT"))


def _computed(transformation: GreyTransformation, samples: Array) -> Array:
    """Return the greys of samples too deep for a table, some rows at a time to save memory."""
    picture = np.empty(samples.shape, transformation.dtype)
    step = max(_COMPUTED_AT_ONCE // max(samples.shape[1], 1), 1)
    for start in range(0, len(samples), step):
        rows = samples[start : start + step].astype(np.float64)
        picture[start : start + step] = _greys(transformation, rows)
    return picture


@lru_cache(maxsize=_TABLES)
def _table(transformation: GreyTransformation, sample_type: str) -> Array:
    """Return the grey of every value of samples of this type, by its bit pattern."""
    patterns = np.arange(1 << (8 * int(sample_type[1])), dtype=f"u{sample_type[1]}")
    return _greys(transformation, patterns.view(sample_type).astype(np.float64))


def _greys(transformation: GreyTransformation, values: Array) -> Array:
    """Return the greys of these values."""
    with np.errstate(all="ignore"):  # files have slopes and widths of every size
        light = np.nan_to_num(_light(transformation.voi, _modality(transformation, values)))
    if transformation.presentation is not None:
        light = _presentation(transformation.presentation, light)
    if transformation.inverted:
        light = 1.0 - light
    greys: Array = (light * (transformation.levels - 1) + 0.5).astype(transformation.dtype)
    return greys


def _presentation(lut: Lut, light: Array) -> Array:
    """Return greys through the Presentation LUT (PS3.3 C.11.6), spread over all its entries."""
    entries: Array = lut.look_up(np.rint(light * (len(lut) - 1)) + lut.first)
    return entries / lut.greatest


def _modality(transformation: GreyTransformation, values: Array) -> Array:
    """Return values through the Modality LUT, or rescaled (PS3.3 C.11.1)."""
    if transformation.modality is not None:
        return transformation.modality.look_up(values).astype(np.float64)
    return values * transformation.slope + transformation.intercept


def _light(voi: Window | Lut | None, values: Array) -> Array:
    """Return the brightness of each value, from 0 to 1 (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    if isinstance(voi, Lut):
        return voi.look_up(values) / voi.greatest
    if voi is None or voi.width <= 0:
        return np.zeros_like(values)
    if voi.function == "SIGMOID":
        exponent = np.clip(-4.0 * (values - voi.center) / voi.width, -700, 700)
        return np.asarray(1.0 / (1.0 + np.exp(exponent)))
    if voi.function == "LINEAR_EXACT" or voi.width < 1:
        return np.clip((values - voi.center) / voi.width + 0.5, 0.0, 1.0)
    if voi.width == 1:  # a step
        return (values > voi.center - 0.5).astype(np.float64)
    return np.clip((values - (voi.center - 0.5)) / (voi.width - 1.0) + 0.5, 0.0, 1.0)


def _modality_lut(attributes: Dataset, bulk: BulkReader, signed: bool) -> Lut | None:
    if code(attributes, tags.SOP_CLASS_UID) in _MODALITY_LUT_NOT_FOR_DISPLAY:
        return None
    found = item(attributes, tags.MODALITY_LUT_SEQUENCE)
    return None if found is None else read_lut(found, bulk, signed)


def _voi_lut(attributes: Dataset, bulk: BulkReader, signed: bool) -> Lut | None:
    found = item(attributes, tags.VOI_LUT_SEQUENCE)
    return None if found is None else read_lut(found, bulk, signed)


def _window(attributes: Dataset) -> Window | None:
    """Return the first window of the file, if it is valid."""
    center, width = number(attributes, tags.WINDOW_CENTER), number(attributes, tags.WINDOW_WIDTH)
    if center is None or width is None or width <= 0:
        return None
    return Window(center, width, code(attributes, tags.VOI_LUT_FUNCTION) or "LINEAR")


def _full_range(
    frame: DecodedFrame, attributes: Dataset, transformation: GreyTransformation
) -> Window | None:
    """Return a window over all possible values of up to 8 bits, or over the values of the frame.

    Without a VOI LUT the standard shows the whole range of the output of the Modality LUT,
    which is mostly black for 16-bit images.
    """
    if frame.bits <= 8 and frame.samples.dtype.kind == "u":
        low, high = 0.0, float((1 << frame.bits) - 1)
        if code(attributes, tags.MODALITY) == "SEG" and frame.bits == 8:
            high = _greatest_of_segmentation(frame, attributes)
    else:
        low, high = least_and_greatest(frame.samples, _padding(frame, attributes))
        if low == high:
            low, high = _possible_range(frame, low)
    ends = np.array([low, high])
    if transformation.modality is not None and high - low <= 65536:
        ends = np.arange(low, high + 1)  # a table need not grow steadily
    with np.errstate(all="ignore"):
        outputs = np.nan_to_num(_modality(transformation, ends))
    low, high = float(outputs.min()), float(outputs.max())
    return Window((low + high) / 2, high - low, "LINEAR_EXACT")


def _possible_range(frame: DecodedFrame, value: float) -> tuple[float, float]:
    """Return a range for a frame of one value, which by itself would be black whatever it is."""
    kind = frame.samples.dtype.kind
    if kind == "f":
        return value - 1, value + 1
    least = -(1 << frame.bits - 1) if kind == "i" else 0
    return float(least), float(least + (1 << frame.bits) - 1)


def _greatest_of_segmentation(frame: DecodedFrame, attributes: Dataset) -> float:
    """Return the value of full occupancy, or the greatest label (PS3.3 C.8.20.2)."""
    return integer(attributes, tags.MAXIMUM_FRACTIONAL_VALUE) or float(frame.samples.max(initial=1))


def least_and_greatest(samples: Array, padding: tuple[int, int] | None) -> tuple[float, float]:
    """Return the least and the greatest finite sample, without padding unless all is padding."""
    counted = samples
    if padding is not None:
        counted = samples[(samples < padding[0]) | (samples > padding[1])]
    if counted.dtype.kind == "f":
        counted = counted[np.isfinite(counted)]
    if not counted.size:
        counted = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return float(counted.min()), float(counted.max())


def _padding(frame: DecodedFrame, attributes: Dataset) -> tuple[int, int] | None:
    """Return Pixel Padding Value and its Range Limit (PS3.3 C.7.5.1.1.2), least first."""
    value = integer(attributes, tags.PIXEL_PADDING_VALUE)
    if value is None or frame.samples.dtype.kind == "f":
        return None
    limit = integer(attributes, tags.PIXEL_PADDING_RANGE_LIMIT)
    ends = [_in_sign(end, frame) for end in (value, value if limit is None else limit)]
    return min(ends), max(ends)


def _in_sign(value: int, frame: DecodedFrame) -> int:
    """Return a value with the sign of the pixels, which its VR may not have."""
    if frame.samples.dtype.kind == "i" and value >= 32768 and frame.bits <= 16:
        return value - 65536
    if frame.samples.dtype.kind == "u" and -32768 <= value < 0 and frame.bits <= 16:
        return value & ((1 << frame.bits) - 1)
    return value


def _palette_colours(frame: DecodedFrame, attributes: Dataset, bulk: BulkReader) -> Array:
    """Return the colours of a palette image."""
    palette = read_palette(attributes, bulk, frame.samples.dtype.kind == "i")
    if palette is None:
        raise NotRenderable("The image is in palette colours, but its palette is missing.")
    return palette.look_up(frame.samples)
