"""Store transaction (STOW-RS), PS3.18 10.5. Instances are stored in batches as they arrive."""

from contextlib import aclosing
from http import HTTPStatus
from itertools import starmap

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lenticular import errors
from lenticular.storage.spool import Spool
from lenticular.transactions.store.batch import Batch
from lenticular.transactions.store.compose_instance import StoreWarning
from lenticular.transactions.store.store import StoreResult
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.representations import datasets
from lenticular.web.request_body import refuse_encoded, require_body
from lenticular.web.request_context import DICOMWEB, base_url, services_of
from lenticular.web.resource_paths import target_of
from lenticular.web.stow.store_request import received
from lenticular.web.stow.store_response import store_answer

router = APIRouter(prefix=DICOMWEB, tags=["Store"], route_class=DicomwebRoute)

MAX_UNREADABLE_PARTS = 10_000
"""Parts, or datasets of metadata, of one request from which no instance can be made."""


@router.post("/studies")
async def store_instances(request: Request) -> Response:
    """Store instances of any study (PS3.18 10.5)."""
    return await _store(request, None)


@router.post("/studies/{study}")
async def store_instances_of_study(request: Request, study: str) -> Response:
    """Store instances of one study; those of another are refused (PS3.18 10.5)."""
    return await _store(request, target_of(study).study_instance_uid)


async def _store(request: Request, study: str | None) -> Response:
    """Store the instances of a request; respond with the outcome of each."""
    offer = datasets.negotiate(request)
    services = services_of(request)
    refuse_encoded(request)
    body = require_body(request, services.settings.maximum_body)
    results = Results()
    batch: Batch[StoreWarning] = Batch(services, study)
    try:
        async with aclosing(received(request, body, services)) as arriving:
            async for arrived in arriving:
                match arrived:
                    case StoreResult():
                        results.add(arrived)
                    case Spool():
                        batch.add(arrived, StoreWarning())
                    case spool, warning:
                        batch.add(spool, warning)
                if batch.is_full:
                    results.add(*await _store_batch(batch))
        results.add(*await _store_batch(batch))
    except (errors.InvalidRequest, errors.TooLarge) as error:
        if not results:
            raise
        # Some are stored already, so the response has to name them and the error that stopped it.
        results += await _store_batch(batch)
        reason = errors.FailureReason.CANNOT_UNDERSTAND
        results.append(StoreResult(None, failure_reason=reason, detail=error.detail))
    finally:
        batch.close()
    status, dataset = store_answer(results, base_url(request))
    if status == HTTPStatus.OK and _wants_no_answer(request):
        return Response(status_code=204, headers={"Preference-Applied": "return=minimal"})
    return datasets.answer_one(request, dataset, offer, status)


def _wants_no_answer(request: Request) -> bool:
    """Return True if the client wants a body only if something was not stored (RFC 7240 4.2)."""
    preferences = ",".join(request.headers.getlist("prefer")).lower().split(",")
    return "return=minimal" in [preference.partition(";")[0].strip() for preference in preferences]


class Results(list[StoreResult]):
    """The results so far; those without an instance are limited in number."""

    def __init__(self) -> None:
        super().__init__()
        self._unnamed = 0

    def add(self, *results: StoreResult) -> None:
        """Add results; raise TooLarge if too many parts could not be read."""
        self.extend(results)
        self._unnamed += sum(result.target is None for result in results)
        if self._unnamed > MAX_UNREADABLE_PARTS:
            raise errors.TooLarge(
                f"More than {MAX_UNREADABLE_PARTS:,} parts cannot be read; the rest is left out."
            )


async def _store_batch(batch: Batch[StoreWarning]) -> list[StoreResult]:
    """Store the instances of a batch."""
    return list(starmap(_with_warning, await run_in_threadpool(batch.store)))


def _with_warning(warning: StoreWarning, result: StoreResult) -> StoreResult:
    """Return the result with a warning, unless it is a refusal."""
    if not warning.reason or result.outcome is None:
        return result
    return result.with_warning(warning.reason, warning.detail, warning.original)
