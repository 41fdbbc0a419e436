"""Paths with empty segments or a slash at their end, served without a redirect.

`//patients` and `/studies/` are such. Orthanc does so, and scripts that join addresses rely on it.
A redirect would lose the body of a POST, and the stage of API Gateway.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_VIEWER = "/ohif"
_SLASHES = re.compile("//+")


class PlainPaths:
    """Passes each request on with its path without empty segments."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http":
            scope["path"] = plain(scope["path"])
        await self._app(scope, receive, send)


def plain(path: str) -> str:
    """Return the path without empty segments; paths of the viewer are not changed."""
    found = _SLASHES.sub("/", path)
    return path if found.startswith(_VIEWER) else found.rstrip("/") or "/"
