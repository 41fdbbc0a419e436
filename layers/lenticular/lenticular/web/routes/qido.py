"""Search transaction (QIDO-RS), PS3.18 10.6: studies, series and instances at six resources."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.dicom.model import Level, Target
from lenticular.transactions.search import parse_query, search
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations import datasets
from lenticular.web.request_context import DICOMWEB, base_url, services_of
from lenticular.web.resource_paths import SERIES, STUDY, target_of

router = APIRouter(prefix=DICOMWEB, tags=["Search"])

MORE_RESULTS = (
    "The number of results exceeded the maximum supported by the server. "
    "Additional results can be requested."
)
NOT_YET_READY = "is being added; what was stored before may be missing from the results."
MAXIMUM_WARNINGS = 10
"""Warning headers at most, so that a query of unknown parameters does not fill the headers."""


@get_and_head(router, "/studies")
def search_studies(request: Request) -> Response:
    """Search for studies (PS3.18 10.6)."""
    return _search(request, Level.STUDY)


@get_and_head(router, STUDY + "/series")
def search_series_of_study(request: Request, study: str) -> Response:
    """Search for series of a study (PS3.18 10.6)."""
    return _search(request, Level.SERIES, target_of(study))


@get_and_head(router, STUDY + "/instances")
def search_instances_of_study(request: Request, study: str) -> Response:
    """Search for instances of a study (PS3.18 10.6)."""
    return _search(request, Level.INSTANCE, target_of(study))


@get_and_head(router, SERIES + "/instances")
def search_instances_of_series(request: Request, study: str, series: str) -> Response:
    """Search for instances of a series (PS3.18 10.6)."""
    return _search(request, Level.INSTANCE, target_of(study, series))


@get_and_head(router, "/series")
def search_series(request: Request) -> Response:
    """Search for series of all studies (PS3.18 10.6)."""
    return _search(request, Level.SERIES)


@get_and_head(router, "/instances")
def search_instances(request: Request) -> Response:
    """Search for instances of all studies (PS3.18 10.6)."""
    return _search(request, Level.INSTANCE)


def _search(request: Request, level: Level, target: Target | None = None) -> Response:
    """Respond with the matches of a search at this level, below this target."""
    offer = datasets.negotiate(request)
    services, service = services_of(request), base_url(request)
    parameters = request.query_params.multi_items()
    query, warnings = parse_query(
        level,
        target,
        parameters,
        services.index.query_tags,
        services.limits.search_results,
    )
    answer = search(services, query, service)
    for path in answer.adding:
        warnings.insert(0, f"{path} {NOT_YET_READY}")
    if answer.more:
        warnings.insert(0, _more_results(answer.remaining))
    response = datasets.answer(request, answer.matches, offer)
    for warning in warnings[:MAXIMUM_WARNINGS]:
        response.headers.append("Warning", f"299 {service}: {warning}")
    return response


def _more_results(remaining: int | None) -> str:
    """Return the words of PS3.18 8.3.4.4.1 for results beyond this page."""
    if remaining is None:
        return MORE_RESULTS
    return f"There are {remaining} additional results that can be requested."
