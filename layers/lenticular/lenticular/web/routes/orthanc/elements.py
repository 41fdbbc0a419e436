"""Single elements of an instance, its File Meta Information, and its file as an attachment."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from lenticular.dicom import part10
from lenticular.dicom.instance import Level
from lenticular.dicom.orthanc_tags import full
from lenticular.index.records import StoredInstance
from lenticular.transactions import browse
from lenticular.transactions.orthanc_content import content_at
from lenticular.transactions.stored_bytes import file_content
from lenticular.web import responses
from lenticular.web.context import services_of
from lenticular.web.paths import readable
from lenticular.web.routes.orthanc.instance import stored_of
from lenticular.web.routes.orthanc.request import INSTANCE, answer, large_answer, tag_style

router = APIRouter(tags=["Orthanc"])

LONGEST_META = 64 * 1024


@readable(router, INSTANCE + "/content")
def tags_within(request: Request, identifier: str) -> Response:
    """The tags of all elements."""
    return _content(request, identifier, "")


@readable(router, INSTANCE + "/content/{path:path}")
def element(request: Request, identifier: str, path: str) -> Response:
    """The value of an element, or what there is below it: `PatientName`, `0040-0275/0`."""
    return _content(request, identifier, path)


@readable(router, INSTANCE + "/header")
def header(request: Request, identifier: str) -> Response:
    """The File Meta Information (PS3.10 7.1)."""
    stored = _stored(request, identifier)
    beginning = file_content(services_of(request), stored)
    meta = part10.file_meta(beginning.read(0, min(LONGEST_META, stored.size)))
    return answer(tag_style(request, full)(meta))


@readable(router, INSTANCE + "/attachments")
def attachments(request: Request, identifier: str) -> Response:
    """What is kept of the instance: its file."""
    _stored(request, identifier)
    return answer(["dicom"])


@readable(router, INSTANCE + "/attachments/dicom/size")
def attachment_size(request: Request, identifier: str) -> Response:
    """The size of the file."""
    return PlainTextResponse(str(_stored(request, identifier).size))


def _stored(request: Request, identifier: str) -> StoredInstance:
    return stored_of(browse.find(services_of(request), Level.INSTANCE, identifier))


def _content(request: Request, identifier: str, path: str) -> Response:
    stored = _stored(request, identifier)
    found = content_at(services_of(request), stored, [part for part in path.split("/") if part])
    if isinstance(found, list):
        return large_answer(request, found)
    return responses.content(request, found.pieces, "application/octet-stream", size=found.size)
