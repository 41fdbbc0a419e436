"""The rendering parameters of the URI service, PS3.18 9.5.1.2.

They mean the same as those of rendered resources (`render_options.py`) under other names: the
viewport is `rows` and `columns`, its region in fractions of the image.
"""

import re
from collections.abc import Mapping

from lenticular.errors import InvalidRequest
from lenticular.pixels.render_options import (
    DEFAULT_QUALITY,
    MAX_VIEWPORT_SIDE,
    RenderOptions,
    Viewport,
    Window,
    decimal,
    parse_annotations,
    parse_icc_profile,
    parse_quality,
    require_room_for_profile,
)

PARAMETERS = (
    *("annotation", "imageAnnotation", "rows", "columns", "region", "windowCenter"),
    *("windowWidth", "imageQuality", "iccprofile", "presentationUID", "presentationSeriesUID"),
)
"""The parameters of pictures; they are refused for a DICOM object."""


def parse_uri_options(parameters: Mapping[str, str], media_type: str) -> RenderOptions:
    """Read the parameters of PS3.18 9.5.1.2; others are ignored."""
    annotation = parameters.get("annotation", parameters.get("imageAnnotation"))
    icc_profile = parse_icc_profile(parameters.get("iccprofile", "no"))
    require_room_for_profile(icc_profile, media_type)
    return RenderOptions(
        media_type=media_type,
        quality=_quality(parameters.get("imageQuality", str(DEFAULT_QUALITY))),
        window=_window(parameters),
        viewport=_viewport(parameters),
        annotations=parse_annotations(annotation),
        icc_profile=icc_profile,
    )


def _quality(text: str) -> int:
    """Read `imageQuality`."""
    try:
        return parse_quality(text)
    except InvalidRequest:
        raise InvalidRequest("`imageQuality` must be an integer from 1 to 100.") from None


def _window(parameters: Mapping[str, str]) -> Window | None:
    """Return the window of center and width; refuse one without the other."""
    center, width = parameters.get("windowCenter"), parameters.get("windowWidth")
    if center is None and width is None:
        return None
    if center is None or width is None:
        raise InvalidRequest("`windowCenter` and `windowWidth` must be given together.")
    window = Window(decimal(center, "windowCenter"), decimal(width, "windowWidth"))
    if window.width < 1:
        raise InvalidRequest("`windowWidth` must be at least 1.")
    return window


def _viewport(parameters: Mapping[str, str]) -> Viewport | None:
    """Return the box of at most these rows and columns, and the region to show."""
    rows, columns = _side(parameters, "rows"), _side(parameters, "columns")
    region = parameters.get("region")
    if rows is None and columns is None and region is None:
        return None
    left, upper, right, lower = (0.0, 0.0, 1.0, 1.0) if region is None else _region(region)
    return Viewport(
        columns or MAX_VIEWPORT_SIDE,
        rows or MAX_VIEWPORT_SIDE,
        left,
        upper,
        right - left,
        lower - upper,
        enlarge=rows is not None or columns is not None,
        relative=True,
    )


def _side(parameters: Mapping[str, str], name: str) -> int | None:
    """Read `rows` or `columns`."""
    text = parameters.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= MAX_VIEWPORT_SIDE:
        raise InvalidRequest(f"`{name}` must be an integer from 1 to {MAX_VIEWPORT_SIDE}.")
    return int(text)


def _region(text: str) -> tuple[float, float, float, float]:
    """Return left, upper, right and lower edge in fractions of the image (PS3.18 9.5.1.2.5)."""
    edges = [decimal(part.strip(), "region") for part in text.split(",")]
    if len(edges) != 4:
        raise InvalidRequest("`region` must be four numbers: left, upper, right, lower.")
    left, upper, right, lower = edges
    if not (0 <= left < right <= 1 and 0 <= upper < lower <= 1):
        raise InvalidRequest("`region` must be between 0 and 1, its left and upper edge first.")
    return left, upper, right, lower
