"""The right that a request needs: a property of its route.

Methods that only read need `read`, all others `write`. A route for which that is wrong is
registered with `openapi_extra=NEEDS_READ`; access control and the functions on AWS read it here.
"""

from collections.abc import Iterable
from typing import Any, cast

from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from lenticular.settings import Right

EXTENSION = "x-right"
NEEDS_READ: dict[str, Any] = {EXTENSION: "read"}
NEEDS_WRITE: dict[str, Any] = {EXTENSION: "write"}
READING_METHODS = {"GET", "HEAD", "OPTIONS"}


def right_of_route(route: BaseRoute) -> Right:
    """Return the right that a request of this route needs."""
    return _named(route) or _right_of_methods(set(getattr(route, "methods", None) or ()))


class RightsOfRequests:
    """The rights that requests need; made once, because few of the many routes name one."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._naming: dict[str, list[BaseRoute]] = {}
        for route in routes:
            if _named(route) is not None:
                for method in getattr(route, "methods", None) or ():
                    self._naming.setdefault(method, []).append(route)

    def needed(self, scope: Scope) -> Right:
        """Return the right that a request needs, whether or not there is a route for it."""
        method = scope["method"]
        for route in self._naming.get(method, ()):
            if route.matches(scope)[0] is Match.FULL:
                return right_of_route(route)
        return _right_of_methods({method})


def _named(route: BaseRoute) -> Right | None:
    """Return the right that a route names, None if it names none."""
    extra = getattr(route, "openapi_extra", None) or {}
    return cast("Right | None", extra.get(EXTENSION))


def _right_of_methods(methods: set[str]) -> Right:
    """Return the right that the methods need by default."""
    return "read" if methods <= READING_METHODS else "write"
