"""Pictures of an instance and its frames, as Orthanc shows them; PNG by default.

`rendered` applies the window of the file, `preview` stretches from the lowest to the highest value,
`image-…` has the plain values, clamped to the type.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import errors
from lenticular.dicom.model import Level
from lenticular.pixels.picture_formats import in_orthanc
from lenticular.pixels.render_options import MAX_VIEWPORT_SIDE, RenderOptions, parse_options
from lenticular.transactions.orthanc import resources
from lenticular.transactions.render import prepare
from lenticular.transactions.render.cached_render import render
from lenticular.transactions.render.render_request import PictureKind
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond
from lenticular.web.routes.orthanc.instances import stored_of
from lenticular.web.routes.orthanc.parameters import INSTANCE, takes

router = APIRouter(tags=["Orthanc"])

_WINDOW = ("window-center", "window-width")
_PARAMETERS = ("accept", "quality", "viewport", "window", "width", "height", *_WINDOW)
_OF_RENDERED = ("window", "width", "height", *_WINDOW)


@get_and_head(router, INSTANCE + "/{kind:picture}", extra=takes(*_PARAMETERS))
def preview(request: Request, identifier: str, kind: PictureKind) -> Response:
    """Return the preview or rendered image of an instance, of its first frame."""
    return _picture(request, identifier, 0, kind)


@get_and_head(router, INSTANCE + "/frames/{frame_index}/{kind:picture}", extra=takes(*_PARAMETERS))
def frame_preview(
    request: Request, identifier: str, frame_index: int, kind: PictureKind
) -> Response:
    """Return the preview or rendered image of a frame; frames are counted from 0."""
    return _picture(request, identifier, frame_index, kind)


def _picture(request: Request, identifier: str, frame_index: int, kind: PictureKind) -> Response:
    """Respond with a picture of a frame."""
    services = services_of(request)
    stored = stored_of(resources.find(services, Level.INSTANCE, identifier))
    options = _options(request, kind)
    try:
        drawing = prepare.preview(services, stored.target, frame_index, kind, options)
        if unchanged := respond.not_modified(request, drawing.etag):
            return unchanged
        drawn = render(drawing)
    except errors.NotRenderable as error:
        # Orthanc's clients expect this status if there is no picture.
        raise errors.UnsupportedMedia(error.detail) from error
    return respond.content(request, drawn.body, drawn.media_type, etag=drawn.etag)


def _options(request: Request, kind: PictureKind) -> RenderOptions:
    """Parse rendering parameters: Orthanc's, and those of DICOMweb."""
    bits = 16 if kind in (PictureKind.UINT16, PictureKind.INT16) else 8
    media_type = choose(accepted(request), list(map(Offer, in_orthanc(bits)))).media_type
    given = dict(request.query_params)
    if kind is not PictureKind.RENDERED:
        for name in _OF_RENDERED:
            if name in given:
                raise errors.InvalidRequest(f"`{name}` applies to /rendered, not to /{kind}.")
    if center_and_width := [given[name] for name in _WINDOW if name in given]:
        if len(center_and_width) == 1:
            raise errors.InvalidRequest("`window-center` and `window-width` go together.")
        given["window"] = f"{','.join(center_and_width)},linear"
    if "width" in given or "height" in given:
        # One alone leaves the other free: so large that it never counts.
        sides = (given.get(name, str(MAX_VIEWPORT_SIDE)) for name in ("width", "height"))
        given["viewport"] = ",".join(sides)
    return parse_options(given, media_type)
