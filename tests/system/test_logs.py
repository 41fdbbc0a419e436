"""The log: who asked for what, for programs and for people, and never a patient's name."""

import io
import json
import logging
import pty
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from lenticular.settings import InvalidSettings, load
from lenticular.web.logs import TextFormatter, configure
from tests.helpers import wire
from tests.helpers.http.raw_http import STUDIES, post
from tests.helpers.server_process import Server, environment_with, free_port

USERS = {"LENTICULAR_USERS": "ann:secret:read+write", "LENTICULAR_TOKENS": "tok:read"}


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Puts the handlers of the root logger back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level


def requests_in(output: str) -> list[dict]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"] == "lenticular.access"]


def test_a_request_is_logged_with_level_client_and_user(tmp_path):
    with Server(tmp_path / "data", environment=USERS) as server, server.client() as client:
        client.get(f"{wire.DICOMWEB}/studies?PatientName=Miller", auth=("ann", "secret"))
        client.get("/system", headers={"Authorization": "Bearer tok"})
        client.get("/system", auth=("ann", "wrong"))
    by_name, by_token, refused = requests_in(server.output())[-3:]

    assert (by_name["level"], by_name["client"], by_name["user"]) == ("info", "127.0.0.1", "ann")
    assert by_token["user"].startswith("token ")
    assert (refused["status"], refused["user"]) == (401, None)
    for secret in ("Miller", "secret", "wrong", "tok:"):
        assert secret not in server.output()


def test_a_client_that_hangs_up_leaves_one_line_and_no_traceback(tmp_path):
    head = post(STUDIES, "Content-Type: application/dicom", "Content-Length: 1000000")
    with Server(tmp_path / "data") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head + b"\0" * 1000)
        deadline = time.monotonic() + 20
        while not (
            found := [each for each in requests_in(server.output()) if each["status"] == 499]
        ):
            assert time.monotonic() < deadline, server.output()
            time.sleep(0.05)

    assert len(found) == 1
    assert "Traceback" not in server.output()
    assert '"error"' not in server.output()


def test_on_a_terminal_the_log_is_for_people(tmp_path):
    ours, theirs = pty.openpty()
    port = free_port()
    command = [sys.executable, "-m", "lenticular", "serve", "--port", str(port)]
    command += ["--workers", "1", "--data", str(tmp_path)]
    process = subprocess.Popen(
        command, env=environment_with({}), stdin=theirs, stdout=theirs, stderr=theirs
    )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx2.get(f"http://127.0.0.1:{port}/health", trust_env=False)
                break
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        output = ""
        with open(ours, closefd=True) as terminal:
            while "/health 200" not in output:
                output += terminal.readline()
    finally:
        process.terminate()
        process.wait(30)

    assert "INFO    127.0.0.1 - GET /health 200" in output
    assert '{"time"' not in output


@pytest.mark.parametrize(
    ("level", "style", "expected"),
    [("info", "json", 1), ("warning", "json", 0), ("info", "text", 1), ("info", "auto", 1)],
)
def test_level_and_format_are_settings(own_logs, level, style, expected):
    stream = io.StringIO()
    settings = load({"LENTICULAR_LOG_LEVEL": level, "LENTICULAR_LOG_FORMAT": style})

    configure(settings.log_level, settings.log_format, stream)
    logging.getLogger("x").info("hello", extra={"counts": {"files": 2}})

    lines = stream.getvalue().splitlines()
    assert len(lines) == expected
    for line in lines:
        assert ("files=2" in line) == (style == "text")


@pytest.mark.parametrize("name", ["LENTICULAR_LOG_LEVEL", "LENTICULAR_LOG_FORMAT"])
def test_a_level_or_format_that_does_not_exist_is_refused(name):
    with pytest.raises(InvalidSettings, match="not one of"):
        load({name: "loud"})


def test_a_path_cannot_begin_a_line_of_its_own():
    fields = {"method": "GET", "path": "/a\n12:00 \x1b[2J", "client": "x", "user": None}
    fields |= {"status": 404, "bytes": 1, "milliseconds": 1.0}
    record = logging.LogRecord("lenticular.access", logging.INFO, "", 0, "request", (), None)
    record.fields = fields

    line = TextFormatter().format(record)

    assert "\n" not in line
    assert "\x1b" not in line
