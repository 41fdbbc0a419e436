"""The query parameters of rendered resources, PS3.18 8.3.5.1.

Those of the URI service are in `uri_options.py`. Nothing here needs a codec, so a route can read
the parameters without loading one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lenticular.errors import InvalidRequest
from lenticular.pixels.picture_formats import JPEG, PNG

THUMBNAIL_SIDE = 200
MAX_VIEWPORT_SIDE = 8192
DEFAULT_QUALITY = 90

_FUNCTIONS = {
    "linear": "LINEAR",
    "linear-exact": "LINEAR_EXACT",
    "linear_exact": "LINEAR_EXACT",
    "sigmoid": "SIGMOID",
}
ANNOTATIONS = ("patient", "technique")
# Display P3 is not in the standard.
ICC_PROFILES = ("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3")
_DECIMAL = re.compile(r"[+-]?(\d{1,32}(\.\d{0,32})?|\.\d{1,32})([eE][+-]?\d{1,2})?")


@dataclass(frozen=True, slots=True)
class Window:
    """A window: center and width of the values between black and white (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str = "LINEAR"


@dataclass(frozen=True, slots=True)
class Viewport:
    """The box to fit into, and the region of the image to show.

    The sides of a region are positive; None means to the edge of the image. With `enlarge` a
    smaller region grows to fill the box. A `relative` region is in fractions of the image.
    """

    width: int
    height: int
    x: float = 0
    y: float = 0
    region_width: float | None = None
    region_height: float | None = None
    flip_horizontally: bool = False
    flip_vertically: bool = False
    enlarge: bool = True
    relative: bool = False

    @property
    def is_whole(self) -> bool:
        """True if the whole image is shown, without a flip."""
        end = 1.0 if self.relative else None
        return (self.x, self.y, self.region_width, self.region_height) == (0, 0, end, end)


@dataclass(frozen=True, slots=True)
class RenderOptions:
    """All options of a picture that a client can choose."""

    media_type: str = JPEG
    quality: int = DEFAULT_QUALITY
    window: Window | None = None
    viewport: Viewport | None = None
    annotations: tuple[str, ...] = ()
    icc_profile: str = "no"

    @property
    def is_special(self) -> bool:
        """True for a region, or a window of the user's choice."""
        return self.window is not None or not (self.viewport is None or self.viewport.is_whole)


THUMBNAIL = Viewport(THUMBNAIL_SIDE, THUMBNAIL_SIDE, enlarge=False)


def parse_annotations(text: str | None) -> tuple[str, ...]:
    """Read a list of `patient` and `technique` (PS3.18 8.3.5.1.1); None is without any.

    Other keywords are ignored; `unknown_annotations` names them for a warning.
    """
    if text is None:
        return ()
    if not _annotations(text):
        raise InvalidRequest("`annotation` must be a list of: patient, technique.")
    return tuple(name for name in _annotations(text) if name in ANNOTATIONS)


def unknown_annotations(text: str) -> list[str]:
    """Return the keywords of a list that are not drawn here."""
    return [name for name in _annotations(text) if name not in ANNOTATIONS]


def _annotations(text: str) -> list[str]:
    return list(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))


def parse_icc_profile(text: str) -> str:
    """Return the ICC profile or colour space that is asked for (PS3.18 8.3.5.1.5)."""
    name = text.strip().lower()
    if name not in ICC_PROFILES:
        raise InvalidRequest(f"`iccprofile` must be one of: {', '.join(ICC_PROFILES)}.")
    return name


def parse_quality(text: str) -> int:
    """Read an integer from 1 to 100 (PS3.18 8.3.5.1.2)."""
    if not re.fullmatch(r"[1-9]\d?|100", text.strip()):
        raise InvalidRequest("`quality` must be an integer from 1 to 100.")
    return int(text)


def parse_window(text: str) -> Window:
    """Read `center,width,function`; all three are required (PS3.18 8.3.5.1.4)."""
    parts = [part.strip() for part in text.split(",")]
    name = _FUNCTIONS.get(parts[-1].lower())
    if len(parts) != 3 or name is None:
        raise InvalidRequest(
            "`window` must be center,width,function: linear, linear-exact, sigmoid."
        )
    center, width, _ = parts
    window = Window(decimal(center, "window"), decimal(width, "window"), name)
    if window.width < (1 if name == "LINEAR" else 1e-9):
        raise InvalidRequest(
            "The width of a `window` must be at least 1, or above 0 if not linear."
        )
    return window


def parse_viewport(text: str) -> Viewport:
    """Read `vw,vh` or `vw,vh,sx,sy,sw,sh`; an empty one is the image's (8.3.5.1.3)."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 6):
        raise InvalidRequest("`viewport` must be vw,vh or vw,vh,sx,sy,sw,sh.")
    width, height = (_side(part) for part in parts[:2])
    if len(parts) == 2:
        return Viewport(width, height)
    x, y, region_width, region_height = (
        decimal(part, "viewport") if part else None for part in parts[2:]
    )
    x, y = x or 0.0, y or 0.0
    if x < 0 or y < 0 or not _is_visible(region_width, region_height):
        raise InvalidRequest("The region of a `viewport` must be at least a pixel in the image.")
    return Viewport(
        width,
        height,
        x,
        y,
        None if region_width is None else abs(region_width),
        None if region_height is None else abs(region_height),
        flip_horizontally=(region_width or 1) < 0,
        flip_vertically=(region_height or 1) < 0,
    )


def _is_visible(*sides: float | None) -> bool:
    """Return True if the sides are at least a pixel."""
    return all(side is None or abs(side) >= 1 for side in sides)


def _side(text: str) -> int:
    """Read the width or height of a viewport."""
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= MAX_VIEWPORT_SIDE:
        raise InvalidRequest(
            f"Width and height of a `viewport` must be integers from 1 to {MAX_VIEWPORT_SIDE}."
        )
    return int(text)


def decimal(text: str, parameter: str) -> float:
    """Return a number of a parameter."""
    if not _DECIMAL.fullmatch(text):
        raise InvalidRequest(f"`{parameter}` contains something that is not a number.")
    return float(text)


PARAMETERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "quality": ("quality", parse_quality),
    "window": ("window", parse_window),
    "viewport": ("viewport", parse_viewport),
    "annotation": ("annotations", parse_annotations),
    "iccprofile": ("icc_profile", parse_icc_profile),
}
"""Each parameter with the field of RenderOptions that it sets, and the function that reads it."""


def parse_options(parameters: Mapping[str, str], media_type: str = JPEG) -> RenderOptions:
    """Read the parameters of PS3.18 8.3.5.1; others are ignored."""
    given = {
        field: parse(parameters[name])
        for name, (field, parse) in PARAMETERS.items()
        if name in parameters
    }
    require_room_for_profile(given.get("icc_profile", "no"), media_type)
    return RenderOptions(media_type, **given)


def require_room_for_profile(icc_profile: str, media_type: str) -> None:
    """Refuse an ICC profile in a media type that carries none (PS3.18 8.3.5.1.5)."""
    if icc_profile != "no" and media_type not in (JPEG, PNG):
        raise InvalidRequest(f"`iccprofile` applies to {JPEG} and {PNG}, not to {media_type}.")


def parse_thumbnail_options(parameters: Mapping[str, str], media_type: str) -> RenderOptions:
    """Read the parameters of a thumbnail, PS3.18 8.3.5.2: only the box to fit into.

    Other parameters of rendered resources are refused; an annotation would put the patient's name
    into a picture that "shall not contain any Patient Identifying Information" (10.4.1.1.4).
    """
    for name in PARAMETERS:
        if name in parameters and name != "viewport":
            raise InvalidRequest(f"`{name}` cannot be given for a thumbnail; ask for /rendered.")
    if "viewport" not in parameters:
        return RenderOptions(media_type, viewport=THUMBNAIL)
    viewport = parse_viewport(parameters["viewport"])
    if not viewport.is_whole:
        raise InvalidRequest("The `viewport` of a thumbnail must be vw,vh: its width and height.")
    return RenderOptions(media_type, viewport=viewport)
