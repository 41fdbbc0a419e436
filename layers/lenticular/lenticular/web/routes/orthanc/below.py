"""What all instances of a resource hold: their tags, what these share, and their files as a zip."""

from collections.abc import Iterator

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.dicom.orthanc_tags import full, shared
from lenticular.transactions import browse
from lenticular.transactions.orthanc_archive import named_files
from lenticular.transactions.packing import Entry, zipped
from lenticular.transactions.stored_bytes import file_content
from lenticular.web import responses
from lenticular.web.context import services_of
from lenticular.web.paths import readable
from lenticular.web.routes.orthanc.request import RESOURCE, Collection, large_answer, tag_style

router = APIRouter(tags=["Orthanc"])


@readable(router, RESOURCE + "/instances-tags")
def instances_tags(request: Request, collection: Collection, identifier: str) -> Response:
    """The tags of each instance, by its identifier."""
    services = services_of(request)
    found = browse.find(services, collection.level, identifier)
    style = tag_style(request, full)

    def pieces() -> Iterator[bytes]:
        separator = b"{"
        for orthanc_id, dataset in browse.datasets_below(services, found):
            yield separator + orjson.dumps(orthanc_id) + b":" + orjson.dumps(style(dataset))
            separator = b","
        yield b"}" if separator == b"," else b"{}"

    return responses.stream(request, pieces(), "application/json")


@readable(router, RESOURCE + "/shared-tags")
def shared_tags(request: Request, collection: Collection, identifier: str) -> Response:
    """The tags that have one value in all its instances."""
    services = services_of(request)
    found = browse.find(services, collection.level, identifier)
    datasets = (dataset for _, dataset in browse.datasets_below(services, found))
    return large_answer(request, tag_style(request, full)(shared(datasets)))


@readable(router, RESOURCE + "/archive")
def archive(request: Request, collection: Collection, identifier: str) -> Response:
    """The files of all its instances in one zip."""
    services = services_of(request)
    found = browse.find(services, collection.level, identifier)
    entries = (
        Entry(name, file_content(services, instance).all, instance.size)
        for name, instance in named_files(services, found)
    )
    return responses.stream(
        request, zipped(entries), "application/zip", file_name=f"{identifier}.zip"
    )
