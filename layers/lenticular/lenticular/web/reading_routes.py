"""Routes that read: registered for GET and HEAD, and repeated if a file was just replaced."""

from collections.abc import Callable, Set
from copy import copy
from functools import wraps
from typing import Any, TypeVar, cast

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from lenticular.errors import InvalidRequest
from lenticular.transactions.retrieve.byte_source import FileGone

Handler = TypeVar("Handler", bound=Callable[..., Any])


def get_and_head(
    router: APIRouter, path: str, *, extra: dict[str, Any] | None = None
) -> Callable[[Handler], Handler]:
    """Register a handler for GET and HEAD; the documentation lists only the first.

    `extra` is added to the route's OpenAPI description, for example its right
    (`web/access/rights.py`). Query parameters that are described in it are the only ones.
    """
    described = (extra or {}).get("parameters")
    names = None if described is None else frozenset(each["name"] for each in described)

    def register(handler: Handler) -> Handler:
        steady = _retry_if_replaced(handler, names)
        router.get(path, response_class=Response, openapi_extra=extra)(steady)
        # A copy, because FastAPI would analyse the handler once more.
        head = copy(cast("APIRoute", router.routes[-1]))
        head.methods, head.include_in_schema = {"HEAD"}, False
        router.routes.append(head)
        return handler

    return register


def _retry_if_replaced(handler: Handler, names: Set[str] | None) -> Handler:
    """Return the handler, repeated once if an instance was replaced before it was read."""

    @wraps(handler)
    def handle(*arguments: Any, **named: Any) -> Any:
        request: Request | None = named.get("request")
        if names is not None and request is not None and request.scope["query_string"]:
            refuse_other_parameters(request, names)
        try:
            return handler(*arguments, **named)
        except FileGone:
            return handler(*arguments, **named)

    return cast("Handler", handle)


def refuse_other_parameters(request: Request, names: Set[str]) -> None:
    """Refuse query parameters that are not among these: ignored, they would change an answer.

    `_` with a number is no parameter: scripts in browsers add it to get past a cache.
    """
    for name in request.query_params:
        if name not in names and name != "_":
            accepted = f"it takes {', '.join(sorted(names))}" if names else "it takes none"
            raise InvalidRequest(f"`{name[:80]}` is not a parameter of this request; {accepted}.")
