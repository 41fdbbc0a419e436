"""Routes that read: registered for GET and HEAD, and repeated if a file was just replaced."""

from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Response
from fastapi.routing import APIRoute

from lenticular.transactions.retrieve.byte_source import FileGone

Handler = TypeVar("Handler", bound=Callable[..., Any])


def get_and_head(
    router: APIRouter, path: str, *, extra: dict[str, Any] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler for GET and HEAD; the documentation lists only the first.

    `extra` is added to the route's OpenAPI description, for example its right
    (`web/access/rights.py`).
    """

    def register(handler: Handler) -> Handler:
        steady = _retry_if_replaced(handler)
        router.get(path, response_class=Response, openapi_extra=extra)(steady)
        # A copy, because FastAPI would analyse the handler once more.
        head = copy(cast("APIRoute", router.routes[-1]))
        head.methods, head.include_in_schema = {"HEAD"}, False
        router.routes.append(head)
        return handler

    return register


def _retry_if_replaced(handler: Handler) -> Handler:
    """Return the handler, repeated once if an instance was replaced before it was read."""

    @wraps(handler)
    def handle(*arguments: Any, **named: Any) -> Any:
        try:
            return handler(*arguments, **named)
        except FileGone:
            return handler(*arguments, **named)

    return cast("Handler", handle)
