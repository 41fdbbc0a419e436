"""A relay between a client and a server, which counts what passes and may break it off.

It stands where networks do: in front of the server, or of the storage that presigned URLs name.
"""

import http.client
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PIECE = 256 * 1024
_OWN = {"connection", "transfer-encoding", "keep-alive", "expect"}


@dataclass
class Passed:
    """A request, as it was when it came."""

    method: str
    path: str
    headers: dict[str, str]
    size: int
    status: int = 0
    body: bytes = b""


class Broken(Exception):
    """Raised by a hook: the connection is to end without an answer."""


@dataclass
class Answer:
    """Returned by a hook: what the relay answers itself, without asking anybody."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Hook = Callable[[Passed], Answer | None]


class Relay:
    """An address of its own for a server. `hook` is asked before a request is passed on."""

    def __init__(self, url: str, hook: Hook = lambda _: None) -> None:
        self.target = urlsplit(url).netloc
        self.hook = hook
        self.passed: list[Passed] = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def _pass(self) -> None:
                _pass_on(relay, self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _pass  # noqa: N815

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def of(self, method: str, part: str = "") -> list[Passed]:
        """The requests of this method with this in their path, in the order of their coming."""
        return [each for each in self.passed if each.method == method and part in each.path]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def _pass_on(relay: Relay, handler: BaseHTTPRequestHandler) -> None:
    size = int(handler.headers.get("Content-Length") or 0)
    asked = Passed(handler.command, handler.path, dict(handler.headers.items()), size)
    relay.passed.append(asked)
    left = _body(handler, size)
    try:
        if size and size <= PIECE:
            asked.body = b"".join(left)
            left = iter([asked.body])
        answer = relay.hook(asked)
        if answer is not None:
            for _ in left:
                pass
            _answer(handler, asked, answer)
            return
        _forward(relay, handler, asked, left)
    except (Broken, OSError, http.client.HTTPException):
        handler.close_connection = True


def _body(handler: BaseHTTPRequestHandler, size: int) -> Iterator[bytes]:
    while size:
        piece = handler.rfile.read1(min(PIECE, size))
        if not piece:
            raise Broken
        size -= len(piece)
        yield piece


def _forward(
    relay: Relay, handler: BaseHTTPRequestHandler, asked: Passed, body: Iterator[bytes]
) -> None:
    headers = {name: text for name, text in asked.headers.items() if name.lower() not in _OWN}
    connection = http.client.HTTPConnection(relay.target, timeout=120)
    try:
        connection.request(
            asked.method, asked.path, body=body if asked.size else None, headers=headers
        )
        said = connection.getresponse()
        asked.status = said.status
        content = said.read()
        told = {name: text for name, text in said.getheaders() if name.lower() not in _OWN}
        if asked.method != "HEAD":
            told["Content-Length"] = str(len(content))
        _write(handler, said.status, told, content)
    finally:
        connection.close()


def _answer(handler: BaseHTTPRequestHandler, asked: Passed, answer: Answer) -> None:
    asked.status = answer.status
    headers = {**answer.headers, "Content-Length": str(len(answer.body))}
    _write(handler, answer.status, headers, answer.body)


def _write(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
) -> None:
    handler.send_response_only(status)
    for name, text in headers.items():
        handler.send_header(name, text)
    handler.end_headers()
    handler.wfile.write(body)
