"""Store transaction (STOW-RS), PS3.18 10.5, as instances arrive: nothing is held that is done."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from lenticular import errors
from lenticular.dicom import uids
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.store import StoreResult, store
from lenticular.web import datasets, media_types, multipart
from lenticular.web.bodies import refuse_encoded, require_body
from lenticular.web.context import DICOMWEB, base_url, services_of
from lenticular.web.media_types import MediaType
from lenticular.web.store_answer import store_answer

router = APIRouter(prefix=DICOMWEB, tags=["Store"])

# One durable transaction takes this much at a time, so that memory stays bounded.
BATCH_INSTANCES = 64
BATCH_BYTES = 32 * 1024 * 1024
CANNOT_UNDERSTAND = 0xC000
EXPECTED = 'Send multipart/related; type="application/dicom", or one application/dicom body.'


@router.post("/studies")
async def store_instances(request: Request) -> Response:
    """Store instances of any study (PS3.18 10.5)."""
    return await _store(request, None)


@router.post("/studies/{study}")
async def store_instances_of_study(request: Request, study: str) -> Response:
    """Store instances of one study; those of another are refused (PS3.18 10.5)."""
    if not uids.is_valid(study):
        raise errors.InvalidRequest("The Study Instance UID in the path is not a valid UID.")
    return await _store(request, study)


async def _store(request: Request, study: str | None) -> Response:
    offer = datasets.negotiate(request)
    services = services_of(request)
    refuse_encoded(request)
    body = require_body(request, services.settings.maximum_body)
    results: list[StoreResult] = []
    batch = Batch(services, study)
    try:
        async for spool in _instances(request, body, services):
            results += await batch.take(spool)
        results += await batch.flush()
    except (errors.InvalidRequest, errors.TooLarge) as error:
        if not results:
            raise
        # Some are stored already, so the answer has to say which, and what stopped the rest.
        results += await batch.flush()
        results.append(StoreResult(None, failure_reason=CANNOT_UNDERSTAND, detail=error.detail))
    finally:
        batch.close()
    status, dataset = store_answer(results, base_url(request))
    return datasets.answer_one(request, dataset, offer, status)


class Batch:
    """Received instances that wait to be stored together."""

    def __init__(self, services: Services, study: str | None) -> None:
        self._services = services
        self._study = study
        self._spools: list[Spool] = []

    async def take(self, spool: Spool) -> list[StoreResult]:
        """Add one; when the batch is full, the results of storing it."""
        self._spools.append(spool)
        full = len(self._spools) >= BATCH_INSTANCES
        if full or sum(waiting.size for waiting in self._spools) >= BATCH_BYTES:
            return await self.flush()
        return []

    async def flush(self) -> list[StoreResult]:
        """Store what waits."""
        try:
            return await run_in_threadpool(store, self._services, self._spools, self._study)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of what waits."""
        for spool in self._spools:
            spool.close()
        self._spools = []


def _instances(
    request: Request, body: AsyncIterator[bytes], services: Services
) -> AsyncIterator[Spool]:
    content_type = request.headers.get("content-type")
    if not content_type:
        raise errors.UnsupportedMedia(f"The body has no Content-Type. {EXPECTED}")
    media_type = MediaType.parse(content_type)
    if media_type.name == media_types.DICOM:
        return _lone_instance(body, services)
    if media_type.name != media_types.MULTIPART_RELATED:
        raise errors.UnsupportedMedia(f"{media_type.name} cannot be stored. {EXPECTED}")
    kind = media_type.parameters.get("type", media_types.DICOM).lower()
    if kind != media_types.DICOM:
        raise errors.UnsupportedMedia(f"Parts of type {kind} cannot be stored. {EXPECTED}")
    return _parts(body, multipart.MultipartReader(multipart.boundary_of(content_type)), services)


async def _lone_instance(body: AsyncIterator[bytes], services: Services) -> AsyncIterator[Spool]:
    spool = services.new_spool()
    try:
        async for piece in body:
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    yield spool


async def _parts(
    body: AsyncIterator[bytes], reader: multipart.MultipartReader, services: Services
) -> AsyncIterator[Spool]:
    spool: Spool | None = None
    count = 0
    try:
        async for piece in body:
            for event in reader.feed(piece):
                match event:
                    case multipart.PartBegin():
                        spool = services.new_spool()
                    case multipart.PartData(data):
                        assert spool is not None
                        spool.write(data)
                    case multipart.PartEnd():
                        assert spool is not None
                        whole, spool = spool, None
                        count += 1
                        yield whole
        reader.finish()
    finally:
        if spool is not None:
            spool.close()
    if not count:
        raise errors.InvalidRequest("The body has no parts, so there is nothing to store.")
