"""The health of the server, for load balancers and supervisors."""

from http import HTTPStatus

import orjson
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.transactions.health import Health, HealthChecks
from lenticular.web.http.media_types import JSON
from lenticular.web.request_context import services_of

router = APIRouter(tags=["Service"])

RETRY_AFTER_SECONDS = "10"


@router.head("/health", include_in_schema=False)
@router.get("/health", response_class=Response)
async def health(request: Request) -> Response:
    """Check index and storage; with 503, name the part that does not work.

    It is a coroutine, since all threads may be waiting for the part that hangs.
    """
    found = await _checks(request.app, request).check()
    status = HTTPStatus.OK if found.is_well else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"cache-control": "no-store"}
    if not found.is_well:
        headers["retry-after"] = RETRY_AFTER_SECONDS
    return Response(orjson.dumps(_document(found)), status, headers, media_type=JSON)


def _checks(app: FastAPI, request: Request) -> HealthChecks:
    services = services_of(request)
    checks = getattr(app.state, "health_checks", None)
    if checks is None or checks.services is not services:
        checks = app.state.health_checks = HealthChecks(services)
    return checks


def _document(found: Health) -> dict[str, str]:
    if found.is_well:
        return {"status": "ok", "version": __version__}
    ill = ", ".join(f"the {part} {state}" for part, state in found.parts.items() if state != "ok")
    return {
        "status": "ill",
        "version": __version__,
        **found.parts,
        "detail": f"{ill[:1].upper()}{ill[1:]}; try again later.",
    }
