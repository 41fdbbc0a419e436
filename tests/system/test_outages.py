"""Index or storage gone for a while under a running server: said so, nothing lost or half stored.

The real server keeps its index on a MariaDB that is killed and started again, and its files in a
bucket that a way leads to which is cut, or ends at someone who refuses everything.
"""

import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.helpers import samples, wire
from tests.helpers.databases import FAST, mariadb_server
from tests.helpers.s3 import s3_client
from tests.helpers.server_process import Server, free_port

DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@pytest.fixture
def database(tmp_path):
    # It will be killed: what it commits must at least have left the process.
    options = (*FAST, "--innodb-flush-log-at-trx-commit=2")
    with mariadb_server(tmp_path, *options) as server:
        yield server


def assert_asked_to_come_again(answer: httpx2.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    assert "again" in answer.text


def instances(client: httpx2.Client, study: str) -> list[Any]:
    return wire.search(client, f"/studies/{samples.study_uid(study)}/instances")


def test_while_the_database_is_down_stores_are_refused_and_afterwards_taken(database, tmp_path):
    environment = {"LENTICULAR_INDEX": database.new_database()}
    with (
        Server(tmp_path / "data", workers=2, environment=environment) as server,
        server.client() as client,
    ):
        files = [samples.ct("s", instance=number) for number in range(1, 5)]
        wire.must_store(client, files[0])
        database.stop()
        for _ in range(3):
            assert_asked_to_come_again(wire.store(client, *files[1:3]))
            assert_asked_to_come_again(client.post("/instances", content=files[3]))
        for path in ("/dicom-web/studies", "/changes", "/health"):
            assert client.get(path).status_code == 503
        assert_asked_to_come_again(client.delete(wire.DICOMWEB + samples.path("s")))
        database.start()

        assert len(instances(client, "s")) == 1
        wire.must_store(client, *files)
        assert len(instances(client, "s")) == 4
        # Nothing was kept of what was refused.
        assert len(list((server.data / "instances").rglob("*.dcm"))) == 4


def test_what_was_acknowledged_around_a_crash_of_the_database_is_there_once(database, tmp_path):
    environment = {"LENTICULAR_INDEX": database.new_database()}
    acknowledged: list[str] = []
    is_back, taken = threading.Event(), threading.Semaphore(0)

    def store(server: Server, series: int) -> None:
        """One after the other, each until it is taken; two more once the database is back."""
        number, more = 1, 2
        with server.client() as client:
            while more:
                more -= is_back.is_set()
                while wire.store(client, samples.ct("s", series, number)).status_code != 200:
                    pass
                acknowledged.append(samples.sop_uid("s", series, number))
                taken.release()
                number += 1

    with Server(tmp_path / "data", workers=2, environment=environment) as server:
        threads = [threading.Thread(target=store, args=(server, series)) for series in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for _ in range(12):
            taken.acquire()
        database.stop()
        database.start()
        is_back.set()
        for thread in threads:
            thread.join()
        with server.client() as client:
            found = instances(client, "s")
            (study,) = wire.search(client, "/studies", includefield="00201208")
    assert sorted(wire.value(each, "00080018") for each in found) == sorted(acknowledged)
    assert wire.value(study, "00201208") == len(acknowledged)


class _Way(socketserver.BaseRequestHandler):
    """One connection, passed on as it is."""

    def handle(self) -> None:
        with socket.create_connection(self.server.target) as there:  # type: ignore[attr-defined]
            ends = {self.request: there, there: self.request}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    piece = end.recv(65536)
                    if not piece:
                        return
                    ends[end].sendall(piece)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    target: tuple[str | None, int | None] = (None, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break are what this is about."""


class _Refuses(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(403)
        self.send_header("Content-Length", str(len(DENIED)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(DENIED)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _refuse  # noqa: N815

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def serving(port: int, handler: Any, target: str = "") -> Iterator[None]:
    """Somebody behind the port."""
    with _Server(("127.0.0.1", port), handler) as server:
        parts = urlsplit(target)
        server.target = (parts.hostname, parts.port)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_while_the_bucket_is_gone_or_refuses_nothing_is_acknowledged(
    s3_environment, bucket, tmp_path
):
    port = free_port()
    environment = {
        **s3_environment,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "LENTICULAR_STORAGE": f"s3://{bucket}",
    }
    kept, refused = samples.ct("s", instance=1), samples.ct("s", instance=2)
    path = wire.DICOMWEB + samples.path("s")
    whole = {"Accept": "application/dicom; transfer-syntax=*"}
    target = s3_environment["AWS_ENDPOINT_URL"]
    with (
        Server(tmp_path / "data", environment=environment) as server,
        server.client() as client,
    ):
        with serving(port, _Way, target):
            wire.must_store(client, kept)
        for broken in (nullcontext, partial(serving, port, _Refuses)):
            with broken():
                assert_asked_to_come_again(wire.store(client, refused))
                assert_asked_to_come_again(client.post("/instances", content=refused))
                assert_asked_to_come_again(client.get(path, headers=whole))
                # What needs no file is answered as ever.
                assert len(instances(client, "s")) == 1
                assert client.get(path + "/metadata").status_code == 200
        with serving(port, _Way, target):
            assert client.get(path, headers=whole).content == kept
            wire.must_store(client, refused)
            assert len(instances(client, "s")) == 2
    listed = s3_client(s3_environment).list_objects_v2(Bucket=bucket, Prefix="instances/")
    assert listed["KeyCount"] == 2


def test_a_bucket_that_was_deleted_takes_nothing_and_is_told(s3_environment, bucket, tmp_path):
    environment = {**s3_environment, "LENTICULAR_STORAGE": f"s3://{bucket}"}
    with (
        Server(tmp_path / "data", environment=environment) as server,
        server.client() as client,
    ):
        s3_client(s3_environment).delete_bucket(Bucket=bucket)
        assert_asked_to_come_again(wire.store(client, samples.ct("s"), samples.ct("t")))
        assert wire.search(client, "/studies") == []
        assert "NoSuchBucket" in server.output()
