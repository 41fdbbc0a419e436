"""The server as a whole: system information, statistics, changes, find and lookup."""

from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response

from lenticular import __version__, errors
from lenticular.transactions.orthanc import find as orthanc_find
from lenticular.transactions.orthanc import resources
from lenticular.web.access.rights import NEEDS_READ
from lenticular.web.reading_routes import get_and_head, refuse_other_parameters
from lenticular.web.request_context import services_of
from lenticular.web.routes.orthanc.parameters import answer, has, large_answer, number, takes

router = APIRouter(tags=["Orthanc"])

# The release of Orthanc whose answers ours are modelled on: clients switch features by it.
VERSION = "1.10.1"
API_VERSION = 16
DATABASE_VERSION = 6
CHANGES_AT_ONCE = 100
MOST_CHANGES_AT_ONCE = 10_000
LARGEST_QUERY = 64 * 1024


@get_and_head(router, "/system", extra=takes())
def system(request: Request) -> Response:
    """Return the system information."""
    return answer(
        {
            "ApiVersion": API_VERSION,
            "CheckRevisions": False,
            "DatabaseBackendPlugin": None,
            "DatabaseVersion": DATABASE_VERSION,
            "DicomAet": "LENTICULAR",
            "DicomPort": 0,
            "HasLabels": False,
            "HttpPort": services_of(request).settings.port,
            "IsHttpServerSecure": True,
            "Name": "Lenticular",
            "PluginsEnabled": True,
            "ProductVersion": __version__,
            "StorageAreaPlugin": None,
            "Version": VERSION,
        }
    )


@get_and_head(router, "/statistics", extra=takes())
def statistics(request: Request) -> Response:
    """Return how much is stored."""
    return answer(resources.statistics(services_of(request)))


@get_and_head(router, "/jobs", extra=takes("expand"))
@get_and_head(router, "/queries", extra=takes("expand"))
def empty_list(request: Request) -> Response:
    """Return the empty list: there are no jobs and no queries here."""
    return answer([])


@get_and_head(router, "/modalities", extra=takes("expand"))
@get_and_head(router, "/peers", extra=takes("expand"))
@get_and_head(router, "/dicom-web/servers", extra=takes("expand"))
def nothing_configured(request: Request) -> Response:
    """Return the empty list: no other servers are configured; with `expand`, an empty object."""
    return answer({} if has(request, "expand") else [])


@get_and_head(router, "/plugins", extra=takes())
def plugins(request: Request) -> Response:
    """List what Orthanc has in plug-ins and this server by itself: DICOMweb."""
    return answer(["dicom-web"])


@get_and_head(router, "/plugins/dicom-web", extra=takes())
def dicom_web_plugin(request: Request) -> Response:
    """Describe DICOMweb as Orthanc describes its plug-in."""
    return answer(
        {
            "Description": "DICOMweb (PS3.18) is part of this server.",
            "ExtendsOrthancExplorer": False,
            "ID": "dicom-web",
            "Version": __version__,
        }
    )


@get_and_head(router, "/tools/default-encoding", extra=takes())
def default_encoding(request: Request) -> Response:
    """Return the character set in which a file without one is read: Latin1 (ISO-IR 100)."""
    return PlainTextResponse("Latin1")


@get_and_head(router, "/changes", extra=takes("since", "limit", "last"))
def changes(request: Request) -> Response:
    """List the changes since one of them, the oldest first; with `last`, only the newest."""
    services = services_of(request)
    if has(request, "last"):
        return answer(resources.last_change(services))
    limit = number(request, "limit")
    limit = CHANGES_AT_ONCE if limit is None else min(limit, MOST_CHANGES_AT_ONCE)
    return large_answer(request, resources.changes(services, number(request, "since") or 0, limit))


@get_and_head(router, "/tools/now", extra=takes())
def now(request: Request) -> Response:
    """Return the time by the server's clock, in UTC."""
    return PlainTextResponse(resources.orthanc_time(datetime.now(UTC)))


@router.post("/tools/lookup", response_class=Response, openapi_extra=NEEDS_READ)
async def lookup(request: Request) -> Response:
    """Look up the resources that have this PatientID, Study, Series or SOP Instance UID."""
    refuse_other_parameters(request, set())
    text = (await _query_of(request)).decode("utf-8", "replace").rstrip("\0 \r\n")
    found = await run_in_threadpool(orthanc_find.lookup, services_of(request), text)
    return await run_in_threadpool(large_answer, request, found)


@router.post("/tools/find", response_class=Response, openapi_extra=NEEDS_READ)
async def find(request: Request) -> Response:
    """Find the resources of a level whose attributes match."""
    refuse_other_parameters(request, set())
    question = orthanc_find.Question.parse(_json_object(await _query_of(request)))
    found = await run_in_threadpool(orthanc_find.find, services_of(request), question)
    return await run_in_threadpool(large_answer, request, found)


async def _query_of(request: Request) -> bytes:
    """Return the body of a query."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_QUERY:
            raise errors.TooLarge(f"A question may have at most {LARGEST_QUERY:,} bytes.")
    return bytes(body)


def _json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise errors.InvalidRequest("The body must contain a JSON object")
    return content
