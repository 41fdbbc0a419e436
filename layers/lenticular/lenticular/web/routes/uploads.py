"""Uploads past the payload ceiling: where to put the files, and what became of each."""

from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lenticular import errors
from lenticular.transactions import uploads
from lenticular.transactions.uploads import RequestedFile, Upload, UploadedFile, UploadPart
from lenticular.web.access.rights import NEEDS_WRITE
from lenticular.web.http.media_types import JSON
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_body import require_body
from lenticular.web.request_context import root_url, services_of
from lenticular.web.responses import respond

router = APIRouter(tags=["Uploads"])

LARGEST_QUESTION = 4 * 1024 * 1024
EXPECTED = 'Send {"files": [{"name": "a.dcm", "size": 123}]}'


@router.post("/uploads", response_class=Response, status_code=201)
async def begin_upload(request: Request) -> Response:
    """Announce files by name and size; URLs to put them to."""
    body = bytearray()
    async for piece in require_body(request, LARGEST_QUESTION):
        body += piece
    announced = _announced(bytes(body))
    upload = await run_in_threadpool(uploads.begin, services_of(request), announced)
    place = f"{root_url(request)}/uploads/{upload.upload_id}"
    return Response(
        orjson.dumps(_told(upload)), 201, {"location": place, **_NOT_KEPT}, media_type=JSON
    )


# The answer has URLs to put files to.
@get_and_head(router, "/uploads/{upload_id}", extra=NEEDS_WRITE)
def upload_state(request: Request, upload_id: str) -> Response:
    """Return the status of each file, with fresh URLs for what has not arrived."""
    upload = uploads.status(services_of(request), upload_id)
    return respond.document(request, orjson.dumps(_told(upload)), JSON)


@router.post("/uploads/{upload_id}/files/{number}", response_class=Response, status_code=202)
def complete_file(request: Request, upload_id: str, number: int) -> Response:
    """All parts of a large file have arrived: put them together and take it."""
    file = uploads.complete(services_of(request), upload_id, number)
    return Response(orjson.dumps(_file(file)), 202, media_type=JSON)


# The URLs in it let anybody write for an hour.
_NOT_KEPT = {"cache-control": "no-store"}


def _announced(body: bytes) -> list[RequestedFile]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise errors.InvalidRequest(f"The body is not JSON. {EXPECTED}.") from error
    files = content.get("files") if isinstance(content, dict) else None
    if not isinstance(files, list):
        raise errors.InvalidRequest(f"The body names no files. {EXPECTED}.")
    return [_announced_file(number, file) for number, file in enumerate(files, 1)]


def _announced_file(number: int, file: Any) -> RequestedFile:
    match file:
        case {"name": str(name), "size": int(size)} if name and not isinstance(size, bool):
            if size >= 0:
                return RequestedFile(name, size)
    raise errors.InvalidRequest(
        f"File {number} should have a name and a size, a whole number of bytes. {EXPECTED}."
    )


def _told(upload: Upload) -> dict[str, Any]:
    return {
        "id": upload.upload_id,
        "status": "done" if upload.done else "open",
        "expires": upload.expires.isoformat(timespec="seconds"),
        "files": [_file(file) for file in upload.files],
    }


def _file(file: UploadedFile) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": file.number,
        "name": file.name,
        "size": file.size,
        "status": file.status,
    }
    if file.url is not None:
        told["url"] = file.url
    if file.parts:
        told["part_size"] = uploads.PART_BYTES
        told["parts"] = [_part(part) for part in file.parts]
    if file.outcome is not None:
        told["instances"] = file.outcome.instances
        told["refusals"] = file.outcome.refusals
    return told


def _part(part: UploadPart) -> dict[str, Any]:
    told = {"number": part.number, "size": part.size, "arrived": part.arrived}
    return told if part.url is None else {**told, "url": part.url}
