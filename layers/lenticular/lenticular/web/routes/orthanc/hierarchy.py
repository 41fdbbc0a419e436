"""Patients, studies, series and instances: lists, one of them, what is above and below, delete."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from lenticular import errors
from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_tags import simplified
from lenticular.transactions.orthanc import resources as browse
from lenticular.web.http.media_types import JSON
from lenticular.web.reading_routes import get_and_head, refuse_other_parameters
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond
from lenticular.web.routes.orthanc.parameters import (
    COLLECTION,
    RESOURCE,
    STYLES,
    Collection,
    Relation,
    answer,
    has,
    large_answer,
    tag_style,
    takes,
    window,
)

router = APIRouter(tags=["Orthanc"])


@get_and_head(router, COLLECTION, extra=takes("since", "limit", "expand", *STYLES))
def resources(request: Request, collection: Collection) -> Response:
    """List the identifiers of a level in the order of arrival; with `expand`, describe each."""
    index = services_of(request).index
    since, limit = window(request)
    if not has(request, "expand"):
        return large_answer(request, index.orthanc.resource_ids(collection.level, since, limit))
    style = tag_style(request, simplified)
    pages = browse.all_resources(services_of(request), collection.level, since, limit)
    return respond.array(
        request,
        (orjson.dumps(browse.describe(resource, style)) for resource in pages),
        JSON,
    )


@get_and_head(router, RESOURCE, extra=takes(*STYLES))
def resource(request: Request, collection: Collection, identifier: str) -> Response:
    """Describe a patient, a study, a series or an instance."""
    found = browse.find(services_of(request), collection.level, identifier)
    return answer(browse.describe(found, tag_style(request, simplified)))


@router.delete(RESOURCE, response_class=Response)
def delete(request: Request, collection: Collection, identifier: str) -> Response:
    """Delete a resource, all below it, and its parents when nothing is left in them."""
    refuse_other_parameters(request, set())
    services = services_of(request)
    return answer(browse.remove(services, browse.find(services, collection.level, identifier)))


@get_and_head(router, RESOURCE + "/{relation:relation}", extra=takes("expand", *STYLES))
def related(
    request: Request, collection: Collection, identifier: str, relation: Relation
) -> Response:
    """Describe the parent of a resource at a level above, or all its resources of a level below."""
    services = services_of(request)
    found = browse.find(services, collection.level, identifier)
    style = tag_style(request, simplified)
    if relation in _UP[collection.level]:
        return answer(browse.describe(browse.ancestor(services, found, relation.level), style))
    if relation in _DOWN[collection.level]:
        below = browse.descendants(services, found, relation.level)
        if request.query_params.get("expand") is not None and not has(request, "expand"):
            return large_answer(request, [each.orthanc_id for each in below])
        return large_answer(request, [browse.describe(each, style) for each in below])
    raise errors.NotFound(f"A {collection.level.lower()} has no {relation}.")


_UP = {
    Level.PATIENT: (),
    Level.STUDY: (Relation.PATIENT,),
    Level.SERIES: (Relation.PATIENT, Relation.STUDY),
    Level.INSTANCE: (Relation.PATIENT, Relation.STUDY, Relation.SERIES),
}
_DOWN = {
    Level.PATIENT: (Relation.STUDIES, Relation.SERIES, Relation.INSTANCES),
    Level.STUDY: (Relation.SERIES, Relation.INSTANCES),
    Level.SERIES: (Relation.INSTANCES,),
    Level.INSTANCE: (),
}


@get_and_head(router, RESOURCE + "/statistics", extra=takes())
def statistics(request: Request, collection: Collection, identifier: str) -> Response:
    """Return the size of a resource and the number of its studies, series and instances."""
    found = browse.find(services_of(request), collection.level, identifier)
    return answer(browse.statistics_of(found))


@get_and_head(router, RESOURCE + "/metadata", extra=takes("expand"))
def metadata(request: Request, collection: Collection, identifier: str) -> Response:
    """List the names of the metadata of a resource; with `expand`, their values too."""
    noted = browse.metadata(browse.find(services_of(request), collection.level, identifier))
    return answer(noted if has(request, "expand") else list(noted))


@get_and_head(router, RESOURCE + "/metadata/{name}", extra=takes())
def metadata_value(
    request: Request, collection: Collection, identifier: str, name: str
) -> Response:
    """Return one metadata value of a resource."""
    noted = browse.metadata(browse.find(services_of(request), collection.level, identifier))
    if name not in noted:
        raise errors.NotFound(f"The resource has no metadata {name!r}.")
    return PlainTextResponse(noted[name])
