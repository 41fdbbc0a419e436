"""All instances of a resource: their tags, their shared tags, and their files as a zip."""

from collections.abc import Iterable, Iterator

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.dicom.orthanc_tags import full, shared
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.orthanc import resources
from lenticular.transactions.orthanc.archive_names import named_files
from lenticular.transactions.retrieve.byte_source import file_content
from lenticular.transactions.retrieve.omissions import Omissions, leave_out_gone
from lenticular.transactions.retrieve.read_ahead import read_ahead
from lenticular.transactions.retrieve.zip_writer import ZipEntry, zip_stream
from lenticular.web.http.media_types import JSON, ZIP
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond
from lenticular.web.routes.orthanc.parameters import (
    RESOURCE,
    STYLES,
    Collection,
    file_name,
    large_answer,
    tag_style,
    takes,
)
from lenticular.web.routes.orthanc.transcoding import made_or_stored, wanted_syntax

router = APIRouter(tags=["Orthanc"])


@get_and_head(router, RESOURCE + "/instances-tags", extra=takes(*STYLES))
def instances_tags(request: Request, collection: Collection, identifier: str) -> Response:
    """Return the tags of each instance, by its identifier."""
    services = services_of(request)
    found = resources.find(services, collection.level, identifier)
    style = tag_style(request, full)

    def pieces() -> Iterator[bytes]:
        separator = b"{"
        for orthanc_id, dataset in resources.datasets_below(services, found):
            yield separator + orjson.dumps(orthanc_id) + b":" + orjson.dumps(style(dataset))
            separator = b","
        yield b"}" if separator == b"," else b"{}"

    return respond.stream(request, pieces(), JSON)


@get_and_head(router, RESOURCE + "/shared-tags", extra=takes(*STYLES))
def shared_tags(request: Request, collection: Collection, identifier: str) -> Response:
    """Return the tags that have the same value in all instances of a resource."""
    services = services_of(request)
    found = resources.find(services, collection.level, identifier)
    datasets = (dataset for _, dataset in resources.datasets_below(services, found))
    return large_answer(request, tag_style(request, full)(shared(datasets)))


@get_and_head(router, RESOURCE + "/archive", extra=takes("transcode", "filename"))
def archive(request: Request, collection: Collection, identifier: str) -> Response:
    """Return the files of a resource in a zip, transcoded if asked; those gone are named."""
    services, omissions, syntax = services_of(request), Omissions(), wanted_syntax(request)
    found = resources.find(services, collection.level, identifier)
    files = list(named_files(services, found))
    present = leave_out_gone(services, [instance for _, instance in files], omissions)
    if not present:
        omissions.raise_first()
    there = {instance.key for instance in present}
    files = [(name, instance) for name, instance in files if instance.key in there]
    entries = _stored(services, files) if syntax is None else _made(request, files, syntax)
    return respond.stream(
        request,
        zip_stream(entries),
        ZIP,
        about=sum(instance.size for instance in present),
        file_name=file_name(request, f"{identifier}.zip"),
        omissions=omissions,
        studies=tuple({instance.study_instance_uid for instance in present}),
    )


def _stored(services: Services, files: Iterable[tuple[str, StoredInstance]]) -> Iterator[ZipEntry]:
    """Return the files as they are stored, read ahead."""
    entries = [
        ZipEntry(name, file_content(services, instance).all, instance.size)
        for name, instance in files
    ]
    return read_ahead(services, entries)


def _made(
    request: Request, files: Iterable[tuple[str, StoredInstance]], syntax: str
) -> Iterable[ZipEntry]:
    """Return the files transcoded."""
    services, scratch = services_of(request), respond.scratch_for(request)

    def entries() -> Iterator[ZipEntry]:
        for name, instance in files:
            made = made_or_stored(services, instance, syntax, scratch)
            yield ZipEntry(name, made.pieces, made.size)

    return scratch.begin(entries())
