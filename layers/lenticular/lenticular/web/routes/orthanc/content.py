"""Single elements of an instance, its File Meta Information, and its file as an attachment."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_tags import full
from lenticular.dicom.read import part10
from lenticular.index.records import StoredInstance
from lenticular.transactions.orthanc import resources
from lenticular.transactions.orthanc.content import content_at
from lenticular.transactions.retrieve.byte_source import file_content
from lenticular.web.http.media_types import OCTET_STREAM
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond
from lenticular.web.routes.orthanc.instances import stored_of
from lenticular.web.routes.orthanc.parameters import (
    INSTANCE,
    STYLES,
    answer,
    large_answer,
    tag_style,
    takes,
)

router = APIRouter(tags=["Orthanc"])

LONGEST_META = 64 * 1024


@get_and_head(router, INSTANCE + "/content", extra=takes())
def content(request: Request, identifier: str) -> Response:
    """List the tags of all elements of an instance."""
    return _content(request, identifier, "")


@get_and_head(router, INSTANCE + "/content/{path:path}", extra=takes())
def content_at_path(request: Request, identifier: str, path: str) -> Response:
    """Return the value of an element, or list what it contains: `PatientName`, `0040-0275/0`."""
    return _content(request, identifier, path)


@get_and_head(router, INSTANCE + "/header", extra=takes(*STYLES))
def header(request: Request, identifier: str) -> Response:
    """Return the File Meta Information (PS3.10 7.1)."""
    stored = _stored(request, identifier)
    beginning = file_content(services_of(request), stored)
    meta = part10.file_meta(beginning.read(0, min(LONGEST_META, stored.size)))
    return answer(tag_style(request, full)(meta))


@get_and_head(router, INSTANCE + "/attachments", extra=takes())
def attachments(request: Request, identifier: str) -> Response:
    """List the attachments of an instance: its file."""
    _stored(request, identifier)
    return answer(["dicom"])


@get_and_head(router, INSTANCE + "/attachments/dicom/size", extra=takes())
def attachment_size(request: Request, identifier: str) -> Response:
    """Return the size of the file."""
    return PlainTextResponse(str(_stored(request, identifier).size))


def _stored(request: Request, identifier: str) -> StoredInstance:
    """Return the instance with this identifier."""
    return stored_of(resources.find(services_of(request), Level.INSTANCE, identifier))


def _content(request: Request, identifier: str, path: str) -> Response:
    """Respond with the value at the path, or with the list of what it contains."""
    stored = _stored(request, identifier)
    found = content_at(services_of(request), stored, [part for part in path.split("/") if part])
    if isinstance(found, list):
        return large_answer(request, found)
    return respond.content(request, found.pieces, OCTET_STREAM, size=found.size)
