"""Frames as answers, PS3.18 8.7.3.3: one by itself, or each one a part."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from lenticular.index.records import LocatedInstance
from lenticular.transactions.retrieve import frames
from lenticular.transactions.retrieve.frames import StoredFrame
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import Candidate, Omissions, name_of, obtainable
from lenticular.web.http.accept import Offer
from lenticular.web.http.multipart import Part
from lenticular.web.request_context import base_url, services_of
from lenticular.web.responses import respond


def answer(
    request: Request, located: LocatedInstance, frame_numbers: Sequence[int], offer: Offer
) -> Response:
    """Respond with these frames as this offer has them; leave out those that are damaged."""
    etag = respond.entity_tag(located.instance.sha256, list(frame_numbers), str(offer))
    if unchanged := respond.not_modified(request, f"W/{etag}" if offer.multipart else etag):
        return unchanged
    provided = _provided(request, located, frame_numbers, offer)
    if not offer.multipart:
        frame = provided[0].load()
        return respond.content(request, frame.pieces, str(offer), size=frame.size, etag=etag)
    omissions, scratch = Omissions(), respond.scratch_for(request)
    made = obtainable(_candidates(request, located, provided, offer, scratch), omissions)
    stored = frames.frame_syntax(services_of(request), located)
    is_read_as_it_goes = offer.transfer_syntax_uid == stored
    parts: Iterable[Part] = made
    if len(provided) == 1:
        parts = list(made)
    elif not is_read_as_it_goes:
        parts = scratch.begin(made)
    return respond.multipart(request, parts, offer.media_type, etag=etag, omissions=omissions)


def all_frames(
    request: Request, located: LocatedInstance, offer: Offer, scratch: Scratch
) -> Iterator[Candidate[Part]]:
    """Yield every frame of the instance as a part, as this offer has it."""
    numbers = range(1, frames.pixels_of(located).number_of_frames + 1)
    provided = _provided(request, located, numbers, offer)
    return _candidates(request, located, provided, offer, scratch)


def _provided(
    request: Request, located: LocatedInstance, frame_numbers: Sequence[int], offer: Offer
) -> list[StoredFrame]:
    services = services_of(request)
    syntax = offer.transfer_syntax_uid or frames.frame_syntax(services, located)
    return frames.frames_in(services, located, frame_numbers, syntax)


def _candidates(
    request: Request,
    located: LocatedInstance,
    provided: Sequence[StoredFrame],
    offer: Offer,
    scratch: Scratch,
) -> Iterator[Candidate[Part]]:
    place = f"{base_url(request)}/{located.instance.target.path}"
    content_type = str(replace(offer, multipart=False))
    stored = frames.frame_syntax(services_of(request), located)
    keep = scratch.keep if offer.transfer_syntax_uid != stored else None

    def part(frame: StoredFrame) -> Part:
        content, location = frame.load(), f"{place}/frames/{frame.frame_number}"
        if keep is None:
            return Part(content_type, content.all, content.size, location)
        made = keep(content.all())
        return Part(content_type, made.pieces, made.size, location)

    for frame in provided:
        name = f"frame {frame.frame_number} of {name_of(located.instance)}"
        yield name, partial(part, frame)
