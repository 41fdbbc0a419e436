"""Store transaction (STOW-RS), PS3.18 10.5, as instances arrive: nothing is held that is done."""

from contextlib import aclosing
from dataclasses import replace
from http import HTTPStatus

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.store.compose_instance import StoreWarning
from lenticular.transactions.store.store import StoreResult, store
from lenticular.web.context import DICOMWEB, base_url, services_of
from lenticular.web.http.paths import target_of
from lenticular.web.http.request_body import refuse_encoded, require_body
from lenticular.web.representations import datasets
from lenticular.web.store.store_request import received
from lenticular.web.store.store_response import store_answer

router = APIRouter(prefix=DICOMWEB, tags=["Store"])

# One durable transaction takes this much at a time, so that memory stays bounded.
BATCH_INSTANCES = 64
BATCH_BYTES = 32 * 1024 * 1024
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
    offer = datasets.negotiate(request)
    services = services_of(request)
    refuse_encoded(request)
    body = require_body(request, services.settings.maximum_body)
    results = Results()
    batch = Batch(services, study)
    try:
        async with aclosing(received(request, body, services)) as arriving:
            async for arrived in arriving:
                match arrived:
                    case StoreResult():
                        results.add(arrived)
                    case Spool():
                        results.add(*await batch.take(arrived, StoreWarning()))
                    case spool, remark:
                        results.add(*await batch.take(spool, remark))
        results.add(*await batch.flush())
    except (errors.InvalidRequest, errors.TooLarge) as error:
        if not results:
            raise
        # Some are stored already, so the answer has to say which, and what stopped the rest.
        results += await batch.flush()
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
    """The results so far; their number is bounded where they name no instance."""

    def __init__(self) -> None:
        super().__init__()
        self._unnamed = 0

    def add(self, *results: StoreResult) -> None:
        """Add results; TooLarge when too many parts could not be read."""
        self.extend(results)
        self._unnamed += sum(result.target is None for result in results)
        if self._unnamed > MAX_UNREADABLE_PARTS:
            raise errors.TooLarge(
                f"More than {MAX_UNREADABLE_PARTS:,} parts cannot be read; the rest is left out."
            )


class Batch:
    """Received instances that wait to be stored together."""

    def __init__(self, services: Services, study: str | None) -> None:
        self._services = services
        self._study = study
        self._spools: list[Spool] = []
        self._remarks: list[StoreWarning] = []

    async def take(self, spool: Spool, remark: StoreWarning) -> list[StoreResult]:
        """Add one and what is to be said of it; when the batch is full, the results."""
        self._spools.append(spool)
        self._remarks.append(remark)
        full = len(self._spools) >= BATCH_INSTANCES
        if full or sum(waiting.size for waiting in self._spools) >= BATCH_BYTES:
            return await self.flush()
        return []

    async def flush(self) -> list[StoreResult]:
        """Store what waits."""
        try:
            results = await run_in_threadpool(store, self._services, self._spools, self._study)
            return list(map(_remarked, results, self._remarks))
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what waits."""
        for spool in self._spools:
            spool.close()
        self._spools, self._remarks = [], []


def _remarked(result: StoreResult, remark: StoreWarning) -> StoreResult:
    """The result with a warning, unless it is a refusal."""
    if not remark.reason or result.outcome is None:
        return result
    return replace(
        result, warning_reason=remark.reason, detail=remark.detail, original=remark.original
    )
