"""Routes of DICOMweb that name the query parameters that they do not know (PS3.18 8.3.1)."""

from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from lenticular.web.responses.omission_warnings import warn_of

MOST_NAMED = 10
LONGEST_NAME = 64

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class DicomwebRoute(APIRoute):
    """A route whose responses warn of query parameters that it does not know, and ignores."""

    parameters: ClassVar[frozenset[str]] = frozenset({"accept", "charset"})

    def get_route_handler(self) -> Handler:
        """Return the handler of the route, with the warnings added to its response."""
        handle = super().get_route_handler()

        async def handle_and_warn(request: Request) -> Response:
            response = await handle(request)
            if not request.scope["query_string"]:
                return response
            unknown = dict.fromkeys(
                name for name in request.query_params if name not in self.parameters
            )
            shown = [_shown(name) for name in unknown][:MOST_NAMED]
            sentences = (
                f"The parameter {name} is not supported and was ignored." for name in shown
            )
            return warn_of(request, response, sentences)

        return handle_and_warn


def _shown(name: str) -> str:
    """Return a name as a header can carry it."""
    return "".join(letter if "!" <= letter <= "~" else "?" for letter in name[:LONGEST_NAME])
