"""Retrieve Capabilities transaction, PS3.18 8.9: OPTIONS of the base URL, and GET for people.

OPTIONS of any other resource names its methods only (`web/errors.py`).
"""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import __version__
from lenticular.web.http import content_encoding
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.http.media_types import DICOM_JSON, JSON, WADL
from lenticular.web.reading_routes import get_and_head
from lenticular.web.representations.capabilities import EDITION, as_json, as_wadl, resources
from lenticular.web.request_context import DICOMWEB, base_url, root_url
from lenticular.web.responses import respond

router = APIRouter(tags=["Service"])

OFFERS = [Offer(JSON), Offer(DICOM_JSON), Offer(WADL)]


@router.options(DICOMWEB, response_class=Response)
@router.options(f"{DICOMWEB}/", response_class=Response, include_in_schema=False)
def retrieve_capabilities(request: Request) -> Response:
    """Describe what this service can do (PS3.18 8.9)."""
    offer = choose(accepted(request), OFFERS)
    base = base_url(request)
    described = resources(request.app.state.all_routers())
    is_wadl = offer.media_type == WADL
    body = as_wadl(base, described) if is_wadl else orjson.dumps(as_json(base, described))
    headers = {"allow": "GET, HEAD, OPTIONS", "content-type": offer.media_type, "vary": "Accept"}
    return content_encoding.respond_maybe_gzip(request, 200, headers, body)


@get_and_head(router, DICOMWEB)
def introduction(request: Request) -> Response:
    """Return the name of this service and the first addresses to try."""
    base, root = base_url(request), root_url(request)
    links = {
        "studies": f"{base}/studies",
        "capabilities": f"OPTIONS {base}",
        "health": f"{root}/health",
        "openapi": f"{root}/openapi.json",
        "reference": f"{root}/docs",
        "viewer": f"{root}/ohif/",
    }
    about = {"name": "Lenticular", "version": __version__, "standard": EDITION, "links": links}
    body = orjson.dumps(about)
    return respond.content(request, body, JSON, etag=respond.entity_tag(body))
