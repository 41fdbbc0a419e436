"""Deferred results: responses that are made in the background, and where they are."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.errors import NotFound
from lenticular.transactions import deferred_results
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import services_of
from lenticular.web.responses import payload_limit

router = APIRouter(tags=["Results"])


@get_and_head(router, "/results/{result_id}")
def result(request: Request, result_id: str) -> Response:
    """Respond 303 to a deferred response, 202 while it is made, or its error."""
    bucket = services_of(request).bucket
    if bucket is None:
        raise NotFound("Responses are never deferred here.")
    state = deferred_results.status(bucket, result_id)
    if state.result is not None:
        return payload_limit.see_other_303(request, state.result)
    if state.failure is not None:
        failure = state.failure
        return Response(failure.body, failure.status, media_type=failure.media_type)
    return payload_limit.accepted_202(request, result_id)
