"""`POST /instances`: a file, a zip of files, or a form with either; also compressed with gzip."""

import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lenticular import errors
from lenticular.index.records import Level, Outcome
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.ingest.zip_reader import is_zip, store_zip
from lenticular.transactions.orthanc.resources import reference
from lenticular.transactions.store.store import (
    StoreResult,
    store,
)
from lenticular.web.reading_routes import refuse_other_parameters
from lenticular.web.request_context import services_of
from lenticular.web.routes.orthanc.content_decoding import body_of
from lenticular.web.routes.orthanc.form_data import files_of_form, is_form
from lenticular.web.routes.orthanc.parameters import answer

router = APIRouter(tags=["Orthanc"])

MAX_UNREADABLE_FILES = 10_000
"""Files of one form that are not DICOM."""

MOST_NAMED = 10
"""Files that a warning names one by one, so that no answer is all of headers."""

_NEW = (Outcome.STORED, Outcome.REPLACED)

Named = tuple[str, StoreResult]
"""The name that a file has in a zip, else none, and what became of it."""


@router.post("/instances", response_class=Response)
async def upload(request: Request) -> Response:
    """Store a DICOM file, or all DICOM files of a zip or of a form."""
    refuse_other_parameters(request, set())
    services = services_of(request)
    body = body_of(request, services.settings.maximum_body)
    if is_form(request):
        results = await _store_form(request, services, body)
        if not any(_is_stored(result) for _, result in results):
            raise _refusal(results[0][1])
        return _answer_to_many(results)
    with services.new_spool() as spool:
        async for piece in body:
            spool.write(piece)
        results = await run_in_threadpool(_store, services, spool)
        if is_zip(spool.view()[:4]):
            return _answer_to_many(results)
    ((_, result),) = results
    if not _is_stored(result):
        raise _refusal(result)
    response = answer(_as_json(result))
    if result.warning_reason:
        response.headers["warning"] = f'299 - "{result.detail}"'
    return response


async def _store_form(
    request: Request, services: Services, body: AsyncIterator[bytes]
) -> list[Named]:
    """Store each file of a form."""
    results: list[Named] = []
    unreadable = 0
    async for spool in files_of_form(request, body, services):
        with spool:
            stored = await run_in_threadpool(_store, services, spool)
        results += stored
        unreadable += all(result.target is None for _, result in stored)
        if unreadable > MAX_UNREADABLE_FILES:
            raise errors.TooLarge(
                f"More than {MAX_UNREADABLE_FILES:,} files of the form are not DICOM; the rest is"
                " left out."
            )
    return results


def _store(services: Services, spool: Spool) -> list[Named]:
    """Store a file, or the files of a zip."""
    if is_zip(spool.view()[:4]):
        return list(store_zip(services, spool))
    return [("", result) for result in store(services, [spool])]


def _answer_to_many(results: list[Named]) -> Response:
    """Respond with all instances; name the files that are not stored, which Orthanc skips."""
    stored = [result for _, result in results if _is_stored(result)]
    for _, result in results:
        if result.temporary_failure is not None:
            raise result.temporary_failure
    listed = [result for _, result in results if _is_stored(result) or result.target is not None]
    response = answer([_as_json(result) for result in listed])
    if len(stored) < len(results):
        left_out = f"{len(results) - len(stored)} of {len(results)} files were not stored"
        refused = [name for name, result in results if name and not _is_stored(result)]
        named = ", ".join(refused[:MOST_NAMED]) + (", ..." if len(refused) > MOST_NAMED else "")
        sentence = f"{left_out}: {named}" if named else left_out
        response.headers["warning"] = f'299 - "{_header_text(sentence)}"'
    return response


def _header_text(text: str) -> str:
    """Return a text as it may stand between the quotation marks of a header."""
    return re.sub(r"[^ !#-\[\]-~]", "?", text)


def _is_stored(result: StoreResult) -> bool:
    """Return True if the instance is stored, with these bytes or with earlier ones."""
    return result.orthanc_ids is not None


def _refusal(result: StoreResult) -> errors.LenticularError:
    """Return the error that says why a file was refused."""
    if result.failure_reason == errors.FailureReason.DUPLICATE_SOP_INSTANCE:
        return errors.Conflict(result.detail)
    return errors.InvalidInstance(result.detail)


def _as_json(result: StoreResult) -> dict[str, Any]:
    """Return Orthanc's description of a stored instance; of a refused one the reason."""
    ids = result.orthanc_ids
    if ids is None:
        return {"Details": result.detail, "Status": "Failure"}
    stored = reference(Level.INSTANCE, ids[Level.INSTANCE])
    return {
        "ID": stored["ID"],
        "ParentPatient": ids[Level.PATIENT],
        "ParentSeries": ids[Level.SERIES],
        "ParentStudy": ids[Level.STUDY],
        "Path": stored["Path"],
        "Status": "Success" if result.outcome in _NEW else "AlreadyStored",
    }
