"""Silent and slow clients, and bodies that nobody reads, on the real server."""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
import uvicorn

from lenticular.web.http.connections import ConnectionLimits, LimitedProtocol
from tests.helpers.http.raw_http import answer, post
from tests.helpers.server_process import Server

BRIEF = ConnectionLimits(
    head_seconds=0.5,
    receive_seconds=0.5,
    send_seconds=0.5,
    check_seconds=0.1,
    unread_bytes=100_000,
    unread_seconds=0.5,
    most_connections=20,
)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def application(scope, receive, send) -> None:
    """Answer /large with more than sockets hold, /body when the body is read, all else at once."""
    if scope["path"] == "/body":
        while (await receive()).get("more_body"):
            pass
    size = 50_000_000 if scope["path"] == "/large" else 2
    length = (b"content-length", str(size).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b"x" * size})


@contextmanager
def serving(limits: ConnectionLimits) -> Iterator[int]:
    """The port of a server with these limits."""

    class Protocol(LimitedProtocol):
        pass

    Protocol.limits = limits
    listener = socket.create_server(("127.0.0.1", 0))
    options = {"log_config": None, "lifespan": "off", "limit_concurrency": 21}
    config = uvicorn.Config(application, http=Protocol, timeout_keep_alive=60, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(20)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(BRIEF) as listening:
        yield listening


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def received(connection: socket.socket) -> int:
    """The number of bytes that come before the connection ends."""
    size = 0
    with suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            size += len(piece)
    return size


def accepted(connection: socket.socket, size: int) -> int:
    """The number of bytes that can be sent before the connection ends."""
    sent = 0
    with suppress(ConnectionError):
        while sent < size:
            sent += connection.send(b"x" * 65536)
    return sent


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", GET + b"GET", post("/body", "Content-Length: 10") + b"12345"],
    ids=["nothing", "half a head", "half a second head", "half a body"],
)
def test_a_client_that_falls_silent_is_disconnected(port, sent):
    with connect(port) as connection:
        connection.sendall(sent)

        received(connection)  # ends, or fails by a time-out


def test_a_client_that_does_not_read_its_answer_is_disconnected(port):
    with connect(port) as connection:
        connection.sendall(GET.replace(b"/ ", b"/large "))
        time.sleep(3)

        assert received(connection) < 50_000_000


def test_silent_connections_keep_nobody_out(port):
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(connect(port))
        with connect(port) as connection:
            connection.sendall(GET)
            assert answer(connection) == (200, b"xx")


def test_an_answered_request_s_body_is_read_to_its_end_if_that_is_near(port):
    with connect(port) as connection:
        connection.sendall(post("/", "Content-Length: 90000"))
        assert answer(connection)[0] == 200
        connection.sendall(b"x" * 90_000 + GET)
        assert answer(connection)[0] == 200


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_client_that_sends_its_whole_body_first_gets_its_answer_and_the_end(port, version):
    head = post("/", "Content-Length: 90000", "Connection: close")
    with connect(port) as connection:
        connection.sendall(head.replace(b"HTTP/1.1", b"HTTP/" + version))
        for _ in range(9):  # the answer is out long before the last of it
            time.sleep(0.03)
            connection.sendall(b"x" * 10_000)
        assert answer(connection) == (200, b"xx")
        assert received(connection) == 0


@pytest.mark.parametrize("headers", [[], ["Connection: close"]], ids=["kept", "closed"])
def test_an_answered_request_s_body_is_not_read_to_a_far_end(port, headers):
    with connect(port) as connection:
        connection.sendall(post("/", "Content-Length: 400000000", *headers))
        assert answer(connection)[0] == 200

        assert accepted(connection, 400_000_000) < 50_000_000


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nA: ", b"GET /"])
def test_a_head_without_an_end_is_refused(port, head):
    with connect(port) as connection:
        connection.sendall(head)

        assert accepted(connection, 50_000_000) < 25_000_000


@pytest.mark.parametrize("headers", [[], ["Connection: close"]], ids=["kept", "closed"])
def test_a_body_that_is_refused_is_not_awaited(port, headers):
    with connect(port) as connection:
        connection.sendall(post("/", "Content-Length: 1000", "Expect: 100-continue", *headers))
        assert answer(connection)[0] == 200

        received(connection)  # ends, or fails by a time-out


def test_two_thousand_silent_connections_keep_nobody_out_of_serve(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    try:
        with Server(tmp_path / "data") as server, ExitStack() as stack:
            for _ in range(2300):
                stack.enter_context(connect(server.port))
            started = time.monotonic()
            with server.client() as client:
                assert client.get("/system").status_code == 200
            assert time.monotonic() - started < 5
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
