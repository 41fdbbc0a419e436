"""Uploads that the server knows of: `POST /uploads` and `GET /uploads/{id}`.

A ticket names files and has a presigned URL for each, or for each part of a large one. The URLs
expire; asking for the ticket again brings fresh ones, and tells what has arrived and been stored.
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
    """The server has no such way, and so perhaps no ceiling either."""


class TicketRefused(Exception):
    """The server does not take these files; the message says why."""


class TicketGone(Exception):
    """The server does not know this upload, or not any more."""


class UploadSession:
    """One upload of several files, numbered from 1, and the sources that they are."""

    def __init__(self, server: Server, state: dict[str, Any], sources: dict[int, Source]) -> None:
        self._server = server
        self._lock = Lock()
        self._take(state)
        self.id = str(state["id"])
        self.sources = sources

    def file(self, number: int) -> dict[str, Any]:
        """What the server last said of a file."""
        with self._lock:
            file: dict[str, Any] = self._files[number]
            return file

    def url(self, number: int, part: int | None) -> str | None:
        """Where to put a file or a part of it now; None when it is not wanted any more."""
        if time.time() > self._expires - _MARGIN_SECONDS:
            self.refresh()
        file = self.file(number)
        if file["status"] in ARRIVED:
            return None
        if part is None:
            return str(file["url"])
        known = next((known for known in file["parts"] if known["number"] == part), None)
        return None if known is None or known["arrived"] else str(known["url"])

    def refresh(self) -> None:
        """Ask the server again."""
        answer = self._server.call("GET", f"{UPLOADS}/{self.id}")
        if answer.status == HTTPStatus.NOT_FOUND:
            raise TicketGone(reason(answer))
        if answer.status != HTTPStatus.OK:
            raise UploadFailed(
                f"The server does not tell what became of the upload: {reason(answer)}."
            )
        with self._lock:
            self._take(json_of(answer))

    def _take(self, state: dict[str, Any]) -> None:
        self._files = {int(file["number"]): file for file in state["files"]}
        self._expires = datetime.fromisoformat(state["expires"]).timestamp()


def begin(server: Server, sources: Sequence[Source]) -> UploadSession:
    """Tell the server what comes."""
    wanted = [{"name": source.last_name, "size": source.size} for source in sources]
    answer = server.call(
        "POST", UPLOADS, orjson.dumps({"files": wanted}), {"Content-Type": "application/json"}
    )
    if answer.status in _NO_SUCH_WAY:
        raise NoUploads
    if answer.status != HTTPStatus.CREATED:
        raise TicketRefused(reason(answer))
    return UploadSession(server, json_of(answer), dict(enumerate(sources, 1)))


def reopen(server: Server, upload: str, sources: dict[int, Source]) -> UploadSession:
    """The ticket of an earlier run."""
    answer = server.call("GET", f"{UPLOADS}/{upload}")
    if answer.status in _NO_SUCH_WAY:
        raise TicketGone(reason(answer))
    if answer.status != HTTPStatus.OK:
        raise UploadFailed(f"The server does not tell what became of the upload: {reason(answer)}.")
    return UploadSession(server, json_of(answer), sources)
