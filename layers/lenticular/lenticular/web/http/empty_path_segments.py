"""Paths with empty segments or a slash at their end, answered directly: `//patients`, `/studies/`.

Orthanc does so, and scripts that join addresses rely on it. A redirect would lose the body of a
POST, and the stage of API Gateway.
"""

import re

from starlette.types import ASGIApp, Receive, Scope, Send

_VIEWER = "/ohif"
_SLASHES = re.compile("//+")


class PlainPaths:
    """Has the application see each path without what is empty in it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            scope["path"] = plain(scope["path"])
        await self._app(scope, receive, send)


def plain(path: str) -> str:
    """Return the path without empty segments; those of the viewer are the viewer's."""
    found = _SLASHES.sub("/", path)
    return path if found.startswith(_VIEWER) else found.rstrip("/") or "/"
