"""Retrieve transaction (WADO-RS), PS3.18 10.4: instances, metadata, frames and bulk data.

What the client leaves open is answered as it is stored; what it names it gets, or a 406.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.dicom.instance import Target
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.services import Services
from lenticular.transactions import frames, packing, retrieve
from lenticular.transactions.frames import Frame
from lenticular.transactions.stored_bytes import Content, file_content
from lenticular.web import datasets, responses
from lenticular.web.context import DICOMWEB, base_url, services_of
from lenticular.web.media_types import (
    DICOM,
    OCTET_STREAM,
    ZIP,
    Offer,
    accepted,
    choose,
)
from lenticular.web.multipart import Part
from lenticular.web.negotiation import negotiate_frames, negotiate_instances
from lenticular.web.paths import INSTANCE, SERIES, STUDY, frame_numbers_of, readable, target_of

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"])

MAX_FRAMES = 10_000
"""Frames that one request may name."""


@readable(router, STUDY)
def retrieve_study(request: Request, study: str) -> Response:
    """All instances of a study (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study))


@readable(router, SERIES)
def retrieve_series(request: Request, study: str, series: str) -> Response:
    """All instances of a series (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series))


@readable(router, INSTANCE)
def retrieve_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """One instance (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series, instance))


@readable(router, STUDY + "/metadata")
def retrieve_study_metadata(request: Request, study: str) -> Response:
    """The attributes of all instances of a study (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study))


@readable(router, SERIES + "/metadata")
def retrieve_series_metadata(request: Request, study: str, series: str) -> Response:
    """The attributes of all instances of a series (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series))


@readable(router, INSTANCE + "/metadata")
def retrieve_instance_metadata(
    request: Request, study: str, series: str, instance: str
) -> Response:
    """The attributes of an instance (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series, instance))


@readable(router, INSTANCE + "/frames/{frame_list}")
def retrieve_frames(
    request: Request, study: str, series: str, instance: str, frame_list: str
) -> Response:
    """Frames by their numbers, `1,3,2`, in that order (PS3.18 10.4.1.1.6)."""
    frame_numbers = frame_numbers_of(frame_list, MAX_FRAMES)
    located = retrieve.locate(services_of(request), target_of(study, series, instance))
    return _frames(request, located, frame_numbers)


@readable(router, INSTANCE + "/bulkdata/{path:path}")
def retrieve_bulkdata(
    request: Request, study: str, series: str, instance: str, path: str
) -> Response:
    """The value that a BulkDataURI of the metadata names (PS3.18 10.4.1.1.5)."""
    services = services_of(request)
    located = retrieve.locate(services, target_of(study, series, instance))
    path = path.upper()
    pixels = located.layout.pixels
    if pixels is not None and path == pixels.tag:
        return _pixel_data(request, located)
    bulk_data = retrieve.bulk_data(services, located, path)
    kinds = dict.fromkeys((bulk_data.media_type, OCTET_STREAM))
    offers = [Offer(kind, multipart=form) for form in (False, True) for kind in kinds]
    return _bulk_data(request, located, path, bulk_data.content, offers)


def _instances(request: Request, target: Target) -> Response:
    services = services_of(request)
    instances = retrieve.find(services, target)
    syntaxes = (instance.transfer_syntax_uid for instance in instances)
    single = target.sop_instance_uid is not None
    form = negotiate_instances(accepted(request), syntaxes, single=single)
    etag = responses.entity_tag(
        form.media_type,
        form.multipart,
        [(each.sha256, form.syntax_of(each.transfer_syntax_uid)) for each in instances],
    )
    files = (_file(services, each, form.syntax_of(each.transfer_syntax_uid)) for each in instances)
    if form.media_type == ZIP:
        return _zip(request, instances, files, etag)
    if not form.multipart:
        return next(files).alone(request, etag)
    parts = (file.part() for file in files)
    known = all(stored == syntax for stored, syntax in form.syntaxes.items())
    return responses.multipart(request, list(parts) if known else parts, DICOM, etag=etag)


def _file(services: Services, instance: StoredInstance, syntax: str) -> "_File":
    if syntax == instance.transfer_syntax_uid:
        content = file_content(services, instance)
        return _File(syntax, content.all, content)
    from lenticular.transactions.transcode import transcode

    made = transcode(services, instance, syntax)
    return _File(made.transfer_syntax_uid, made.pieces)


@dataclass(frozen=True, slots=True)
class _File:
    """An instance in a transfer syntax; `stored` when that is the one it is stored in."""

    syntax: str
    pieces: Callable[[], Iterable[bytes]]
    stored: Content | None = None

    @property
    def size(self) -> int | None:
        return self.stored.size if self.stored else None

    def part(self) -> Part:
        return Part(str(Offer(DICOM, self.syntax)), self.pieces, self.size)

    def alone(self, request: Request, etag: str) -> Response:
        content_type = str(Offer(DICOM, self.syntax))
        if self.stored is None:
            return responses.stream(request, _later(self.pieces), content_type, etag=etag)
        return responses.content(
            request,
            self.stored.pieces,
            content_type,
            size=self.size,
            etag=etag,
            stored_key=self.stored.key,
        )


def _later(pieces: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Begin only when asked, which for HEAD is never."""
    yield from pieces()


def _zip(
    request: Request, instances: Sequence[StoredInstance], files: Iterable[_File], etag: str
) -> Response:
    entries = (
        packing.Entry(packing.name_of(instance), file.pieces, file.size)
        for instance, file in zip(instances, files, strict=True)
    )
    return responses.stream(
        request,
        packing.zipped(entries),
        ZIP,
        etag=etag,
        about=sum(instance.size for instance in instances),
        file_name=f"{instances[0].study_instance_uid}.zip",
    )


def _metadata(request: Request, target: Target) -> Response:
    offer = datasets.negotiate(request)
    documents = retrieve.metadata(services_of(request), target, base_url(request))
    return datasets.answer(request, documents, offer)


def _frames(request: Request, located: LocatedInstance, frame_numbers: Sequence[int]) -> Response:
    services = services_of(request)
    offer = negotiate_frames(accepted(request), located, single=len(frame_numbers) == 1)
    provided = frames.frames_in(
        services, located, frame_numbers, offer.transfer_syntax_uid or frames.frame_syntax(located)
    )
    etag = responses.entity_tag(located.instance.sha256, list(frame_numbers), str(offer))
    if unchanged := responses.not_modified(request, etag):
        return unchanged
    if not offer.multipart:
        frame = provided[0].load()
        return responses.content(request, frame.pieces, str(offer), size=frame.size, etag=etag)
    parts = _frame_parts(request, located, provided, offer)
    return responses.multipart(
        request, list(parts) if len(provided) == 1 else parts, offer.media_type, etag=etag
    )


def _frame_parts(
    request: Request, located: LocatedInstance, provided: Sequence[Frame], offer: Offer
) -> Iterator[Part]:
    place = _location(request, located)
    content_type = str(Offer(offer.media_type, offer.transfer_syntax_uid))
    for frame in provided:
        content = frame.load()
        location = f"{place}/frames/{frame.frame_number}"
        yield Part(content_type, content.all, content.size, location)


def _pixel_data(request: Request, located: LocatedInstance) -> Response:
    """All pixels: a part for each compressed frame, else one value (PS3.18 8.7.3.3)."""
    services = services_of(request)
    pixels = frames.pixels_of(located)
    if pixels.encapsulated and frames.are_apart(services, located):
        return _frames(request, located, range(1, pixels.number_of_frames + 1))
    content = frames.whole_pixel_data(services, located)
    syntax = frames.frame_syntax(located)
    kind = lookup(syntax).media_type
    offers = [Offer(kind, syntax, multipart=form) for form in (False, True)]
    return _bulk_data(request, located, pixels.tag, content, offers)


def _bulk_data(
    request: Request, located: LocatedInstance, path: str, content: Content, offers: Sequence[Offer]
) -> Response:
    offer = choose(accepted(request), offers)
    etag = responses.entity_tag(located.instance.sha256, path, str(offer))
    content_type = str(Offer(offer.media_type, offer.transfer_syntax_uid))
    if offer.multipart:
        location = f"{_location(request, located)}/bulkdata/{path}"
        part = Part(content_type, content.all, content.size, location)
        return _lone_part(request, part, content, offer.media_type, etag)
    response = responses.content(
        request, content.pieces, content_type, size=content.size, etag=etag
    )
    # Whoever stored the document chose its type; a browser must not run what it may hold.
    response.headers["x-content-type-options"] = "nosniff"
    if offer.media_type != "application/pdf":
        response.headers["content-security-policy"] = "sandbox"
    return response


def _lone_part(
    request: Request, part: Part, content: Content, media_type: str, etag: str
) -> Response:
    """Multipart around one value; of that, and not of its wrapping, the Range header speaks.

    So PS3.18 has had it since WADO-RS began, and dicomweb-client asks for it.
    """
    asked = responses.asked_range(request, content.size, etag)
    if asked is None:
        return responses.multipart(request, [part], media_type, etag=etag)
    pieces = partial(content.pieces, asked.start, asked.length)
    part = replace(part, pieces=pieces, size=asked.length, content_range=str(asked))
    return responses.multipart(request, [part], media_type, etag=etag, status=206)


def _location(request: Request, located: LocatedInstance) -> str:
    instance = located.instance
    return (
        f"{base_url(request)}/studies/{instance.study_instance_uid}"
        f"/series/{instance.series_instance_uid}/instances/{instance.sop_instance_uid}"
    )
