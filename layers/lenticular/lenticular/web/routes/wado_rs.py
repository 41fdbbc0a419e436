"""Retrieve transaction (WADO-RS), PS3.18 10.4: instances, metadata and frames.

Instances are sent as stored unless the client names a transfer syntax, and unless theirs is not
used on the web (PS3.18 8.7.3). If the one that is named cannot be made, the response is 406.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.dicom.model import Target
from lenticular.errors import NotFound, NotRenderable, Unacceptable
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve.byte_source import ByteSource, file_content
from lenticular.transactions.retrieve.frames import frame_syntax
from lenticular.transactions.retrieve.made_ahead import Scratch
from lenticular.transactions.retrieve.omissions import (
    Candidate,
    Omissions,
    find_present,
    name_of,
    obtainable,
)
from lenticular.transactions.retrieve.read_ahead import read_ahead
from lenticular.transactions.retrieve.zip_writer import ZipEntry, entry_name, zip_stream
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.http.accept import Offer, accepted, is_strict
from lenticular.web.http.media_types import DICOM, OCTET_STREAM, ZIP
from lenticular.web.http.multipart import Part
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations import datasets, frames
from lenticular.web.representations.bulkdata import all_values
from lenticular.web.representations.transfer_syntax_offers import (
    Representation,
    negotiate_frames,
    negotiate_instances,
)
from lenticular.web.request_context import DICOMWEB, base_url, services_of
from lenticular.web.resource_paths import INSTANCE, SERIES, STUDY, frame_numbers_of, target_of
from lenticular.web.responses import respond
from lenticular.web.responses.omission_warnings import warn_of

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=DicomwebRoute)

MAX_FRAMES = 10_000
"""Frames that one request may name."""


@get_and_head(router, STUDY)
def retrieve_study(request: Request, study: str) -> Response:
    """Retrieve all instances of a study (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study))


@get_and_head(router, SERIES)
def retrieve_series(request: Request, study: str, series: str) -> Response:
    """Retrieve all instances of a series (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series))


@get_and_head(router, INSTANCE)
def retrieve_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """Retrieve one instance (PS3.18 10.4.1.1.1)."""
    return _instances(request, target_of(study, series, instance))


@get_and_head(router, STUDY + "/metadata")
def retrieve_study_metadata(request: Request, study: str) -> Response:
    """Retrieve the attributes of all instances of a study (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study))


@get_and_head(router, SERIES + "/metadata")
def retrieve_series_metadata(request: Request, study: str, series: str) -> Response:
    """Retrieve the attributes of all instances of a series (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series))


@get_and_head(router, INSTANCE + "/metadata")
def retrieve_instance_metadata(
    request: Request, study: str, series: str, instance: str
) -> Response:
    """Retrieve the attributes of an instance (PS3.18 10.4.1.1.2)."""
    return _metadata(request, target_of(study, series, instance))


@get_and_head(router, INSTANCE + "/frames/{frame_list}")
def retrieve_frames(
    request: Request, study: str, series: str, instance: str, frame_list: str
) -> Response:
    """Retrieve frames by their numbers, `1,3,2`, in that order (PS3.18 10.4.1.1.6)."""
    frame_numbers = frame_numbers_of(frame_list, MAX_FRAMES)
    services = services_of(request)
    located = retrieve.locate(services, target_of(study, series, instance))
    accept, stored = accepted(request), frame_syntax(services, located)
    offer = negotiate_frames(
        accept, located, stored, single=len(frame_numbers) == 1, strict=is_strict(request)
    )
    return frames.answer(request, located, frame_numbers, offer, stored)


def _instances(request: Request, target: Target) -> Response:
    """Respond with instances as multipart, as a zip or, a lone one, by itself."""
    services, omissions = services_of(request), Omissions()
    instances = find_present(services, target, omissions)
    stored = (instance.transfer_syntax_uid for instance in instances)
    single = target.sop_instance_uid is not None
    wanted = negotiate_instances(
        accepted(request), stored, single=single, strict=is_strict(request)
    )
    if wanted.media_type == OCTET_STREAM:
        return all_values(request, target)
    syntaxes = [wanted.syntaxes.get(each.transfer_syntax_uid) for each in instances]
    content_hashes = [each.sha256 for each in instances]
    etag = respond.entity_tag(
        wanted.media_type, wanted.multipart, list(zip(content_hashes, syntaxes, strict=True))
    )
    if unchanged := respond.not_modified(request, f"W/{etag}" if wanted.multipart else etag):
        return unchanged
    scratch = respond.scratch_for(request)
    made = obtainable(_candidates(services, instances, wanted, scratch, omissions), omissions)
    if not wanted.multipart and wanted.media_type != ZIP:
        return warn_of(request, next(made).alone(request, etag), omissions.sentences())
    is_as_stored = wanted.is_as_stored
    files = list(made) if is_as_stored else scratch.begin(made)
    if wanted.media_type == ZIP:
        entries: Iterable[ZipEntry] = map(_SentFile.entry, files)
        return respond.stream(
            request,
            zip_stream(read_ahead(services, entries) if is_as_stored else entries),
            ZIP,
            etag=etag,
            about=sum(instance.size for instance in instances),
            file_name=f"{quote(target.study_instance_uid, safe='')}.zip",
            omissions=omissions,
        )
    parts: Iterable[Part] = map(partial(_SentFile.part, service=base_url(request)), files)
    if isinstance(files, list):
        parts = list(parts)
    return respond.multipart(
        request, parts, DICOM, etag=etag, omissions=omissions, is_read_ahead=is_as_stored
    )


def _candidates(
    services: Services,
    instances: Iterable[StoredInstance],
    wanted: Representation,
    scratch: Scratch,
    omissions: Omissions,
) -> Iterator[Candidate["_SentFile"]]:
    """Yield name and file of each instance."""
    for instance in instances:
        yield name_of(instance), partial(_file, services, instance, wanted, scratch, omissions)


def _file(
    services: Services,
    instance: StoredInstance,
    wanted: Representation,
    scratch: Scratch,
    omissions: Omissions,
) -> "_SentFile":
    """Return the instance in the negotiated transfer syntax.

    One that cannot be converted is sent as it is stored, with a warning, if the client accepts it.
    """
    stored = instance.transfer_syntax_uid
    syntax = wanted.syntax_of(stored)
    if syntax == stored:
        return _stored_file(services, instance)
    try:
        return _transcoded_file(services, instance, syntax, scratch)
    except (NotRenderable, Unacceptable) as error:
        if stored not in wanted.fallbacks:
            raise
        omissions.warn(f"The {name_of(instance)} comes as it is stored: {error.detail}")
        return _stored_file(services, instance)


def _stored_file(services: Services, instance: StoredInstance) -> "_SentFile":
    """Return the file as it is stored."""
    content = file_content(services, instance)
    name, path, syntax = entry_name(instance), instance.target.path, instance.transfer_syntax_uid
    return _SentFile(name, path, syntax, content.all, content.size, content)


def _transcoded_file(
    services: Services, instance: StoredInstance, syntax: str, scratch: Scratch
) -> "_SentFile":
    """Return the file in another transfer syntax."""
    from lenticular.transactions.retrieve.transcode import transcode

    transcoded = transcode(services, instance, syntax)
    made = scratch.keep(transcoded.pieces())
    name, path = entry_name(instance), instance.target.path
    return _SentFile(name, path, transcoded.transfer_syntax_uid, made.pieces, made.size)


@dataclass(frozen=True, slots=True)
class _SentFile:
    """An instance in a transfer syntax; `stored` if it is the one in which it is stored."""

    name: str
    path: str
    syntax: str
    pieces: Callable[[], Iterable[bytes]]
    size: int | None
    stored: ByteSource | None = None

    def part(self, service: str) -> Part:
        """Return the file as a part."""
        content_type, location = str(Offer(DICOM, self.syntax)), f"{service}/{self.path}"
        return Part(content_type, self.pieces, self.size, location)

    def entry(self) -> ZipEntry:
        """Return the file as an entry of a zip."""
        return ZipEntry(self.name, self.pieces, self.size)

    def alone(self, request: Request, etag: str) -> Response:
        """Respond with the file by itself."""
        content_type = str(Offer(DICOM, self.syntax))
        if self.stored is None:
            return respond.stream(request, self.pieces(), content_type, etag=etag)
        return respond.content(
            request,
            self.stored.pieces,
            content_type,
            size=self.size,
            etag=etag,
            stored_key=self.stored.key,
        )


def _metadata(request: Request, target: Target) -> Response:
    """Respond with the metadata of a study, a series or an instance."""
    offer = datasets.negotiate(request)
    services, etag = services_of(request), None
    if target.sop_instance_uid is None:
        # Many documents are not read to find out if they changed: they have not, as long as nothing
        # was stored or deleted at all. The state is read before them, so it is never too new.
        state = services.index.changes.last_sequence()
        etag = respond.entity_tag(__version__, state, target, base_url(request), str(offer))
        if unchanged := respond.not_modified(request, etag):
            return unchanged
    omissions = Omissions()
    try:
        documents = retrieve.metadata(services, target, base_url(request), omissions.omit)
    except NotFound:
        omissions.raise_first()
        raise
    return datasets.answer(request, documents, offer, etag, omissions)
