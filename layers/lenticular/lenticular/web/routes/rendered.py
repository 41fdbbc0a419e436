"""Rendered resources and thumbnails (WADO-RS), PS3.18 10.4.1.1.3 and 10.4.1.1.4.

A rendered document is the document, a rendered report a page; a thumbnail is always a picture.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.dicom.model import Target
from lenticular.errors import NotRenderable, TooLarge
from lenticular.index.records import LocatedInstance
from lenticular.pixels.picture_formats import IN_DICOMWEB
from lenticular.pixels.render_options import (
    PARAMETERS,
    RenderOptions,
    parse_options,
    parse_thumbnail_options,
)
from lenticular.transactions.render import prepare
from lenticular.transactions.render.cached_render import render
from lenticular.transactions.render.render_request import RenderRequest
from lenticular.transactions.render.resource_category import ResourceCategory
from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve.byte_source import FileGone
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import Omissions, name_of, obtainable
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.http.multipart import Part
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations.renditions import Rendition, drawn, warn_of_annotations
from lenticular.web.request_context import DICOMWEB, base_url, services_of
from lenticular.web.resource_paths import INSTANCE, SERIES, STUDY, frame_numbers_of, target_of
from lenticular.web.responses import respond


class RenderedRoute(DicomwebRoute):
    """A route that knows the parameters of rendered resources, too."""

    parameters = DicomwebRoute.parameters | PARAMETERS.keys()


router = APIRouter(prefix=DICOMWEB, tags=["Rendered"], route_class=RenderedRoute)

MAX_FRAMES = 100
"""Frames that one request may have drawn."""

FRAMES = INSTANCE + "/frames/{frame_list}"


@get_and_head(router, STUDY + "/rendered")
def rendered_study(request: Request, study: str) -> Response:
    """Render the representative instance of a study; as multipart, every instance."""
    return _rendered(request, target_of(study))


@get_and_head(router, SERIES + "/rendered")
def rendered_series(request: Request, study: str, series: str) -> Response:
    """Render the representative instance of a series; as multipart, every instance."""
    return _rendered(request, target_of(study, series))


@get_and_head(router, INSTANCE + "/rendered")
def rendered_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """Render an instance; of one with many frames, the representative frame."""
    return _rendered(request, target_of(study, series, instance))


@get_and_head(router, FRAMES + "/rendered")
def rendered_frames(
    request: Request, study: str, series: str, instance: str, frame_list: str
) -> Response:
    """Render a frame; several frames as the parts of a multipart response."""
    frame_numbers = frame_numbers_of(frame_list, MAX_FRAMES)
    target = target_of(study, series, instance)
    return _frames(request, target, frame_numbers, thumbnail=False)


@get_and_head(router, STUDY + "/thumbnail")
def study_thumbnail(request: Request, study: str) -> Response:
    """Render a small picture of the representative instance of a study."""
    return _rendered(request, target_of(study), thumbnail=True)


@get_and_head(router, SERIES + "/thumbnail")
def series_thumbnail(request: Request, study: str, series: str) -> Response:
    """Render a small picture of the representative instance of a series."""
    return _rendered(request, target_of(study, series), thumbnail=True)


@get_and_head(router, INSTANCE + "/thumbnail")
def instance_thumbnail(request: Request, study: str, series: str, instance: str) -> Response:
    """Render a small picture of an instance; of many frames, the representative one."""
    return _rendered(request, target_of(study, series, instance), thumbnail=True)


@get_and_head(router, FRAMES + "/thumbnail")
def frame_thumbnail(
    request: Request, study: str, series: str, instance: str, frame_list: str
) -> Response:
    """Render a small picture of a frame; of several frames, the first that is named."""
    frame_numbers = frame_numbers_of(frame_list, MAX_FRAMES)
    target = target_of(study, series, instance)
    return _frames(request, target, frame_numbers, thumbnail=True)


def _rendered(request: Request, target: Target, *, thumbnail: bool = False) -> Response:
    return warn_of_annotations(request, _rendition(request, target, thumbnail=thumbnail))


def _rendition(request: Request, target: Target, *, thumbnail: bool) -> Response:
    """Respond with pictures of a study, series or instance."""
    services = services_of(request)
    located = prepare.find(services, target)
    try:
        return _represented(request, target, located, thumbnail=thumbnail)
    except FileGone:
        another = prepare.find_another(services, target, located)
        if another is None:
            raise
        return _represented(request, target, another, thumbnail=thumbnail)


def _represented(
    request: Request, target: Target, located: LocatedInstance, *, thumbnail: bool
) -> Response:
    """Return the rendition of an instance, or of the study or series that it represents."""
    services = services_of(request)
    if thumbnail:
        offer, options = _wanted(request, IN_DICOMWEB, single=True, thumbnail=True)
        drawings = prepare.prepare_in_turn(services, target, located, options, thumbnail=True)
        return _first_answer(request, drawings, offer)
    rendition = Rendition(request, located)
    offer, options = _wanted(request, rendition.media_types, single=True)
    if not offer.multipart and rendition.category is ResourceCategory.PICTURE:
        drawings = prepare.prepare_in_turn(services, target, located, options)
        return _first_answer(request, drawings, offer)
    if not offer.multipart:
        return rendition.answer(offer, options)
    if target.sop_instance_uid is None:
        return _every_instance(request, target, options)
    if rendition.category is ResourceCategory.PRESENTATION:
        return _every_image(request, located, options)
    return _answer(request, [prepare.prepare(services, located, None, options)], offer)


def _every_instance(request: Request, target: Target, options: RenderOptions) -> Response:
    """Respond with a part for each instance that can be rendered; name those that are damaged."""
    services = services_of(request)
    instances = retrieve.find(services, target)
    limit = services.limits.rendered_instances
    if len(instances) > limit:
        raise TooLarge(f"One request may render at most {limit:,} instances; ask by series.")
    # A presentation state shows images of other series, which may be replaced.
    state = (
        services.index.changes.last_sequence()
        if any(map(prepare.is_presented, instances))
        else None
    )
    etag = respond.entity_tag(
        __version__, options, [(each.sop_instance_uid, each.sha256) for each in instances], state
    )
    if unchanged := respond.not_modified(request, f"W/{etag}"):
        return unchanged
    drawings = prepare.prepare_all(services, target, options)
    return _in_parts(request, drawings, options, etag)


def _every_image(request: Request, state: LocatedInstance, options: RenderOptions) -> Response:
    """Respond with a part for each image or frame that a presentation state shows."""
    services = services_of(request)
    limit = services.limits.rendered_instances
    drawings = list(islice(prepare.prepare_shown(services, state, options), limit + 1))
    if len(drawings) > limit:
        raise NotRenderable(f"The presentation state shows more than {limit:,} images.")
    etag = respond.entity_tag(*(drawing.etag for drawing in drawings))
    if unchanged := respond.not_modified(request, f"W/{etag}"):
        return unchanged
    return _in_parts(request, drawings, options, etag)


def _in_parts(
    request: Request, drawings: Iterable[RenderRequest], options: RenderOptions, etag: str
) -> Response:
    """Respond with a part for each picture; leave out those that cannot be drawn."""
    omissions, scratch = Omissions(), respond.scratch_for(request)
    candidates = (
        (_name_of(drawing), partial(_part_in_scratch, request, drawing, scratch))
        for drawing in drawings
    )
    parts = scratch.begin(obtainable(candidates, omissions))
    if parts == []:
        raise NotRenderable("None of the instances can be rendered.")
    return respond.multipart(request, parts, options.media_type, etag=etag, omissions=omissions)


def _name_of(drawing: RenderRequest) -> str:
    """Return the name of a picture for a warning."""
    name = name_of(drawing.located.instance)
    return name if drawing.frame_number is None else f"frame {drawing.frame_number} of {name}"


def _part_in_scratch(request: Request, drawing: RenderRequest, scratch: Scratch) -> Part:
    """Draw a picture before the response begins, and put it into the scratch space."""
    part = _part(request, drawing)
    return replace(part, pieces=scratch.keep(part.pieces()).pieces)


def _frames(
    request: Request, target: Target, frame_numbers: Sequence[int], *, thumbnail: bool
) -> Response:
    """Respond with pictures of frames."""
    single = thumbnail or len(frame_numbers) == 1
    offer, options = _wanted(request, IN_DICOMWEB, single=single, thumbnail=thumbnail)
    services = services_of(request)
    located = prepare.find(services, target)
    drawings = [
        prepare.prepare(services, located, number, options, thumbnail=thumbnail)
        for number in frame_numbers  # each of which must exist
    ]
    response = _answer(request, drawings[:1] if thumbnail else drawings, offer)
    return warn_of_annotations(request, response)


def _wanted(
    request: Request, media_types: Sequence[str], *, single: bool, thumbnail: bool = False
) -> tuple[Offer, RenderOptions]:
    """Return the media type that the client prefers, and the options of the picture."""
    offers = [Offer(media_type) for media_type in media_types] if single else []
    offers += [
        Offer(media_type, multipart=True) for media_type in media_types if media_type in IN_DICOMWEB
    ]
    offer = choose(accepted(request), offers)
    parse = parse_thumbnail_options if thumbnail else parse_options
    return offer, parse(request.query_params, offer.media_type)


def _first_answer(request: Request, drawings: Iterator[RenderRequest], offer: Offer) -> Response:
    """Respond with the first picture that can be drawn; raise the error of the first if none."""
    try:
        return _answer(request, [next(drawings)], offer)
    except NotRenderable:
        for drawing in drawings:
            with suppress(NotRenderable):
                return _answer(request, [drawing], offer)
        raise


def _answer(request: Request, drawings: Sequence[RenderRequest], offer: Offer) -> Response:
    """Respond with the pictures: the first by itself, or all in the parts of a multipart."""
    if offer.multipart:
        etag = respond.entity_tag(*(drawing.etag for drawing in drawings))
        omissions = Omissions()
        # All are drawn before the first goes out, so that the response can name a damaged frame.
        parts = list(
            obtainable(
                ((_name_of(drawing), partial(_part, request, drawing)) for drawing in drawings),
                omissions,
            )
        )
        return respond.multipart(request, parts, offer.media_type, etag=etag, omissions=omissions)
    return drawn(request, drawings[0])


def _part(request: Request, drawing: RenderRequest) -> Part:
    """Return the picture as a part."""
    picture = render(drawing)
    location = _location(request, drawing)
    return Part(picture.media_type, lambda: [picture.body], len(picture.body), location)


def _location(request: Request, drawing: RenderRequest) -> str:
    """Return the URL of a picture."""
    instance = (drawing.state or drawing.located).instance
    is_frame = drawing.frame_number is not None and drawing.state is None
    frame = f"/frames/{drawing.frame_number}" if is_frame else ""
    view = "thumbnail" if drawing.thumbnail else "rendered"
    return f"{base_url(request)}/{instance.target.path}{frame}/{view}"
