"""Retrieve transaction (WADO-RS), PS3.18 10.4: instances, metadata and frames.

What the client leaves open is answered as it is stored; what it names it gets, or a 406.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.dicom.model import Target
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve import zip_writer
from lenticular.transactions.retrieve.byte_source import ByteSource, file_content
from lenticular.web.context import DICOMWEB, base_url, services_of
from lenticular.web.http import responses
from lenticular.web.http.media_types import DICOM, ZIP, Offer, accepted
from lenticular.web.http.multipart import Part
from lenticular.web.http.negotiation import negotiate_frames, negotiate_instances
from lenticular.web.http.paths import (
    INSTANCE,
    SERIES,
    STUDY,
    frame_numbers_of,
    get_and_head,
    target_of,
)
from lenticular.web.representations import datasets, frames

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"])

MAX_FRAMES = 10_000
"""Frames that one request may name."""


@get_and_head(router, STUDY)
def retrieve_study(request: Request, study: str) -> Response:
    """All instances of a study (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study))


@get_and_head(router, SERIES)
def retrieve_series(request: Request, study: str, series: str) -> Response:
    """All instances of a series (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series))


@get_and_head(router, INSTANCE)
def retrieve_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """One instance (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series, instance))


@get_and_head(router, STUDY + "/metadata")
def retrieve_study_metadata(request: Request, study: str) -> Response:
    """The attributes of all instances of a study (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study))


@get_and_head(router, SERIES + "/metadata")
def retrieve_series_metadata(request: Request, study: str, series: str) -> Response:
    """The attributes of all instances of a series (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series))


@get_and_head(router, INSTANCE + "/metadata")
def retrieve_instance_metadata(
    request: Request, study: str, series: str, instance: str
) -> Response:
    """The attributes of an instance (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series, instance))


@get_and_head(router, INSTANCE + "/frames/{frame_list}")
def retrieve_frames(
    request: Request, study: str, series: str, instance: str, frame_list: str
) -> Response:
    """Frames by their numbers, `1,3,2`, in that order (PS3.18 10.4.1.1.6)."""
    frame_numbers = frame_numbers_of(frame_list, MAX_FRAMES)
    located = retrieve.locate(services_of(request), target_of(study, series, instance))
    offer = negotiate_frames(accepted(request), located, single=len(frame_numbers) == 1)
    return frames.answer(request, located, frame_numbers, offer)


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
    from lenticular.transactions.retrieve.transcode import transcode

    made = transcode(services, instance, syntax)
    return _File(made.transfer_syntax_uid, made.pieces)


@dataclass(frozen=True, slots=True)
class _File:
    """An instance in a transfer syntax; `stored` when that is the one it is stored in."""

    syntax: str
    pieces: Callable[[], Iterable[bytes]]
    stored: ByteSource | None = None

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
        zip_writer.ZipEntry(zip_writer.entry_name(instance), file.pieces, file.size)
        for instance, file in zip(instances, files, strict=True)
    )
    return responses.stream(
        request,
        zip_writer.zip_stream(entries),
        ZIP,
        etag=etag,
        about=sum(instance.size for instance in instances),
        file_name=f"{instances[0].study_instance_uid}.zip",
    )


def _metadata(request: Request, target: Target) -> Response:
    offer = datasets.negotiate(request)
    services, etag = services_of(request), None
    if target.sop_instance_uid is None:
        # Of many documents nobody knows before they are read whether they are the same; but they
        # are as long as nothing at all was stored or deleted. Asked first, so never too new.
        state = services.index.last_change()
        etag = responses.entity_tag(__version__, state, target, base_url(request), str(offer))
        if unchanged := responses.not_modified(request, etag):
            return unchanged
    documents = retrieve.metadata(services, target, base_url(request))
    return datasets.answer(request, documents, offer, etag)
