"""Overlay planes: a bit for each pixel, in an image or in its presentation state; PS3.3 C.9.2."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import BulkReader, content, integer, integers
from lenticular.pixels.image_pixel import check_size

Array = NDArray[Any]


def read_overlay(dataset: Dataset, group: str, bulk: BulkReader, shape: tuple[int, int]) -> Array:
    """Return the mask of an overlay (group `6000` to `601E`) for an image of this shape."""
    rows, columns = integer(dataset, group + "0010") or 0, integer(dataset, group + "0011") or 0
    origin = integers(dataset, group + "0050") or [1, 1]
    frames, bits = integer(dataset, group + "0015") or 1, integer(dataset, group + "0100") or 1
    if rows < 1 or columns < 1 or len(origin) != 2 or (frames, bits) != (1, 1):
        raise _unreadable()
    check_size(rows, columns, 1)
    data = np.frombuffer(content(dataset, group + "3000", bulk), np.uint8)
    if data.size * 8 < rows * columns:
        raise _unreadable()
    plane = np.unpackbits(data, count=rows * columns, bitorder="little").reshape(rows, columns)
    mask = np.zeros(shape, bool)
    upper, left = (first - 1 for first in origin)
    y, x = max(upper, 0), max(left, 0)
    lower, right = min(upper + rows, shape[0]), min(left + columns, shape[1])
    if y < lower and x < right:
        mask[y:lower, x:right] = plane[y - upper : lower - upper, x - left : right - left]
    return mask


def _unreadable() -> NotRenderable:
    return NotRenderable("An overlay that the presentation state shows cannot be read.")
