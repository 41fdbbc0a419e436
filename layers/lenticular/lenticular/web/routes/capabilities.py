"""Retrieve Capabilities transaction, PS3.18 8.9: OPTIONS of the base URL.

That of any other resource says its methods only (`web/errors.py`).
"""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.web.capabilities import WADL, as_json, as_wadl
from lenticular.web.context import DICOMWEB, base_url
from lenticular.web.http import content_encoding
from lenticular.web.http.media_types import DICOM_JSON, JSON, Offer, accepted, choose

router = APIRouter(tags=["Service"])

OFFERS = [Offer(JSON), Offer(DICOM_JSON), Offer(WADL)]


@router.options(DICOMWEB, response_class=Response)
@router.options(f"{DICOMWEB}/", response_class=Response, include_in_schema=False)
def retrieve_capabilities(request: Request) -> Response:
    """What this service can do (PS3.18 8.9)."""
    offer = choose(accepted(request), OFFERS)
    base = base_url(request)
    is_wadl = offer.media_type == WADL
    body = as_wadl(base) if is_wadl else orjson.dumps(as_json(base))
    headers = {"allow": "OPTIONS", "content-type": offer.media_type, "vary": "Accept"}
    return content_encoding.respond_maybe_gzip(request, 200, headers, body)
