"""Frames as answers, PS3.18 8.7.3.3: one by itself, or each one a part."""

from collections.abc import Iterator, Sequence

from starlette.requests import Request
from starlette.responses import Response

from lenticular.index.records import LocatedInstance
from lenticular.transactions.retrieve import frames
from lenticular.transactions.retrieve.frames import StoredFrame
from lenticular.transactions.search import path_to
from lenticular.web.context import base_url, services_of
from lenticular.web.http import responses
from lenticular.web.http.media_types import Offer
from lenticular.web.http.multipart import Part


def answer(
    request: Request, located: LocatedInstance, frame_numbers: Sequence[int], offer: Offer
) -> Response:
    """These frames as this offer has them."""
    provided = _provided(request, located, frame_numbers, offer)
    etag = responses.entity_tag(located.instance.sha256, list(frame_numbers), str(offer))
    if unchanged := responses.not_modified(request, etag):
        return unchanged
    if not offer.multipart:
        frame = provided[0].load()
        return responses.content(request, frame.pieces, str(offer), size=frame.size, etag=etag)
    parts = _parts(request, located, provided, offer)
    return responses.multipart(
        request, list(parts) if len(provided) == 1 else parts, offer.media_type, etag=etag
    )


def all_frames(request: Request, located: LocatedInstance, offer: Offer) -> Iterator[Part]:
    """Every frame of the instance as this offer has it."""
    numbers = range(1, frames.pixels_of(located).number_of_frames + 1)
    return _parts(request, located, _provided(request, located, numbers, offer), offer)


def place_of(request: Request, located: LocatedInstance) -> str:
    """The URL of the instance."""
    return base_url(request) + path_to(located.instance.target)


def _provided(
    request: Request, located: LocatedInstance, frame_numbers: Sequence[int], offer: Offer
) -> list[StoredFrame]:
    syntax = offer.transfer_syntax_uid or frames.frame_syntax(located)
    return frames.frames_in(services_of(request), located, frame_numbers, syntax)


def _parts(
    request: Request, located: LocatedInstance, provided: Sequence[StoredFrame], offer: Offer
) -> Iterator[Part]:
    place = place_of(request, located)
    content_type = str(Offer(offer.media_type, offer.transfer_syntax_uid))
    for frame in provided:
        content = frame.load()
        location = f"{place}/frames/{frame.frame_number}"
        yield Part(content_type, content.all, content.size, location)
