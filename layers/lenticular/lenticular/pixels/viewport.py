"""Regions of a picture, fitted into a viewport (PS3.18 8.3.5.1.3)."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.errors import InvalidRequest
from lenticular.pixels.render_options import Viewport

Array = NDArray[Any]

_LEAST = 0.01  # of a pixel: the least region that can be enlarged


def fit(picture: Array, viewport: Viewport) -> Array:
    """Return a region of the picture, fitted into a box with its proportions (PS3.18 8.3.5.1.3)."""
    rows, columns = picture.shape[:2]
    viewport = _in_pixels(viewport, rows, columns)
    box = _region(viewport, rows, columns)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(viewport.width / width, viewport.height / height)
    if not viewport.enlarge:
        scale = min(scale, 1.0)
    size = (
        min(max(round(width * scale), 1), viewport.width),
        min(max(round(height * scale), 1), viewport.height),
    )
    if box != (0, 0, columns, rows) or size != (columns, rows):
        picture = resized(picture, size, box)
    if viewport.flip_horizontally:
        picture = picture[:, ::-1]
    return picture[::-1] if viewport.flip_vertically else picture


def _in_pixels(viewport: Viewport, rows: int, columns: int) -> Viewport:
    """Return the same viewport with a region in pixels."""
    if not viewport.relative:
        return viewport
    return replace(
        viewport,
        x=viewport.x * columns,
        y=viewport.y * rows,
        region_width=max((viewport.region_width or 1) * columns, 1),
        region_height=max((viewport.region_height or 1) * rows, 1),
        relative=False,
    )


def _region(viewport: Viewport, rows: int, columns: int) -> tuple[float, float, float, float]:
    """Return left, upper, right and lower edge of the region to show."""
    if viewport.x > columns - _LEAST or viewport.y > rows - _LEAST:
        raise InvalidRequest("The region of the `viewport` is outside of the image.")
    width = columns if viewport.region_width is None else viewport.region_width
    height = rows if viewport.region_height is None else viewport.region_height
    right, lower = min(viewport.x + width, columns), min(viewport.y + height, rows)
    return viewport.x, viewport.y, right, lower


def resized(picture: Array, size: tuple[int, int], box: tuple[float, float, float, float]) -> Array:
    """Return a region of the picture in another size."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    # With the gap large pictures shrink by whole factors first: three times as fast.
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0))
