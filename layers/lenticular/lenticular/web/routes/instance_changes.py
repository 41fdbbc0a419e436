"""The change feed of instances, with the paths and the JSON of Azure's DICOM service (v2).

The transaction is imported when it is first asked for, because no viewer asks.
"""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular.errors import InvalidRequest
from lenticular.web.http.accept import Offer, accepted, choose
from lenticular.web.http.media_types import DICOM_JSON, JSON
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import DICOMWEB, base_url, services_of
from lenticular.web.responses import respond

if TYPE_CHECKING:
    from lenticular.index.read.instance_changes import TimeWindow

router = APIRouter(prefix=DICOMWEB, tags=["Change feed"])

OFFERS = [Offer(JSON), Offer(DICOM_JSON)]
AT_ONCE, MOST_AT_ONCE = 100, 200
MOST_DIGITS = 18
SWITCH = {"": True, "true": True, "false": False}


@get_and_head(router, "/changefeed")
def read_changefeed(request: Request) -> Response:
    """Return changes of instances, the oldest first (`offset`, `limit`, `startTime`, `endTime`)."""
    from lenticular.transactions import instance_changes

    media_type = choose(accepted(request), OFFERS).media_type
    limit = _number(request, "limit", AT_ONCE)
    if not 1 <= limit <= MOST_AT_ONCE:
        raise InvalidRequest(f"limit must be a number from 1 to {MOST_AT_ONCE}.")
    entries = instance_changes.page(
        services_of(request),
        _number(request, "offset", 0),
        limit,
        _window(request),
        _metadata_below(request),
    )
    return respond.array(request, list(entries), media_type)


@get_and_head(router, "/changefeed/latest")
def read_latest_change(request: Request) -> Response:
    """Return the last change of an instance; 204 when nothing was ever stored."""
    from lenticular.transactions import instance_changes

    media_type = choose(accepted(request), OFFERS).media_type
    entry = instance_changes.latest(services_of(request), _metadata_below(request))
    if entry is None:
        return Response(status_code=204)
    etag = respond.entity_tag(entry, media_type)
    return respond.content(request, entry, media_type, etag=etag)


def _window(request: Request) -> "TimeWindow":
    """Return the window of time that is asked for."""
    from lenticular.index.read.instance_changes import TimeWindow

    start, end = _time(request, "startTime"), _time(request, "endTime")
    if start is not None and end is not None and start >= end:
        raise InvalidRequest("startTime must be before endTime.")
    return TimeWindow(start, end)


def _metadata_below(request: Request) -> str | None:
    """Return the base URL for metadata if they are asked for, else None."""
    switch = SWITCH.get(_given(request, "includeMetadata").lower())
    if switch is None:
        raise InvalidRequest("includemetadata must be true or false.")
    return base_url(request) if switch else None


def _time(request: Request, name: str) -> int | None:
    """Return a time in milliseconds since 1970; None without the parameter."""
    from lenticular.transactions import instance_changes

    text = _given(request, name)
    found = instance_changes.moment(text) if text else None
    if text and found is None:
        raise InvalidRequest(f"{name} must be a time such as 2026-01-31T16:00:00Z.")
    return found


def _number(request: Request, name: str, default: int) -> int:
    text = _given(request, name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise InvalidRequest(f"{name} must be a whole number, 0 or more.")
    return int(text)


def _given(request: Request, name: str) -> str:
    """Return the parameter whatever the case of its name, for Azure's own documents mix them."""
    for given, value in request.query_params.multi_items():
        if given.lower() == name.lower():
            return value.strip()
    return ""
