"""Limits of connections: no silent client and no unread body occupies the server for long.

uvicorn limits only the silence after a response. A client that sends no request, half of one, a
body that stalls, or does not read its response would keep a connection, and so a file descriptor,
for ever.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if sys.platform != "win32":
    import resource

FILES_FOR_EACH_CONNECTION = 2
"""A request opens a file or a connection to a database or bucket, too."""
MOST_FILES = 65_536
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections: seconds that a client may take, and bytes that are only skipped."""

    head_seconds: float = 20
    """For the head of a request, from the connection or the last response on."""
    receive_seconds: float = 120
    """Without a byte of a body coming in."""
    send_seconds: float = 300
    """Without a byte of a response going out."""
    check_seconds: float = 5
    unread_bytes: int = 16 * 1024 * 1024
    """Rest of the body of an answered request that is read, so that a client sees the response."""
    unread_seconds: float = 5
    head_bytes: int = 256 * 1024
    """For the head of a request: its target and all its headers."""
    most_connections: int = 1000
    """For each server process. Above it, the connection that waits longest for a request ends."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 with limits of time and size for each connection."""

    limits = ConnectionLimits()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._last_received = self._waiting_since = self.loop.time()
        self._unsent = (0, self.loop.time())
        self._unread: int | None = None
        self._closes = False
        self._head_bytes = 0
        self._is_in_head = True
        self._check_task: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the connection, and begin to watch it."""
        if len(self.connections) >= min(self.limits.most_connections, _affordable_connections()):
            self._end_longest_idle()
        super().connection_made(transport)
        self._check_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching the connection."""
        if self._check_task is not None:
            self._check_task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless a head or the rest of the body of an answered request is too large."""
        self._last_received = self.loop.time()
        if self._is_in_head:
            self._head_bytes += len(data)
        if self._unread is not None:
            self._unread += len(data)
            if self._unread > self.limits.unread_bytes:
                self.transport.close()
        if not self.transport.is_closing():
            super().data_received(data)
        # What came with the last piece may be the body already.
        if self._is_in_head and self._head_bytes > self.limits.head_bytes:
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to read the head of a request."""
        self._is_in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to process the request whose head has been read."""
        self._is_in_head = False
        super().on_headers_complete()
        self.cycle.transport = cast(
            asyncio.Transport, _PatientTransport(self.transport, self._close)
        )

    def on_message_complete(self) -> None:
        """Record that the whole body has been read; close the connection if that was waited for."""
        self._unread = None
        super().on_message_complete()
        if self._closes:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Wait for the next request; for the rest of the body of this one only a short while."""
        self._waiting_since = self.loop.time()
        is_unread = self.cycle.more_body and not self.pipeline
        super().on_response_complete()
        if is_unread and not self.transport.is_closing():
            self._unread = 0

    def _close(self) -> None:
        """Close, but read the rest of the body first: else the client would lose the response."""
        if self.cycle.response_complete and self.cycle.more_body and not self.pipeline:
            self._closes = True
            self.transport.write_eof()
        else:
            self.transport.close()

    @property
    def idle_since(self) -> float | None:
        """The time since which no request is being answered; None while one is."""
        is_idle = self.cycle is None or self.cycle.response_complete
        return self._waiting_since if is_idle else None

    def _end_longest_idle(self) -> None:
        """End the connection that has waited longest for a request."""
        idle = [
            (each.idle_since, number, each)
            for number, each in enumerate(self.connections)
            if isinstance(each, LimitedProtocol) and each.idle_since is not None
        ]
        if idle:
            oldest = min(idle)[2]
            oldest.transport.abort()
            # `connection_lost` is called later; several connections may be made before.
            self.connections.discard(oldest)

    def _check_later(self) -> None:
        self._check_task = self.loop.call_later(self.limits.check_seconds, self._check)

    def _check(self) -> None:
        """End the connection if it has timed out; otherwise check again later."""
        if self._has_timed_out(self.loop.time()):
            self.transport.abort()
        else:
            self._check_later()

    def _has_timed_out(self, now: float) -> bool:
        """Return True if the client has exceeded one of the limits of time."""
        if unsent := self.transport.get_write_buffer_size():
            if unsent != self._unsent[0]:
                self._unsent = (unsent, now)
            return now - self._unsent[1] > self.limits.send_seconds
        self._unsent = (0, now)
        if (since := self.idle_since) is not None:
            is_unread = self._unread is not None
            limit = self.limits.unread_seconds if is_unread else self.limits.head_seconds
            return now - since > limit
        is_receiving = self.cycle.more_body and not self.flow.read_paused
        return is_receiving and now - self._last_received > self.limits.receive_seconds


class _PatientTransport:
    """The transport of a connection; responses close it by the given function."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def allow_many_files() -> None:
    """Raise this process's limit of open files to the most that it is allowed to have."""
    if sys.platform != "win32":
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _affordable_connections() -> int:
    """Return the number of connections for which this process can open files."""
    if sys.platform == "win32":
        return sys.maxsize
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft // FILES_FOR_EACH_CONNECTION
