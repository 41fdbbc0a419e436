"""Query tags, with the paths and the JSON of Azure's DICOM service (v2).

They are read only: the configuration says which there are.
"""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.transactions.query_tags import all_query_tags, query_tag
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.http.media_types import DICOM_JSON, JSON
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import DICOMWEB, services_of
from lenticular.web.responses import respond

router = APIRouter(prefix=DICOMWEB, tags=["Search"])

OFFERS = [Offer(JSON), Offer(DICOM_JSON)]


@get_and_head(router, "/extendedquerytags")
def read_query_tags(request: Request) -> Response:
    """List the configured query tags, and how far the backfill of each is."""
    media_type = choose(accepted(request), OFFERS).media_type
    entries = [orjson.dumps(tag) for tag in all_query_tags(services_of(request))]
    return respond.array(request, entries, media_type)


@get_and_head(router, "/extendedquerytags/{path}")
def read_query_tag(request: Request, path: str) -> Response:
    """Return one query tag by its path of tags or keywords."""
    media_type = choose(accepted(request), OFFERS).media_type
    entry = orjson.dumps(query_tag(services_of(request), path))
    etag = respond.entity_tag(entry, media_type)
    return respond.content(request, entry, media_type, etag=etag)
