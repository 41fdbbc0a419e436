"""Frames as responses, PS3.18 8.7.3.3: one by itself, or each as a part."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lenticular.index.records import LocatedInstance
from lenticular.transactions.retrieve import frames
from lenticular.transactions.retrieve.frames import Frame
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import Candidate, Omissions, name_of, obtainable
from lenticular.transactions.retrieve.read_ahead import call_ahead
from lenticular.web.http.accept import Offer
from lenticular.web.http.multipart import Part
from lenticular.web.request_context import base_url, services_of
from lenticular.web.responses import respond


def answer(
    request: Request,
    located: LocatedInstance,
    frame_numbers: Sequence[int],
    offer: Offer,
    stored: str,
) -> Response:
    """Respond with these frames in the syntax of the offer; leave out those that are damaged.

    `stored` is the transfer syntax in which the frames are stored.
    """
    etag = respond.entity_tag(located.instance.sha256, list(frame_numbers), str(offer))
    if unchanged := respond.not_modified(request, f"W/{etag}" if offer.multipart else etag):
        return unchanged
    provided = _provided(request, located, frame_numbers, offer, stored)
    if not offer.multipart:
        frame = provided[0].load()
        return respond.content(request, frame.pieces, str(offer), size=frame.size, etag=etag)
    omissions, scratch = Omissions(), respond.scratch_for(request)
    is_as_stored = offer.transfer_syntax_uid == stored
    for_converted = None if is_as_stored else scratch
    candidates = _candidates(request, located, provided, offer, for_converted)
    is_read_ahead = is_as_stored and len(provided) > 1
    if is_read_ahead:
        candidates = call_ahead(services_of(request), candidates)
    made = obtainable(candidates, omissions)
    parts: Iterable[Part] = made
    if len(provided) == 1:
        parts = list(made)
    elif not is_as_stored:
        parts = scratch.begin(made)
    return respond.multipart(
        request,
        parts,
        offer.media_type,
        etag=etag,
        omissions=omissions,
        is_read_ahead=is_read_ahead,
    )


def all_frames(
    request: Request, located: LocatedInstance, offer: Offer, stored: str, scratch: Scratch
) -> Iterator[Candidate[Part]]:
    """Yield every frame of the instance as a part, in the syntax of the offer."""
    numbers = range(1, frames.pixels_of(located).number_of_frames + 1)
    provided = _provided(request, located, numbers, offer, stored)
    if offer.transfer_syntax_uid != stored:
        return _candidates(request, located, provided, offer, scratch)
    candidates = _candidates(request, located, provided, offer, None)
    return call_ahead(services_of(request), candidates)


def _provided(
    request: Request,
    located: LocatedInstance,
    frame_numbers: Sequence[int],
    offer: Offer,
    stored: str,
) -> list[Frame]:
    """Return the frames in the syntax of the offer; their bytes are read when they are loaded."""
    wanted = offer.transfer_syntax_uid or stored
    return frames.frames_in(
        services_of(request), located, frame_numbers, stored=stored, wanted=wanted
    )


def _candidates(
    request: Request,
    located: LocatedInstance,
    provided: Sequence[Frame],
    offer: Offer,
    scratch: Scratch | None,
) -> Iterator[Candidate[Part]]:
    """Yield each frame as a part; converted ones are put into the scratch, stored ones streamed."""
    url = f"{base_url(request)}/{located.instance.target.path}"
    content_type = str(replace(offer, multipart=False))

    def part(frame: Frame) -> Part:
        content, location = frame.load(), f"{url}/frames/{frame.frame_number}"
        if scratch is None:
            return Part(content_type, content.all, content.size, location)
        made = scratch.keep(content.all())
        return Part(content_type, made.pieces, made.size, location)

    for frame in provided:
        name = f"frame {frame.frame_number} of {name_of(located.instance)}"
        yield name, partial(part, frame)
