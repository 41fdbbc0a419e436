"""Paths of resources: what they name, and the methods that read them."""

import time
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from lenticular.dicom import uids
from lenticular.dicom.model import Target
from lenticular.errors import InvalidRequest, TooLarge
from lenticular.transactions.retrieve.byte_source import FileGone
from lenticular.web.http.payload_limit import STARTED

Handler = TypeVar("Handler", bound=Callable[..., Any])

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"


def get_and_head(
    router: APIRouter, path: str, *, extra: dict[str, Any] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler for GET and HEAD; the documentation lists only the first.

    `extra` is added to the route's OpenAPI description, for example its right (`web/rights.py`).
    """

    def register(handler: Handler) -> Handler:
        steady = _retry_if_replaced(handler)
        router.get(path, response_class=Response, openapi_extra=extra)(steady)
        # A copy, for FastAPI would take the handler apart once more.
        head = copy(cast("APIRoute", router.routes[-1]))
        head.methods, head.include_in_schema = {"HEAD"}, False
        router.routes.append(head)
        return handler

    return register


def _retry_if_replaced(handler: Handler) -> Handler:
    """Handle once more when an instance was replaced between being found and being read."""

    @wraps(handler)
    def handle(*arguments: Any, **named: Any) -> Any:
        if "request" in named:
            named["request"].scope.setdefault(STARTED, time.monotonic())
        try:
            return handler(*arguments, **named)
        except FileGone:
            return handler(*arguments, **named)

    return cast("Handler", handle)


def target_of(study: str, series: str | None = None, instance: str | None = None) -> Target:
    """Return the study, series or instance that a path names.

    Files with identifiers that are no UIDs are stored as well, so any identifier will do.
    """
    named = (("Study", study), ("Series", series), ("SOP", instance))
    for level, uid in named:
        if uid is not None and (problem := uids.problem_of(uid)):
            raise InvalidRequest(f"The {level} Instance UID in the path {problem}.")
    return Target(study, series, instance)


def frame_numbers_of(frame_list: str, maximum: int) -> list[int]:
    """Return the frames that a path names, numbered from 1, in their order (PS3.18 10.1.2)."""
    elements = frame_list.split(",")
    if len(elements) > maximum:
        raise TooLarge(f"One request may name at most {maximum:,} frames.")
    # More than nine digits are beyond the frames that any object can have (PS3.5, VR IS).
    numbers = [int(element) for element in elements if element.isdecimal() and len(element) < 11]
    if len(numbers) < len(elements) or 0 in numbers:
        raise InvalidRequest("Frames are numbers from 1, separated by commas: 1,3,2.")
    return numbers
