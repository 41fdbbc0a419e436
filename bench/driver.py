"""The driver: a client that costs little, and several of them as processes of their own.

A general HTTP library spends more time on a call than the servers do. This one knows what the
two servers answer with (Content-Length or chunks, keep-alive) and never asks for compression:
identity is the fair baseline for byte-heavy answers.
"""

import io
import json
import multiprocessing
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

HOST = "127.0.0.1"
BUFFER = 1 << 18
TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request: a method, a path, header lines, and the pieces of a body.

    The pieces of an iterable body that is no sequence need their total in `length`.
    """

    path: str
    accept: str = "*/*"
    method: str = "GET"
    content_type: str = ""
    body: Iterable[bytes] = ()
    length: int | None = None
    instances: int = 1

    def head(self) -> bytes:
        """The request line and the headers."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {HOST}", f"Accept: {self.accept}"]
        if self.content_type:
            lines.append(f"Content-Type: {self.content_type}")
        if self.method == "POST":
            lines.append(f"Content-Length: {self._length()}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _length(self) -> int:
        if self.length is None:
            return sum(map(len, self.body))
        return self.length


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; `size` counts the body even if it was not kept."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    size: int = 0

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class RefusedError(Exception):
    """A read that must succeed was answered with another status than 200."""


class Client:
    """One keep-alive connection, opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._reader: BinaryIO = io.BytesIO()

    def send(self, request: Request, keep: bool = True) -> Answer:
        """Send a request and read the whole answer; keep=False forgets the body while reading."""
        fresh = self._socket is None
        try:
            return self._exchange(request, keep)
        except (ConnectionError, EOFError):
            self.close()
            if fresh or request.length is not None:
                raise
        # An idle connection may be closed at any time; Orthanc does so after a second.
        return self._exchange(request, keep)

    def time(self, request: Request) -> float:
        """The seconds that a request took, which must succeed."""
        start = time.perf_counter()
        answer = self.send(request)
        seconds = time.perf_counter() - start
        if answer.status != 200:
            raise RefusedError(f"status {answer.status}")
        return seconds

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._reader.close()
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _exchange(self, request: Request, keep: bool) -> Answer:
        connection = self._socket or self._connect()
        _send(connection, request)
        answer = _receive(self._reader, keep)
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self._port), timeout=TIMEOUT)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connection
        self._reader = cast(BinaryIO, connection.makefile("rb", BUFFER))
        return connection


@dataclass(frozen=True, slots=True)
class Run:
    """The work of several clients, from the start of the first to the end of the last."""

    seconds: float
    instances: int
    refused: int


def run_clients(port: int, shares: Sequence[Sequence[Request]], warm: str) -> Run:
    """Let one process per share send its requests, all at once, each on a warm connection."""
    context = multiprocessing.get_context("fork")  # the bodies are inherited, not copied
    barrier = context.Barrier(len(shares))
    results: Any = context.Queue()
    workers = [
        context.Process(target=_work, args=(port, share, warm, barrier, results))
        for share in shares
    ]
    for worker in workers:
        worker.start()
    spans = [results.get(timeout=TIMEOUT) for _ in workers]
    for worker in workers:
        worker.join()
    return Run(
        max(span[1] for span in spans) - min(span[0] for span in spans),
        sum(request.instances for share in shares for request in share),
        sum(span[2] for span in spans),
    )


def _work(port: int, share: Sequence[Request], warm: str, barrier: Any, results: Any) -> None:
    heads = [request.head() for request in share]  # what is costly happens before the start
    refused = len(heads)
    start = end = 0.0
    with Client(port) as client:
        client.send(Request(warm))
        barrier.wait()
        start = time.perf_counter()
        for request in share:
            refused -= client.send(request).status == 200
        end = time.perf_counter()
    results.put((start, end, refused))


def _send(connection: socket.socket, request: Request) -> None:
    pieces = [request.head()]
    if isinstance(request.body, list | tuple):
        pieces.extend(request.body)
        sent = connection.sendmsg(pieces)
        for piece in pieces:  # sendmsg stops where the buffer of the socket is full
            if sent < len(piece):
                connection.sendall(memoryview(piece)[sent:])
            sent = max(0, sent - len(piece))
        return
    connection.sendall(pieces[0])
    for piece in request.body:
        connection.sendall(piece)


def _receive(reader: BinaryIO, keep: bool) -> Answer:
    line = reader.readline()
    if not line:
        raise EOFError("the server closed the connection")
    status = int(line.split(None, 2)[1])
    headers = _headers(reader)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body, size = _chunks(reader, keep)
    elif "content-length" in headers:
        body, size = _body(reader, int(headers["content-length"]), keep)
    else:
        body = b"" if status in (204, 304) else reader.read()
        size = len(body)
    return Answer(status, headers, body, size)


def _headers(reader: BinaryIO) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _body(reader: BinaryIO, length: int, keep: bool) -> tuple[bytes, int]:
    if keep:
        body = reader.read(length)
        if len(body) < length:
            raise EOFError("the answer was cut short")
        return body, length
    rest = length
    while rest:
        piece = reader.read(min(rest, BUFFER))
        if not piece:
            raise EOFError("the answer was cut short")
        rest -= len(piece)
    return b"", length


def _chunks(reader: BinaryIO, keep: bool) -> tuple[bytes, int]:
    pieces: list[bytes] = []
    size = 0
    while length := int(reader.readline().split(b";")[0], 16):
        piece, _ = _body(reader, length, keep)
        pieces.append(piece)
        size += length
        reader.readline()
    while reader.readline() not in (b"\r\n", b""):
        pass  # trailers
    return b"".join(pieces), size
