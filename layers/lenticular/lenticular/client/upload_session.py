"""Upload sessions on the server: `POST /uploads` and `GET /uploads/{id}`.

A session has a presigned URL for each file, or for each part of a large one. URLs expire; getting
the session again returns fresh ones, and the status of each file.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from threading import Lock
from typing import Any

import orjson

from lenticular.client.connection import Server, UploadFailed, json_of, reason
from lenticular.client.sources import Source

UPLOADS = "/uploads"
ARRIVED = ("arrived", "stored", "refused")
_NO_SUCH_WAY = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
# URLs are renewed a little before they expire.
_MARGIN_SECONDS = 30


class NoUploads(Exception):
    """The server has no upload sessions, and so perhaps no payload limit either."""


class SessionRefused(Exception):
    """The server refuses these files; the message gives the reason."""


class SessionGone(Exception):
    """The server does not know this session, or not any more."""


class UploadSession:
    """An upload session: files numbered from 1, and their sources."""

    def __init__(self, server: Server, state: dict[str, Any], sources: dict[int, Source]) -> None:
        self._server = server
        self._lock = Lock()
        self._update(state)
        self.id = str(state["id"])
        self.sources = sources

    def file(self, number: int) -> dict[str, Any]:
        """Return the server's last status of a file."""
        with self._lock:
            file: dict[str, Any] = self._files[number]
            return file

    def url(self, number: int, part: int | None) -> str | None:
        """Return the URL for a file or a part of it; None if it has arrived."""
        if time.time() > self._expires - _MARGIN_SECONDS:
            self.refresh()
        file = self.file(number)
        if file["status"] in ARRIVED:
            return None
        if part is None:
            return str(file["url"])
        found = next((each for each in file["parts"] if each["number"] == part), None)
        return None if found is None or found["arrived"] else str(found["url"])

    def refresh(self) -> None:
        """Get the session again."""
        response = self._server.call("GET", f"{UPLOADS}/{self.id}")
        if response.status == HTTPStatus.NOT_FOUND:
            raise SessionGone(reason(response))
        if response.status != HTTPStatus.OK:
            raise UploadFailed(
                f"The server does not report the status of the upload: {reason(response)}."
            )
        with self._lock:
            self._update(json_of(response))

    def _update(self, state: dict[str, Any]) -> None:
        self._files = {int(file["number"]): file for file in state["files"]}
        self._expires = datetime.fromisoformat(state["expires"]).timestamp()


def begin(server: Server, sources: Sequence[Source]) -> UploadSession:
    """Begin a session for these sources."""
    wanted = [{"name": source.last_name, "size": source.size} for source in sources]
    response = server.call(
        "POST", UPLOADS, orjson.dumps({"files": wanted}), {"Content-Type": "application/json"}
    )
    if response.status in _NO_SUCH_WAY:
        raise NoUploads
    if response.status != HTTPStatus.CREATED:
        raise SessionRefused(reason(response))
    return UploadSession(server, json_of(response), dict(enumerate(sources, 1)))


def reopen(server: Server, upload: str, sources: dict[int, Source]) -> UploadSession:
    """Return the session of an earlier run."""
    response = server.call("GET", f"{UPLOADS}/{upload}")
    if response.status in _NO_SUCH_WAY:
        raise SessionGone(reason(response))
    if response.status != HTTPStatus.OK:
        raise UploadFailed(
            f"The server does not report the status of the upload: {reason(response)}."
        )
    return UploadSession(server, json_of(response), sources)
