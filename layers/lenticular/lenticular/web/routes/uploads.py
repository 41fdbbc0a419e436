"""Uploads above the payload limit: URLs to put files to, and the outcome of each file."""

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

LARGEST_BODY = 4 * 1024 * 1024
EXPECTED = 'Send {"files": [{"name": "a.dcm", "size": 123}]}'


@router.post("/uploads", response_class=Response, status_code=201)
async def begin_upload(request: Request) -> Response:
    """Announce files by name and size; respond with URLs to put them to."""
    body = bytearray()
    async for piece in require_body(request, LARGEST_BODY):
        body += piece
    announced = _announced(bytes(body))
    upload = await run_in_threadpool(uploads.begin, services_of(request), announced)
    url = f"{root_url(request)}/uploads/{upload.upload_id}"
    return Response(
        orjson.dumps(_as_json(upload)), 201, {"location": url, **_NO_STORE}, media_type=JSON
    )


# The response has URLs to put files to.
@get_and_head(router, "/uploads/{upload_id}", extra=NEEDS_WRITE)
def upload_state(request: Request, upload_id: str) -> Response:
    """Return the status of each file, with fresh URLs for what has not arrived."""
    upload = uploads.status(services_of(request), upload_id)
    return respond.document(request, orjson.dumps(_as_json(upload)), JSON)


@router.post("/uploads/{upload_id}/files/{number}", response_class=Response, status_code=202)
def complete_file(request: Request, upload_id: str, number: int) -> Response:
    """Put together the parts of a large file that have all arrived, and store it."""
    file = uploads.complete(services_of(request), upload_id, number)
    return Response(orjson.dumps(_file(file)), 202, media_type=JSON)


# The URLs in it let anybody write for an hour.
_NO_STORE = {"cache-control": "no-store"}


def _announced(body: bytes) -> list[RequestedFile]:
    """Return the files that the body of a request names."""
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


def _as_json(upload: Upload) -> dict[str, Any]:
    """Return an upload as JSON."""
    return {
        "id": upload.upload_id,
        "status": "done" if upload.done else "open",
        "expires": upload.expires.isoformat(timespec="seconds"),
        "files": [_file(file) for file in upload.files],
    }


def _file(file: UploadedFile) -> dict[str, Any]:
    """Return a file of an upload as JSON."""
    described: dict[str, Any] = {
        "number": file.number,
        "name": file.name,
        "size": file.size,
        "status": file.status,
    }
    if file.url is not None:
        described["url"] = file.url
    if file.parts:
        described["part_size"] = file.parts[0].size
        described["parts"] = [_part(part) for part in file.parts]
    if file.outcome is not None:
        described["instances"] = file.outcome.instances
        described["refusals"] = file.outcome.refusals
    return described


def _part(part: UploadPart) -> dict[str, Any]:
    """Return a part of a large file as JSON."""
    described = {"number": part.number, "size": part.size, "arrived": part.arrived}
    return described if part.url is None else {**described, "url": part.url}
