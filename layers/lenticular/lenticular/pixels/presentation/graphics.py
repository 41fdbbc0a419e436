"""Graphic annotations of presentation states: shapes and texts, PS3.3 C.10.5 and C.10.7.

They are drawn on the picture in its final size, so lines are sharp and texts upright even if the
image is rotated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import display_text, tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import code, integer, numbers, values
from lenticular.pixels.font_choice import LEGIBLE_UNIFONT, MISSING, font, legible
from lenticular.pixels.presentation.colour import Colour, colour_of, in_colour
from lenticular.pixels.presentation.displayed_area import DisplayedArea
from lenticular.pixels.presentation.softcopy_state import GRAPHICS, TEXTS
from lenticular.pixels.right_to_left import visual

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

Array = NDArray[Any]

_WHITE = Colour(255, 255, 255)
_MAX_POINTS, _MAX_OBJECTS = 20_000, 1_000
_ROUND = np.linspace(0, 2 * np.pi, 181)[:, None]  # a circle, closed
_FAR = 20_000  # pixels; beyond this nothing is visible
_STEPS = 8  # from one point of a curve to the next
_LINE = 1.25  # of the height of letters
_LONGEST_LINE = 10_240  # as long as a text of an annotation may be (PS3.5 6.2)
_SMALLEST, _LARGEST = 11, 48
_LINES_IN_HEIGHT = 36


@dataclass(frozen=True, slots=True)
class _Pen:
    """A pen: a colour, and the thickness of lines."""

    draw: "ImageDraw"
    ink: Any
    thickness: int
    displayed: DisplayedArea

    def line(self, points: Array) -> None:
        """Draw a line through these points."""
        self.draw.line(_pixels(points), fill=self.ink, width=self.thickness, joint="curve")

    def area(self, points: Array) -> None:
        """Fill the area that these points surround."""
        self.draw.polygon(_pixels(points), fill=self.ink)


def _pixels(points: Array) -> list[tuple[float, ...]]:
    """Return the pixels in which points lie."""
    return [tuple(point) for point in np.floor(points).tolist()]


def annotated(
    picture: Array,
    state: Dataset,
    drawn: list[tuple[str, Dataset | Array]],
    displayed: DisplayedArea,
) -> Array:
    """Return the picture with annotations and overlays, each in its layer, the lowest first."""
    from PIL import Image, ImageDraw

    _check_number([each for _, each in drawn if isinstance(each, dict)])
    if not drawn:
        return picture
    layers = _layers(state)
    last = (max((order for order, _ in layers.values()), default=0) + 1, _WHITE)
    shown = sorted(
        ((*layers.get(name, last), each) for name, each in drawn), key=lambda layer: layer[0]
    )
    colours = [colour for _, colour, _ in shown]
    picture, _ = in_colour(picture, *colours)
    image = Image.fromarray(np.ascontiguousarray(picture))
    thickness = max(round(min(displayed.size) / 512), 1)
    for _, colour, annotation in shown:
        ink = tuple(colour) if picture.ndim == 3 else colour.red
        if not isinstance(annotation, dict):
            image.paste(ink, (0, 0), Image.fromarray(np.ascontiguousarray(annotation)))
            continue
        pen = _Pen(ImageDraw.Draw(image), ink, thickness, displayed)
        for graphic in display_text.items(annotation, GRAPHICS):
            _draw_graphic(pen, graphic)
        for text in display_text.items(annotation, TEXTS):
            _draw_text(pen, text)
    return np.asarray(image)


def _check_number(annotations: list[Dataset]) -> None:
    """Refuse more annotations than can be drawn."""
    drawn = [
        each
        for annotation in annotations
        for tag in (GRAPHICS, TEXTS)
        for each in display_text.items(annotation, tag)
    ]
    points = sum(len(values(each, tags.GRAPHIC_DATA)) // 2 for each in drawn)
    if points > _MAX_POINTS or len(drawn) > _MAX_OBJECTS:
        raise NotRenderable("The presentation state has more annotations than can be drawn.")


def _layers(state: Dataset) -> dict[str, tuple[int, Colour]]:
    """Return order and colour of each graphic layer by its name."""
    return {
        code(layer, tags.GRAPHIC_LAYER): (
            integer(layer, tags.GRAPHIC_LAYER_ORDER) or 0,
            colour_of(
                layer,
                tags.GRAPHIC_LAYER_RECOMMENDED_DISPLAY_GRAYSCALE_VALUE,
                tags.GRAPHIC_LAYER_RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
                _WHITE,
            ),
        )
        for layer in display_text.items(state, tags.GRAPHIC_LAYER_SEQUENCE)
    }


def _points(pen: _Pen, dataset: Dataset, tag: str, units: str) -> Array:
    """Return points in pixels of the picture, from the corner of its first one."""
    found = numbers(dataset, tag)
    if len(found) < 2 or len(found) % 2 or len(found) != len(values(dataset, tag)):
        raise NotRenderable("An annotation of the presentation state has no position.")
    points = np.array(found).reshape(-1, 2)
    unit = code(dataset, units)
    if unit not in ("PIXEL", "DISPLAY"):
        raise NotRenderable("An annotation of the presentation state has unknown units.")
    to_picture = pen.displayed.of_image if unit == "PIXEL" else pen.displayed.of_display
    return np.clip(to_picture(points), -_FAR, _FAR)


def _draw_graphic(pen: _Pen, graphic: Dataset) -> None:
    """Draw a shape."""
    graphic_type = code(graphic, tags.GRAPHIC_TYPE)
    points = _points(pen, graphic, tags.GRAPHIC_DATA, tags.GRAPHIC_ANNOTATION_UNITS)
    if graphic_type == "POINT":
        _draw_cross(pen, points[0])
        return
    if graphic_type not in _OUTLINES:
        raise NotRenderable("A graphic of the presentation state has an unknown type.")
    outline = _OUTLINES[graphic_type](points)
    if code(graphic, tags.GRAPHIC_FILLED) == "Y" and len(outline) > 2:
        pen.area(outline)
    pen.line(outline)


def _draw_cross(pen: _Pen, point: Array) -> None:
    """Draw a point as a cross."""
    for arm in np.eye(2) * 3 * pen.thickness:
        pen.line(np.array([point - arm, point + arm]))


def _polyline(points: Array) -> Array:
    """Return the points of a polyline."""
    return points


def _curve(points: Array) -> Array:
    """Return a smooth curve through all points (Catmull and Rom), closed if they are."""
    if len(points) < 3:
        return points
    is_closed = np.allclose(points[0], points[-1])
    before, after = (points[-2], points[1]) if is_closed else (points[0], points[-1])
    chain = np.vstack((before, points, after))
    step = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    pieces = [
        b + 0.5 * step * ((c - a) + step * ((2 * a - 5 * b + 4 * c - d)
                                            + step * (3 * (b - c) + d - a)))
        for a, b, c, d in zip(chain, chain[1:], chain[2:], chain[3:], strict=False)
    ]  # fmt: skip
    return np.vstack((*pieces, points[-1:]))


def _circle(points: Array) -> Array:
    """Return a circle around the first point through the second."""
    if len(points) != 2:
        raise NotRenderable("A circle of the presentation state is not two points.")
    arm = points[1] - points[0]
    return _around(points[0], arm, np.array([-arm[1], arm[0]]))


def _ellipse(points: Array) -> Array:
    """Return an ellipse between the ends of its two axes."""
    if len(points) != 4:
        raise NotRenderable("An ellipse of the presentation state is not four points.")
    center = points.mean(axis=0)
    return _around(center, (points[1] - points[0]) / 2, (points[3] - points[2]) / 2)


def _around(center: Array, first: Array, second: Array) -> Array:
    """Return the points of an ellipse around a center."""
    return np.asarray(center + np.cos(_ROUND) * first + np.sin(_ROUND) * second)


_OUTLINES: dict[str, Callable[[Array], Array]] = {
    "POLYLINE": _polyline,
    "INTERPOLATED": _curve,
    "CIRCLE": _circle,
    "ELLIPSE": _ellipse,
}


@dataclass(frozen=True, slots=True)
class _Written:
    """Lines of text, and their letters; `em` in pixels."""

    lines: list[str]
    em: float

    @property
    def letters(self) -> "FreeTypeFont | ImageFont":
        return font(round(self.em), "".join(self.lines))

    @property
    def height(self) -> float:
        return len(self.lines) * self.em * _LINE


def _draw_text(pen: _Pen, text: Dataset) -> None:
    """Draw a text in its box or beside its anchor point, and the line between the two if wanted."""
    lines = _lines(text)
    box = _box(pen, text)
    anchor = (
        _points(pen, text, tags.ANCHOR_POINT, tags.ANCHOR_POINT_ANNOTATION_UNITS)[0]
        if values(text, tags.ANCHOR_POINT)
        else None
    )
    written = _Written(lines, _em(pen, lines, box))
    target = box if box is not None or anchor is None else np.array([anchor, anchor])
    if target is None:
        raise NotRenderable("A text of the presentation state has no position.")
    box = target if box is not None else target + written.em / 2
    if anchor is not None and code(text, tags.ANCHOR_POINT_VISIBILITY) == "Y":
        pen.line(np.array([anchor, np.clip(anchor, *box)]))
    # A text beside a point that is not displayed is left out, and not moved to another point.
    if (target[1] >= 0).all() and (target[0] <= pen.displayed.size).all():
        _write(pen, written, box, code(text, tags.BOUNDING_BOX_TEXT_HORIZONTAL_JUSTIFICATION))


def _lines(text: Dataset) -> list[str]:
    """Return the lines of a text in visual order."""
    lines = "".join(
        str(value) for value in values(text, tags.UNFORMATTED_TEXT_VALUE)[:1]
    ).splitlines()
    shown = [visual(legible(line.expandtabs(4).rstrip(), _LONGEST_LINE)) for line in lines]
    if any(MISSING in line for line in shown):
        raise NotRenderable(
            "The presentation state has text with letters that are in no font here."
        )
    return shown


def _box(pen: _Pen, text: Dataset) -> Array | None:
    """Return the upper left and the lower right corner of the bounding box in the picture."""
    if not values(text, tags.BOUNDING_BOX_TOP_LEFT_HAND_CORNER):
        return None
    corners = np.vstack(
        [
            _points(pen, text, tag, tags.BOUNDING_BOX_ANNOTATION_UNITS)
            for tag in (
                tags.BOUNDING_BOX_TOP_LEFT_HAND_CORNER,
                tags.BOUNDING_BOX_BOTTOM_RIGHT_HAND_CORNER,
            )
        ]
    )
    return np.array([corners.min(axis=0), corners.max(axis=0)])


def _em(pen: _Pen, lines: list[str], box: Array | None) -> float:
    """Return the size of letters that fill the box, if they are legible; else the usual one."""
    text = "".join(lines)
    least = _SMALLEST if text.isascii() else LEGIBLE_UNIFONT
    usual = min(max(pen.displayed.size[1] / _LINES_IN_HEIGHT, least), _LARGEST)
    if box is None or not lines:
        return usual
    width, height = box[1] - box[0]
    widest = max(font(100, text).getlength(line) for line in lines) / 100
    fitting = min(height / (len(lines) * _LINE), width / max(widest, 0.1))
    return float(min(max(fitting, least), 2 * usual))


def _write(pen: _Pen, written: _Written, box: Array, justification: str) -> None:
    """Write within the box; beyond it if it is too small, but not beyond the picture."""
    share = {"RIGHT": 1.0, "CENTER": 0.5}.get(justification, 0.0)
    width, height = pen.displayed.size
    (left, upper), (right, _) = box.tolist()
    top = max(min(upper, height - written.height), 0)
    for number, line in enumerate(written.lines):
        length = written.letters.getlength(line)
        x = left + (right - left - length) * share
        corner = (max(min(x, width - length), 0), top + number * written.em * _LINE)
        pen.draw.text(corner, line, fill=pen.ink, font=written.letters)
