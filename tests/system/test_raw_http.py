"""What no well-behaved client sends, over a bare socket to the real server."""

import socket
import time

import orjson
import pytest

from tests.helpers import samples, wire
from tests.helpers.http.raw_http import STUDIES, answer, post
from tests.helpers.server_process import Server


def send(server: Server, *pieces: bytes, timeout: float = 20) -> tuple[int, bytes]:
    """Status and body of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # the server has answered and will not hear the rest
                break
        return answer(connection)


def test_a_store_without_a_length_answers_411(server):
    status, body = send(server, post(STUDIES, "Content-Type: application/dicom"))

    assert status == 411
    assert set(orjson.loads(body)) == {"error", "detail"}


def test_orthanc_s_route_takes_a_body_without_a_length_for_an_empty_one(server):
    status, body = send(server, post("/instances"))

    assert status == 400
    assert orjson.loads(body)["OrthancStatus"] == 15


@pytest.mark.parametrize(
    ("path", "media_type", "members"),
    [
        (STUDIES, wire.DICOM, {"error", "detail"}),
        (STUDIES, wire.multipart()[1]["Content-Type"], {"error", "detail"}),
        ("/instances", wire.DICOM, {"HttpError", "HttpStatus", "Message"}),
    ],
)
def test_6_gigabytes_announced_are_refused_at_once(server, path, media_type, members):
    head = post(path, f"Content-Type: {media_type}", f"Content-Length: {6 << 30}")

    status, body = send(server, head, b"\0" * 100_000)

    assert status == 413
    assert set(orjson.loads(body)) >= members


def test_6_gigabytes_announced_with_expect_are_refused_before_they_are_sent(server):
    head = post(
        STUDIES,
        "Content-Type: application/dicom",
        f"Content-Length: {6 << 30}",
        "Expect: 100-continue",
    )

    status, body = send(server, head)

    assert status == 413
    assert set(orjson.loads(body)) == {"error", "detail"}


def test_a_client_that_goes_away_in_the_middle_leaves_nothing_behind(server):
    content = samples.ct("gone", size=1500)
    head = post(STUDIES, "Content-Type: application/dicom", f"Content-Length: {len(content)}")
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head + content[: len(content) * 3 // 4])

    with server.client() as client:
        assert client.get("/health").status_code == 200
        assert client.get(f"{STUDIES}/{samples.study_uid('gone')}/metadata").status_code == 404
    # The server may still be about to notice. With a bucket it spools to files without a name.
    deadline = time.monotonic() + 20
    while left := list((server.data / "spool").glob("*")):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def test_bytes_that_are_no_http_are_refused(server):
    status, _ = send(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")

    assert status == 400


@pytest.mark.parametrize(
    "header",
    ["Content-Length: -1", "Content-Length: x", "Content-Length: 1\r\nContent-Length: 2",
     "Transfer-Encoding: rot13"],
)  # fmt: skip
def test_an_odd_length_is_refused(server, header):
    status, _ = send(server, post(STUDIES, "Content-Type: application/dicom", header), b"x")

    assert 400 <= status < 500


def test_a_path_with_dots_does_not_leave_the_service(server):
    for path in ("/../../etc/passwd", "/dicom-web/../../../etc/passwd", "//etc/passwd"):
        status, body = send(server, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert status in (400, 404)
        assert b"root:" not in body


def test_an_uri_of_a_megabyte_is_refused(server):
    line = b"GET /dicom-web/studies?PatientName=" + b"x" * 1_000_000
    status, _ = send(server, line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

    assert 400 <= status < 500
