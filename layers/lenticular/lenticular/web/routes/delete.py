"""Delete studies, series and instances at their DICOMweb URLs, as other archives do."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.transactions.delete import delete
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.request_context import DICOMWEB, services_of
from lenticular.web.resource_paths import INSTANCE, SERIES, STUDY, target_of

router = APIRouter(prefix=DICOMWEB, tags=["Delete"], route_class=DicomwebRoute)


@router.delete(STUDY, status_code=204)
def delete_study(request: Request, study: str) -> Response:
    """Delete a study."""
    return _delete(request, study)


@router.delete(SERIES, status_code=204)
def delete_series(request: Request, study: str, series: str) -> Response:
    """Delete a series, and its study if nothing else is in it."""
    return _delete(request, study, series)


@router.delete(INSTANCE, status_code=204)
def delete_instance(request: Request, study: str, series: str, instance: str) -> Response:
    """Delete an instance, and its series and study if nothing else is in them."""
    return _delete(request, study, series, instance)


def _delete(request: Request, *uids: str) -> Response:
    """Delete what the path names."""
    delete(services_of(request), target_of(*uids))
    return Response(status_code=204)
