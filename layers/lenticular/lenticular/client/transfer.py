"""Transfer a file of an upload session: PUT to presigned URLs, in parts if it is large.

Each part is a job of its own, so that several are sent at the same time. The job that ends last
completes the file on the server.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import BinaryIO

from lenticular.client.connection import Server, reason
from lenticular.client.report import Report
from lenticular.client.sources import Source, Unreadable
from lenticular.client.streamed_body import Body, FileRange
from lenticular.client.upload_session import ARRIVED, UPLOADS, SessionGone, UploadSession

Job = Callable[[], "list[Job]"]

# How often a URL that the storage refuses is renewed, and missing parts are sent again.
RENEWALS = 3
_STALE = (HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file with a URL of its own; without a part number, the whole file."""

    part: int | None
    offset: int
    size: int


class FileTransfer:
    """The transfer of one file of an upload session."""

    def __init__(self, server: Server, report: Report, session: UploadSession, number: int) -> None:
        self._server = server
        self._report = report
        self._session = session
        self._number = number
        self._source: Source = session.sources[number]
        self._lock = Lock()
        self._file: BinaryIO | None = None
        self._open_jobs = 0
        self._problem: str | None = None
        self._completions = 0

    def jobs(self) -> list[Job]:
        """Return the jobs that send what has not arrived."""
        if self._session.file(self._number)["status"] in ARRIVED:
            self._report.waiting(self._source)
            return []
        pieces = self._missing()
        if not pieces:
            return [self._complete]
        self._open_jobs = len(pieces)
        return [partial(self._send, piece) for piece in pieces]

    def arrived_bytes(self) -> int:
        """Return how many bytes have arrived already."""
        if self._session.file(self._number)["status"] in ARRIVED:
            return self._source.size
        return self._source.size - sum(piece.size for piece in self._missing())

    def _missing(self) -> list[Piece]:
        file = self._session.file(self._number)
        if "parts" not in file:
            return [Piece(None, 0, self._source.size)]
        return [
            Piece(part["number"], (part["number"] - 1) * file["part_size"], part["size"])
            for part in file["parts"]
            if not part["arrived"]
        ]

    def _send(self, piece: Piece) -> list[Job]:
        if self._problem is None:
            try:
                self._problem = self._put(piece) or self._problem
            except Unreadable as error:
                self._problem = str(error)
            except SessionGone as error:
                self._forget(error)
        with self._lock:
            self._open_jobs -= 1
            if self._open_jobs:
                return []
        return self._end()

    def _put(self, piece: Piece) -> str | None:
        """Send a piece. Return the reason if it cannot be sent, else None."""
        file_range = FileRange(self._descriptor(), piece.offset, piece.size)
        body = Body([file_range], self._server.stop, self._report.progress.add_bytes)
        why = None
        for _ in range(RENEWALS):
            url = self._session.url(self._number, piece.part)
            if url is None:
                return None
            response = self._server.put(url, body)
            if response.status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
                return None
            body.seek(0)
            why = f"the storage answers {reason(response)}"
            if response.status not in _STALE:
                break
            self._session.refresh()
        return why

    def _descriptor(self) -> int:
        with self._lock:
            if self._file is None:
                self._file = self._source.open()
            return self._file.fileno()

    def _end(self) -> list[Job]:
        """Complete the file after its last job, or report why it is not complete."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None
        if self._problem is None:
            try:
                self._source.check_unchanged()
            except Unreadable as error:
                self._problem = str(error)
        if self._problem is not None:
            self._report.failed(self._source, self._problem)
            return []
        if "parts" in self._session.file(self._number):
            return self._complete()
        self._report.waiting(self._source)
        return []

    def _complete(self) -> list[Job]:
        path = f"{UPLOADS}/{self._session.id}/files/{self._number}"
        response = self._server.call("POST", path)
        if response.status < HTTPStatus.MULTIPLE_CHOICES:
            self._report.waiting(self._source)
            return []
        self._completions += 1
        try:
            self._session.refresh()
        except SessionGone as error:
            self._forget(error)
            self._completions = RENEWALS
        if self._completions < RENEWALS and (again := self.jobs()) != [self._complete]:
            return again
        self._report.failed(self._source, reason(response))
        return []

    def _forget(self, error: SessionGone) -> None:
        self._problem = f"the server does not know this upload any more: {error}"
        self._report.journal.forget_upload(self._session.id)


def groups(sources: list[Source], files: int, size: int) -> Iterator[list[Source]]:
    """Group sources into upload sessions, small enough for a response with a URL for each part."""
    group: list[Source] = []
    total = 0
    for source in sources:
        if group and (len(group) == files or total + source.size > size):
            yield group
            group, total = [], 0
        group.append(source)
        total += source.size
    if group:
        yield group
