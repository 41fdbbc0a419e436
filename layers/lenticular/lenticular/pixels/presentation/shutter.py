"""Display shutters: the parts of a picture that are covered, PS3.3 C.7.6.11."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import BulkReader, integer, integers, values
from lenticular.pixels.presentation.colour import Colour, colour_of, in_colour
from lenticular.pixels.presentation.overlay import read_overlay

Array = NDArray[Any]

_FAR_AWAY = 10**9  # pixels; beyond every picture, and its square is still an exact number


def covered(picture: Array, state: Dataset, bulk: BulkReader) -> Array:
    """Return the picture with the areas outside its shutters in the shutters' colour."""
    shapes = [str(value).strip().upper() for value in values(state, tags.SHUTTER_SHAPE)]
    if not shapes:
        return picture
    rows, columns = picture.shape[:2]
    visible = np.ones((rows, columns), bool)
    for shape in shapes:
        if shape == "BITMAP":
            visible &= ~_bitmap(state, bulk, (rows, columns))
        elif shape in _VISIBLE:
            visible &= _VISIBLE[shape](state, rows, columns)
        else:
            raise NotRenderable("A display shutter of the presentation state has an unknown shape.")
    colour = colour_of(
        state,
        tags.SHUTTER_PRESENTATION_VALUE,
        tags.SHUTTER_PRESENTATION_COLOR_CIE_LAB_VALUE,
        Colour(0, 0, 0),
    )
    picture, ink = in_colour(picture, colour)
    picture = picture.copy()
    picture[~visible] = ink
    return picture


def _bitmap(state: Dataset, bulk: BulkReader, shape: tuple[int, int]) -> Array:
    """Return an overlay of the state that covers what lies below it (PS3.3 C.7.6.15)."""
    return read_overlay(state, f"{_edge(state, tags.SHUTTER_OVERLAY_GROUP):04X}", bulk, shape)


def _within_rectangle(state: Dataset, rows: int, columns: int) -> Array:
    """Return True for pixels between the edges, which count from 1."""
    left, right = (
        _edge(state, tags.SHUTTER_LEFT_VERTICAL_EDGE),
        _edge(state, tags.SHUTTER_RIGHT_VERTICAL_EDGE),
    )
    upper, lower = (
        _edge(state, tags.SHUTTER_UPPER_HORIZONTAL_EDGE),
        _edge(state, tags.SHUTTER_LOWER_HORIZONTAL_EDGE),
    )
    row, column = np.ogrid[1 : rows + 1, 1 : columns + 1]
    return np.asarray((row >= upper) & (row <= lower) & (column >= left) & (column <= right))


def _within_circle(state: Dataset, rows: int, columns: int) -> Array:
    center, radius = (
        _places(state, tags.CENTER_OF_CIRCULAR_SHUTTER),
        _edge(state, tags.RADIUS_OF_CIRCULAR_SHUTTER),
    )
    if len(center) != 2:
        raise _unreadable()
    row, column = np.ogrid[1 : rows + 1, 1 : columns + 1]
    squares = (row - center[0]) ** 2 + (column - center[1]) ** 2
    return np.asarray(squares <= radius**2)


def _within_polygon(state: Dataset, rows: int, columns: int) -> Array:
    from PIL import Image, ImageDraw

    vertices = _places(state, tags.VERTICES_OF_THE_POLYGONAL_SHUTTER)
    if len(vertices) < 6 or len(vertices) % 2:
        raise _unreadable()
    mask = Image.new("L", (columns, rows))
    corners = [(column - 1, row - 1) for row, column in zip(*[iter(vertices)] * 2, strict=True)]
    ImageDraw.Draw(mask).polygon(corners, fill=1, outline=1)
    return np.asarray(mask) > 0


_VISIBLE = {
    "RECTANGULAR": _within_rectangle,
    "CIRCULAR": _within_circle,
    "POLYGONAL": _within_polygon,
}


def _places(state: Dataset, tag: str) -> list[int]:
    return [max(-_FAR_AWAY, min(number, _FAR_AWAY)) for number in integers(state, tag)]


def _edge(state: Dataset, tag: str) -> int:
    found = integer(state, tag)
    if found is None:
        raise _unreadable()
    return found


def _unreadable() -> NotRenderable:
    return NotRenderable("A display shutter of the presentation state is incomplete.")
