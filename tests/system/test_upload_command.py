"""`lenticular upload` to a server on one machine: breaks, refusals, and what is sent again."""

import fcntl
import json
import os
import pty
import signal
import struct
import termios
import threading

import pytest

from tests.helpers import samples
from tests.helpers.server_process import Server
from tests.helpers.tcp_relay import Answer, Broken, Passed, Relay
from tests.helpers.upload_command import (
    SECONDS_TO_WAIT,
    Gate,
    count,
    machine,
    series,
    until,
    upload,
)

__all__ = ["machine", "upload"]

MEBIBYTE = 1024 * 1024


def test_small_files_share_requests_below_the_limits_of_a_gateway(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "batches", 30, size=512)  # half a megabyte each
    with Relay(machine.url) as relay:
        code, output, error = upload(folder, "--to", relay.url)

    assert (code, error) == (0, "")
    assert "30 stored, 0 refused." in output
    sizes = [each.size for each in relay.of("POST", "/studies")]
    assert max(sizes) <= 4 * MEBIBYTE
    assert len(sizes) < 8
    assert count(machine, "batches") == 30
    assert not upload.journals


def test_a_large_file_streams_where_the_server_has_no_ceiling(machine, upload, tmp_path):
    (tmp_path / "large.dcm").write_bytes(samples.ct("streams", size=1800))
    with Relay(machine.url) as relay:
        code, output, _ = upload(tmp_path / "large.dcm", "--to", relay.url)

    assert (code, "1 stored" in output) == (0, True)
    assert [each.status for each in relay.of("POST", "/uploads")] == [404]
    assert relay.of("POST", "/studies")[0].size > 6 * MEBIBYTE
    assert count(machine, "streams") == 1


def test_after_a_kill_only_what_had_not_arrived_is_sent(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "killed", 200)
    gate = Gate(lambda _: True, after=2)
    with Relay(machine.url, gate) as relay:
        process = upload.start(folder, "--to", relay.url)
        assert gate.reached.wait(SECONDS_TO_WAIT)
        until(lambda: upload.journals and upload.journals[0].read_bytes().count(b"stored") == 2)
        process.kill()
        process.communicate()
        gate.opened.set()
        first = len(relay.passed)
        code, output, _ = upload(folder, "--to", relay.url)

    assert code == 0
    assert "Resuming" in output
    assert "200 stored, 0 refused." in output
    # 200 files are four requests, and two of them had an answer.
    assert len(relay.passed) - first == 2
    assert count(machine, "killed") == 200
    assert not upload.journals


def test_restart_sends_everything_again_and_so_does_what_has_changed(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "restart", 3)
    hook_on = {"refuse": True}

    def hook(asked: Passed) -> Answer | None:
        return Answer(500) if hook_on["refuse"] and b"/003" in asked.body else None

    with Relay(machine.url, hook) as relay:
        (folder / "broken.dcm").write_bytes(b"/003" + b"\0" * 200)
        code, output, error = upload(folder, "--to", relay.url)
        assert code == 1
        assert "3 stored, 0 refused, 1 failed." in output
        assert "broken.dcm: 500" in error
        assert "Run the same command again" in error
        assert len(upload.journals) == 1
        hook_on["refuse"] = False

        sent = len(relay.passed)
        (folder / "002.dcm").write_bytes(samples.ct("restart", 1, 2) + b"\0\0")
        code, output, error = upload(folder, "--to", relay.url)
        assert "2 stored, 2 refused." in output
        assert "broken.dcm" in error
        assert samples.sop_uid("restart", 1, 1).encode() not in relay.passed[sent].body
        assert not upload.journals


@pytest.mark.slow
def test_a_server_that_is_restarted_meanwhile_gets_everything(upload, tmp_path):
    folder = series(tmp_path / "in", "restarted", 200)
    with Server(tmp_path / "data") as server:
        lock = threading.Lock()
        restarts = []

        def restart(asked: Passed) -> None:
            with lock:
                if len(relay.passed) < 2 or restarts:
                    return
                restarts.append(1)
                server.kill()
                threading.Thread(target=server.start).start()
            raise Broken

        with Relay(server.url, restart) as relay:
            code, output, error = upload(folder, "--to", relay.url)

        assert (code, error) == (0, "")
        assert restarts
        assert "200 stored, 0 refused." in output
        assert count(server, "restarted") == 200


def test_a_network_that_is_gone_ends_the_upload_with_a_sentence(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "offline", 5)
    with Relay(machine.url) as relay:
        address = relay.url
    code, output, error = upload(folder, "--to", address)

    assert code == 1
    assert "0 stored, 0 refused, 5 not sent." in output
    assert "cannot be reached" in error
    assert "Run the same command again" in error


def test_the_same_upload_does_not_run_twice_at_once(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "twice", 2)
    gate = Gate(lambda _: True)
    with Relay(machine.url, gate) as relay:
        process = upload.start(folder, "--to", relay.url)
        assert gate.reached.wait(SECONDS_TO_WAIT)
        code, _, error = upload(folder, "--to", relay.url)
        assert code == 1
        assert "running the same upload" in error
        process.terminate()
        process.communicate()
        gate.opened.set()


def test_a_refused_file_of_a_zip_is_named_with_its_reason(machine, upload, tmp_path):
    content = {
        "a/1.dcm": samples.ct("zip", 1, 1),
        "a/letter.txt": b"no DICOM" * 40,
        "__MACOSX/a/._1.dcm": b"hidden",
        "a/large.dcm": samples.ct("zip", 1, 2, size=1600),
    }
    (tmp_path / "disk.zip").write_bytes(samples.zipped(content))

    code, output, error = upload(tmp_path / "disk.zip", "--to", machine.url)

    assert code == 1
    assert "2 stored, 1 refused." in output
    assert "disk.zip:a/letter.txt: " in error
    assert count(machine, "zip") == 2


def test_a_reason_too_long_for_an_error_comment_is_shown_whole(machine, upload, tmp_path):
    (tmp_path / "cut.dcm").write_bytes(samples.ct("cut")[:-100])
    code, _, error = upload(tmp_path / "cut.dcm", "--to", machine.url)
    assert code == 1
    assert "The file is cut off or damaged: (7FE0,0010) runs to byte " in error
    assert f" of {len(samples.ct('cut')) - 100:,}." in error


def test_the_journal_names_no_file(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "nameless", 3)
    (folder / "001.dcm").rename(folder / "Doe^Jane.dcm")
    (folder / "not.dcm").write_bytes(b"BROKEN" + b"\0" * 300)
    with Relay(
        machine.url, lambda asked: Answer(500) if b"BROKEN" in asked.body else None
    ) as relay:
        upload(folder, "--to", relay.url)

    text = upload.journals[0].read_text()
    assert "stored" in text
    assert "Doe" not in text
    assert ".dcm" not in text
    assert upload.journals[0].stat().st_mode & 0o077 == 0


def test_an_address_that_is_no_url_is_refused(upload, tmp_path):
    series(tmp_path / "in", "nowhere", 1)
    for address in ("http://", "nonsense", "http://[::1", "ftp://host"):
        code, _, error = upload(tmp_path / "in", "--to", address)
        assert code != 0
        assert "is not a URL. Did you mean https://" in error


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, b"nothing here"),
        Answer(405, b""),
        Answer(200, b"<html>Welcome</html>", {"Content-Type": "text/html"}),
    ],
    ids=["404", "405", "a web site"],
)
def test_a_server_that_speaks_no_dicomweb_ends_the_upload_at_once(upload, tmp_path, answer):
    folder = series(tmp_path / "in", "elsewhere", 300)
    with Relay("http://127.0.0.1:9", lambda _: answer) as relay:
        code, output, error = upload(folder, "--to", relay.url)

    assert code == 1
    assert "0 stored" in output
    assert "is not a DICOMweb server" in error
    assert len(relay.passed) <= 8


def test_what_is_not_allowed_ends_the_upload_at_once(upload, tmp_path):
    folder = series(tmp_path / "in", "forbidden", 200)
    denied = Answer(403, json.dumps({"message": "Missing Authentication Token"}).encode(),
                    {"x-amzn-ErrorType": "MissingAuthenticationTokenException"})  # fmt: skip
    with Relay("http://127.0.0.1:9", lambda _: denied) as relay:
        code, output, error = upload(folder, "--to", relay.url)

    assert code == 1
    assert "200 not sent" in output
    assert "Missing Authentication Token. Use --sign" in error
    assert len(relay.passed) <= 4


def test_a_file_larger_than_the_server_takes_is_refused_with_its_sentence(upload, tmp_path):
    folder = series(tmp_path / "in", "too large", 2, size=1600)
    series(folder, "small enough", 1)
    limit = {"LENTICULAR_MAXIMUM_BODY": "1000000"}
    with Server(tmp_path / "data", environment=limit) as server:
        code, output, error = upload(folder, "--to", server.url)

    assert code == 1
    assert "1 stored, 1 refused." in output
    assert "1,000,000 bytes" in error


def test_ctrl_c_ends_it_at_once_and_it_can_go_on(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "interrupted", 100)
    gate = Gate(lambda _: True, after=1)
    with Relay(machine.url, gate) as relay:
        process = upload.start(folder, "--to", relay.url)
        assert gate.reached.wait(SECONDS_TO_WAIT)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=SECONDS_TO_WAIT)
        assert process.returncode == 130
        assert "Run the same command again" in error
        assert "Traceback" not in error
        gate.opened.set()
        assert upload(folder, "--to", relay.url)[0] == 0

    assert count(machine, "interrupted") == 100


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_stays_within_the_terminal(machine, upload, tmp_path, columns):
    folder = series(tmp_path / "in", f"narrow {columns}", 3, size=64)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = upload.start(folder, "--to", machine.url, stdout=its)
    process.communicate()
    os.close(its)
    said = os.read(ours, 65536).decode()
    os.close(ours)

    bars = [line for line in said.replace("\n", "\r").split("\r") if "Uploading" in line]
    assert bars
    assert all(len(bar) < columns for bar in bars)


def test_a_terminal_gets_a_bar_with_files_and_bytes(machine, upload, tmp_path):
    folder = series(tmp_path / "in", "terminal", 3, size=512)
    ours, its = pty.openpty()
    process = upload.start(folder, "--to", machine.url, stdout=its)
    process.communicate()
    os.close(its)
    said = os.read(ours, 65536).decode()
    os.close(ours)

    assert process.returncode == 0
    assert "100%" in said
    assert "3 of 3 files, 1.6 MB of 1.6 MB" in said
    assert "3 stored, 0 refused." in said
