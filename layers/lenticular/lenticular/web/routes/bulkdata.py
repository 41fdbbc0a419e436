"""Retrieve transaction (WADO-RS) of bulk data and pixels, PS3.18 10.4.1.1.5 and 10.4.1.1.6.

One value by its BulkDataURI, or all of a study, a series or an instance.
"""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve.bulkdata import Value
from lenticular.web.dicomweb_route import DicomwebRoute
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations.bulkdata import all_values, one_value
from lenticular.web.request_context import DICOMWEB, services_of
from lenticular.web.resource_paths import INSTANCE, SERIES, STUDY, target_of

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=DicomwebRoute)


@get_and_head(router, STUDY + "/bulkdata")
def retrieve_study_bulkdata(request: Request, study: str) -> Response:
    """Retrieve all bulk data of a study (PS3.18 10.4.1.1.5)."""
    return all_values(request, target_of(study))


@get_and_head(router, SERIES + "/bulkdata")
def retrieve_series_bulkdata(request: Request, study: str, series: str) -> Response:
    """Retrieve all bulk data of a series (PS3.18 10.4.1.1.5)."""
    return all_values(request, target_of(study, series))


@get_and_head(router, INSTANCE + "/bulkdata")
def retrieve_instance_bulkdata(
    request: Request, study: str, series: str, instance: str
) -> Response:
    """Retrieve all bulk data of an instance (PS3.18 10.4.1.1.5)."""
    return all_values(request, target_of(study, series, instance))


@get_and_head(router, STUDY + "/pixeldata")
def retrieve_study_pixeldata(request: Request, study: str) -> Response:
    """Retrieve the pixels of all instances of a study (PS3.18 10.4.1.1.6)."""
    return all_values(request, target_of(study), pixels_only=True)


@get_and_head(router, SERIES + "/pixeldata")
def retrieve_series_pixeldata(request: Request, study: str, series: str) -> Response:
    """Retrieve the pixels of all instances of a series (PS3.18 10.4.1.1.6)."""
    return all_values(request, target_of(study, series), pixels_only=True)


@get_and_head(router, INSTANCE + "/pixeldata")
def retrieve_instance_pixeldata(
    request: Request, study: str, series: str, instance: str
) -> Response:
    """Retrieve all pixels of an instance (PS3.18 10.4.1.1.6)."""
    return all_values(request, target_of(study, series, instance), pixels_only=True)


@get_and_head(router, INSTANCE + "/bulkdata/{path:path}")
def retrieve_bulkdata(
    request: Request, study: str, series: str, instance: str, path: str
) -> Response:
    """Retrieve the value that a BulkDataURI of the metadata names (PS3.18 10.4.1.1.5)."""
    located = retrieve.locate(services_of(request), target_of(study, series, instance))
    return one_value(request, Value(located, path.upper(), 0))
