"""Bulk data and pixels as responses: one value by itself or as a part, or many as parts.

Compressed pixels are sent frame by frame, uncompressed ones as one value (PS3.18 8.7.3.3), unless
the client wants them compressed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fastapi import Request
from starlette.responses import Response

from lenticular.dicom.model import Target
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import NotFound
from lenticular.index.records import LocatedInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import bulkdata, frames
from lenticular.transactions.retrieve.bulkdata import Value
from lenticular.transactions.retrieve.byte_source import ByteSource
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import (
    REASONS,
    Candidate,
    Omissions,
    find_present,
    name_of,
    obtainable,
)
from lenticular.web.http.accept import Accept, Offer, accepted, choose
from lenticular.web.http.media_types import OCTET_STREAM, PDF
from lenticular.web.http.multipart import Part
from lenticular.web.representations import frames as frame_parts
from lenticular.web.representations.transfer_syntax_offers import frame_offers
from lenticular.web.request_context import base_url, services_of
from lenticular.web.responses import respond


@dataclass(slots=True)
class _Survey:
    """The offers chosen for all values, before the first byte is sent."""

    accept: Accept
    size: int = 0
    is_as_stored: bool = True
    first: Value | None = None
    chosen: dict[tuple[Offer, ...], Offer] = field(default_factory=dict)
    """The chosen offer for each list of offers."""

    def add(self, value: Value, offers: tuple[Offer, ...]) -> None:
        """Choose the offer for a value; raise Unacceptable if there is none."""
        if offers not in self.chosen:
            self.chosen[offers] = choose(self.accept, _as_parts(offers))
        if self.chosen[offers] != _as_parts(offers)[0]:
            self.is_as_stored = False
        self.first = self.first or value
        self.size += value.size

    def offer_for(self, offers: tuple[Offer, ...]) -> Offer:
        """Return the offer that was chosen; choose again if the value was replaced since."""
        return self.chosen.get(offers) or choose(self.accept, _as_parts(offers))


def all_values(request: Request, target: Target, *, pixels_only: bool = False) -> Response:
    """Respond with all bulk data, or all pixels, of a study, a series or an instance."""
    services, accept, omissions = services_of(request), accepted(request), Omissions()
    instances = find_present(services, target, omissions)
    etag = respond.entity_tag(pixels_only, accept, [each.sha256 for each in instances])
    if unchanged := respond.not_modified(request, f"W/{etag}"):
        return unchanged
    found = partial(bulkdata.values, services, instances, pixels_only=pixels_only)
    if target.sop_instance_uid is not None:
        of_instance = list(found())
        if len(of_instance) == 1:
            return one_value(request, of_instance[0])
    survey = _surveyed(services, found(), accept, omissions)
    if survey.first is None:
        omissions.raise_first()
        raise NotFound(f"There {'are no pixels' if pixels_only else 'is no bulk data'} in it.")
    stored = _stored_syntax(services, survey.first)
    root = survey.offer_for(_offers(services, survey.first, stored))
    scratch = respond.scratch_for(request)
    made = obtainable(_candidates(request, found(), survey, scratch, omissions), omissions)
    parts = made if survey.is_as_stored else scratch.begin(made)
    return respond.multipart(
        request,
        parts,
        root.media_type,
        etag=etag,
        about=survey.size,
        omissions=omissions,
        is_read_ahead=survey.is_as_stored,
    )


def _surveyed(
    services: Services, values: Iterator[Value], accept: Accept, omissions: Omissions
) -> _Survey:
    """Choose an offer for each value; leave out those that cannot be served."""
    survey = _Survey(accept)
    for value in values:
        try:
            survey.add(value, _offers(services, value, _stored_syntax(services, value)))
        except REASONS as error:
            omissions.add(_name_of(value), error)
    return survey


def _candidates(
    request: Request,
    found: Iterator[Value],
    survey: _Survey,
    scratch: Scratch,
    omissions: Omissions,
) -> Iterator[Candidate[Part]]:
    """Yield each value as one part, or each of its frames as one."""
    services = services_of(request)
    for value in found:
        if _name_of(value) in omissions:
            continue
        try:
            stored = _stored_syntax(services, value)
            offer = survey.offer_for(_offers(services, value, stored))
            if stored is not None and _by_frames(value, offer, stored):
                yield from frame_parts.all_frames(request, value.located, offer, stored, scratch)
            else:
                yield _name_of(value), partial(_value_part, request, value, offer)
        except REASONS as error:
            omissions.add(_name_of(value), error)


def _value_part(request: Request, value: Value, offer: Offer) -> Part:
    """Return a value as one part."""
    return _part(request, value, offer, _content(services_of(request), value))


def _name_of(value: Value) -> str:
    """Return the name of a value for a warning."""
    return f"value {value.path} of {name_of(value.located.instance)}"


def one_value(request: Request, value: Value) -> Response:
    """Respond with one value; by itself, or in parts."""
    services, located = services_of(request), value.located
    accept, stored = accepted(request), _stored_syntax(services, value)
    offer = choose(accept, _offers_for_one(services, value, stored))
    if stored is not None and _by_frames(value, offer, stored):
        numbers = range(1, frames.pixels_of(located).number_of_frames + 1)
        return frame_parts.answer(request, located, numbers, offer, stored)
    etag = respond.entity_tag(located.instance.sha256, value.path, str(offer))
    content = _content(services, value)
    if offer.multipart:
        return _lone_part(request, _part(request, value, offer, content), content, offer, etag)
    content_type = str(offer)
    response = respond.content(request, content.pieces, content_type, size=content.size, etag=etag)
    # The sender chose the type of the document; a browser must not run what it may hold.
    response.headers["x-content-type-options"] = "nosniff"
    if offer.media_type != PDF:
        response.headers["content-security-policy"] = "sandbox"
    return response


def _lone_part(
    request: Request, part: Part, content: ByteSource, offer: Offer, etag: str
) -> Response:
    """Respond with one value as multipart; the Range header applies to the value (PS3.18 8.7.4).

    It does not apply to the multipart body; dicomweb-client relies on that.
    """
    asked = respond.asked_range(request, content.size, etag)
    if asked is None:
        return respond.multipart(request, [part], offer.media_type, etag=etag)
    pieces = partial(content.pieces, asked.start, asked.length)
    part = replace(part, pieces=pieces, size=asked.length, content_range=str(asked))
    return respond.multipart(request, [part], offer.media_type, etag=etag, status=206)


def _part(request: Request, value: Value, offer: Offer, content: ByteSource) -> Part:
    """Return a value as a part."""
    location = f"{base_url(request)}/{value.located.instance.target.path}/bulkdata/{value.path}"
    return Part(str(replace(offer, multipart=False)), content.all, content.size, location)


def _stored_syntax(services: Services, value: Value) -> str | None:
    """Return the transfer syntax in which frames are stored; None for a value without frames."""
    if not value.is_pixels or _is_one_stream(services, value.located):
        return None
    return frames.frame_syntax(services, value.located)


def _offers(services: Services, value: Value, stored: str | None) -> tuple[Offer, ...]:
    """Return the offers for a value, the first as it is stored."""
    if stored is not None:
        return tuple(frame_offers(value.located, stored))
    if value.is_pixels:
        syntax = frames.frame_syntax(services, value.located)
        return (Offer(lookup(syntax).media_type, syntax),)
    media_type = bulkdata.media_type_of(services, value)
    return tuple(map(Offer, dict.fromkeys((media_type, OCTET_STREAM))))


def _offers_for_one(services: Services, value: Value, stored: str | None) -> list[Offer]:
    """Return the offers for one value: by itself where it is one value or frame, and multipart."""
    whole: list[Offer] = []
    by_frames: list[Offer] = []
    for offer in _offers(services, value, stored):
        is_by_frames = stored is not None and _by_frames(value, offer, stored)
        (by_frames if is_by_frames else whole).append(offer)
    offers = [*whole, *_as_parts(whole), *_as_parts(by_frames)]
    if by_frames and frames.pixels_of(value.located).number_of_frames == 1:
        offers += by_frames
    return offers


def _as_parts(offers: Sequence[Offer]) -> list[Offer]:
    """Return the same offers as multipart."""
    return [replace(offer, multipart=True) for offer in offers]


def _by_frames(value: Value, offer: Offer, stored: str) -> bool:
    """Return True if each frame is a part of its own: compressed ones are."""
    return frames.pixels_of(value.located).encapsulated or offer.transfer_syntax_uid != stored


def _is_one_stream(services: Services, located: LocatedInstance) -> bool:
    """Return True if frames cannot be separated: in a video, or in damaged pixels."""
    encapsulated = frames.pixels_of(located).encapsulated
    return encapsulated and not frames.are_apart(services, located)


def _content(services: Services, value: Value) -> ByteSource:
    """Return the bytes of a value."""
    if value.is_pixels:
        return frames.whole_pixel_data(services, value.located)
    return bulkdata.read(services, value).content
