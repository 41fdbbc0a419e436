"""/health says which part is ill, and never hangs itself."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from tests.helpers.databases import FAST, mariadb_server
from tests.helpers.server_process import Server, free_port

SECONDS = 8
AWS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def ill(server: Server) -> dict[str, str]:
    """The body of the answer of a server that is ill."""
    with server.client() as client:
        started = time.monotonic()
        answer = client.get("/health")
        assert time.monotonic() - started < SECONDS
        head = client.head("/health")
    assert (answer.status_code, head.status_code) == (503, 503)
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["status"] == "ill"
    return answer.json()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def with_bucket(tmp_path, endpoint: str, bucket: str = "x") -> Iterator[Server]:
    environment = {
        **AWS,
        "LENTICULAR_STORAGE": f"s3://{bucket}",
        "AWS_ENDPOINT_URL": endpoint,
    }
    server = Server(tmp_path / "data", environment=environment)
    with server:
        yield server
        server.kill()


@pytest.mark.slow
def test_a_bucket_that_does_not_answer_is_named(tmp_path, silent):
    with with_bucket(tmp_path, silent) as server:
        body = ill(server)

    assert (body["index"], body["storage"]) == ("ok", "does not answer")
    assert body["detail"] == "The storage does not answer; try again later."


def test_a_bucket_that_cannot_be_reached_is_named(tmp_path):
    with with_bucket(tmp_path, f"http://127.0.0.1:{free_port()}") as server:
        assert ill(server)["storage"] == "does not answer"


def test_a_bucket_that_does_not_exist_is_named(tmp_path, s3_environment):
    with with_bucket(tmp_path, s3_environment["AWS_ENDPOINT_URL"], "nowhere") as server:
        assert ill(server)["storage"] == "does not answer"


@pytest.mark.slow
def test_a_database_that_hangs_is_named_and_others_are_answered(tmp_path):
    (tmp_path / "database").mkdir()
    with mariadb_server(tmp_path / "database", *FAST) as database:
        environment = {"LENTICULAR_INDEX": database.new_database()}
        with Server(tmp_path / "data", environment=environment) as server:
            database.process.send_signal(signal.SIGSTOP)
            try:
                asking = [threading.Thread(target=ask, args=(server,)) for _ in range(60)]
                for each in asking:
                    each.daemon = True
                    each.start()
                time.sleep(1)
                body = ill(server)
            finally:
                database.process.send_signal(signal.SIGCONT)
            server.kill()

    assert (body["index"], body["storage"]) == ("does not answer", "ok")


def ask(server: Server) -> None:
    """Take a thread of the server that waits for the index."""
    with suppress(httpx2.TransportError), server.client() as client:
        client.get("/dicom-web/studies")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_named(small_disk):
    with Server(small_disk / "data") as server:
        with open(small_disk / "ballast", "wb", buffering=0) as ballast:
            with suppress(OSError):
                while ballast.write(b"x" * 4096):
                    pass
            assert ill(server)["storage"] == "is full"
        (small_disk / "ballast").unlink()
        with server.client() as client:
            assert client.get("/health").json()["status"] == "ok"
