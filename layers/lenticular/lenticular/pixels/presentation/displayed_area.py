"""The positions of an image's pixels in a picture: Displayed Area, rotation and flip.

Points are in pixels of the image from the corner of its first one (PS3.3 C.10.5.1.2), or in
fractions of the displayed area.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import code, number, numbers
from lenticular.pixels.image_pixel import check_size
from lenticular.pixels.render_options import Viewport
from lenticular.pixels.viewport import resized

Array = NDArray[Any]

_FARTHEST = 1 << 20


@dataclass(frozen=True, slots=True)
class DisplayedArea:
    """The displayed area (its edges, in pixels of the image), its scale, rotation and flip.

    It is scaled, then rotated clockwise by these degrees, then flipped from left to right. With a
    magnification it has a fixed scale, and no viewport changes it.
    """

    left: int
    upper: int
    right: int
    lower: int
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: int = 0
    flipped: bool = False
    magnification: float | None = None

    def scaled(self, factor: float) -> Self:
        """Return the same area, larger by this factor."""
        return replace(self, scale_x=self.scale_x * factor, scale_y=self.scale_y * factor)

    def within(self, viewport: Viewport) -> Self:
        """Return the same area, as large as the viewport allows."""
        scale = min(viewport.width / self.size[0], viewport.height / self.size[1])
        return self.scaled(scale if viewport.enlarge else min(scale, 1.0))

    @property
    def width(self) -> int:
        """The width in pixels, before rotation."""
        return max(round((self.right - self.left) * self.scale_x), 1)

    @property
    def height(self) -> int:
        """The height in pixels, before rotation."""
        return max(round((self.lower - self.upper) * self.scale_y), 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        is_turned = self.rotation in (90, 270)
        return (self.height, self.width) if is_turned else (self.width, self.height)

    def in_canvas(self, x: float, y: float) -> tuple[int, int]:
        """Return the position of a corner of a pixel before rotation and flip."""
        return round((x - self.left) * self.scale_x), round((y - self.upper) * self.scale_y)

    def of_image(self, points: Array) -> Array:
        """Return the positions of points of the image, in pixels of the picture."""
        x = (points[:, 0] - self.left) * self.scale_x
        y = (points[:, 1] - self.upper) * self.scale_y
        width, height = self.width, self.height
        x, y = {
            0: (x, y),
            90: (height - y, x),
            180: (width - x, height - y),
            270: (y, width - x),
        }[self.rotation]
        return np.stack((self.size[0] - x if self.flipped else x, y), axis=1)

    def of_display(self, points: Array) -> Array:
        """Return the positions of points given in fractions of the displayed area."""
        return points * np.array(self.size, np.float64)


def read_displayed_area(picture: Array, state: Dataset, area: Dataset) -> DisplayedArea:
    """Read Displayed Area and Spatial Transformation (PS3.3 C.10.4 and C.10.6).

    Without an area it is the whole image. Pixels that are not square are enlarged along one axis.
    """
    rows, columns = picture.shape[:2]
    rotation = number(state, tags.IMAGE_ROTATION) or 0
    if rotation not in (0, 90, 180, 270):
        raise NotRenderable(
            "The presentation state does not turn the image by a multiple of 90 degrees."
        )
    corners = (
        numbers(area, tags.DISPLAYED_AREA_TOP_LEFT_HAND_CORNER)[:2]
        + numbers(area, tags.DISPLAYED_AREA_BOTTOM_RIGHT_HAND_CORNER)[:2]
    )
    if len(corners) != 4:
        corners = [1, 1, columns, rows]
    height, magnification = (
        _pixel_height(area),
        number(area, tags.PRESENTATION_PIXEL_MAGNIFICATION_RATIO),
    )
    if any(abs(corner) > _FARTHEST for corner in corners) or not 0.01 < height < 100:
        raise NotRenderable("The displayed area of the presentation state is not valid.")
    (left, right), (upper, lower) = (sorted(map(int, corners[axis::2])) for axis in (0, 1))
    is_magnified = code(area, tags.PRESENTATION_SIZE_MODE) == "MAGNIFY" and (magnification or 0) > 0
    return DisplayedArea(
        *(left - 1, upper - 1, right, lower),
        *(max(1 / height, 1.0), max(height, 1.0)),
        int(rotation),
        flipped=code(state, tags.IMAGE_HORIZONTAL_FLIP) == "Y",
        magnification=magnification if is_magnified else None,
    )


def _pixel_height(area: Dataset) -> float:
    """Return the height of a pixel divided by its width."""
    for tag in (
        tags.PRESENTATION_PIXEL_SPACING,
        tags.PRESENTATION_PIXEL_ASPECT_RATIO,
    ):  # Presentation Pixel Spacing, Aspect Ratio
        sides = numbers(area, tag)
        if len(sides) == 2 and min(sides) > 0:
            return sides[0] / sides[1]
    return 1.0


def placed(picture: Array, displayed: DisplayedArea) -> Array:
    """Return the displayed area, scaled, rotated and flipped; black outside of the image."""
    check_size(displayed.height, displayed.width, 3 if picture.ndim == 3 else 1)
    rows, columns = picture.shape[:2]
    canvas = np.zeros((displayed.height, displayed.width, *picture.shape[2:]), np.uint8)
    box = (
        max(displayed.left, 0),
        max(displayed.upper, 0),
        min(displayed.right, columns),
        min(displayed.lower, rows),
    )
    if box[0] < box[2] and box[1] < box[3]:
        x, y = displayed.in_canvas(box[0], box[1])
        right, lower = displayed.in_canvas(box[2], box[3])
        size = (max(right - x, 1), max(lower - y, 1))
        is_as_it_was = size == (box[2] - box[0], box[3] - box[1])
        part = (
            picture[box[1] : box[3], box[0] : box[2]]
            if is_as_it_was
            else resized(picture, size, box)
        )
        canvas[y : y + size[1], x : x + size[0]] = part[
            : displayed.height - y, : displayed.width - x
        ]
    canvas = np.rot90(canvas, -displayed.rotation // 90)
    return canvas[:, ::-1] if displayed.flipped else canvas
