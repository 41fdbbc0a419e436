"""`lenticular upload` to a server whose files are in a bucket and whose requests have a ceiling."""

import re
import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import samples
from tests.helpers.s3 import make_bucket
from tests.helpers.server_process import Server
from tests.helpers.tcp_relay import Answer, Broken, Passed, Relay
from tests.helpers.upload_command import Gate, series, until, upload

__all__ = ["upload"]

MEBIBYTE = 1024 * 1024
CEILING = 4 * MEBIBYTE
EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


class Cloud:
    """A server, with a relay in front of it and one between everybody and the storage."""

    def __init__(self, server: Server, front: Relay, storage: Relay) -> None:
        self.server = server
        self.front = front
        self.storage = storage

    def puts(self) -> list[Passed]:
        """What clients have put to presigned URLs."""
        return [each for each in self.storage.of("PUT") if "X-Amz-Signature" in each.path]

    def reset(self) -> None:
        """Let everything pass, and forget what has."""
        for relay in (self.front, self.storage):
            relay.passed.clear()
            relay.hook = lambda _: None


@pytest.fixture(scope="module")
def running(
    s3_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    name = f"upload-{secrets.token_hex(4)}"
    make_bucket(s3_environment, name)
    with Relay(s3_environment["AWS_ENDPOINT_URL"]) as storage:
        environment = {
            **s3_environment,
            "AWS_ENDPOINT_URL": storage.url,
            "LENTICULAR_STORAGE": f"s3://{name}",
            "LENTICULAR_PAYLOAD_CEILING": str(CEILING),
            "LENTICULAR_TOKENS": "secret-token:read+write",
        }
        server = Server(tmp_path_factory.mktemp("cloud") / "data", environment=environment)
        with server, Relay(server.url) as front:
            yield Cloud(server, front, storage)


@pytest.fixture
def cloud(running: Cloud) -> Iterator[Cloud]:
    running.reset()
    yield running
    running.reset()


@pytest.fixture
def send(cloud: Cloud, upload: Callable) -> Callable:
    """The command with the address and the credentials."""
    return lambda *paths: upload(*paths, "--to", cloud.front.url, "--token", "secret-token")


def stored(cloud: Cloud, label: str) -> int:
    with cloud.server.client(headers={"Authorization": "Bearer secret-token"}) as client:
        answer = client.get(f"/dicom-web/studies/{samples.study_uid(label)}/instances")
        return len(answer.json())


def part_number(asked: Passed) -> int:
    found = re.search(r"partNumber=(\d+)", asked.path)
    return int(found[1]) if found else 0


def sparse(path: Path, label: str, frames: int) -> Path:
    """A multi-frame object of a megabyte a frame that takes no room on the disk."""
    base = samples.dataset(label, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.2", Modality="OT")
    base.Rows, base.Columns, base.NumberOfFrames = 1024, 1024, frames
    base.BitsAllocated, base.BitsStored, base.HighBit, base.PixelRepresentation = 8, 8, 7, 0
    base.SamplesPerPixel, base.PhotometricInterpretation = 1, "MONOCHROME2"
    length = (frames * MEBIBYTE).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(samples.encode(base) + b"\xe0\x7f\x10\x00OB\0\0" + length)
        file.truncate(file.tell() + frames * MEBIBYTE)
    return path


def peak_memory(process: int) -> int:
    """The largest memory that it ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024


def test_each_file_takes_its_way_and_its_outcome_is_told(cloud, send, tmp_path):
    folder = series(tmp_path / "in", "mixed", 4)
    (folder / "large.dcm").write_bytes(samples.ct("mixed", 2, 1, size=1600))
    (folder / "large letter.txt").write_bytes(b"no DICOM" * MEBIBYTE)
    zipped = {"s.dcm": samples.ct("mixed", 3, 1), "l.dcm": samples.ct("mixed", 3, 2, size=1600)}
    (folder / "more.zip").write_bytes(samples.zipped(zipped))

    code, output, error = send(folder)

    assert code == 1
    assert "7 stored, 1 refused." in output
    assert "large letter.txt: " in error
    assert stored(cloud, "mixed") == 7
    assert all(each.size <= CEILING for each in cloud.front.passed)
    assert len(cloud.puts()) == 3
    assert not any("secret-token" in str(each) for each in cloud.storage.passed)


@pytest.mark.slow
def test_after_a_kill_only_the_missing_part_is_sent(cloud, send, upload, tmp_path):
    path = sparse(tmp_path / "large.dcm", "parts", 130)
    gate = Gate(lambda asked: part_number(asked) == 2)
    cloud.storage.hook = gate
    process = upload.start(path, "--to", cloud.front.url, "--token", "secret-token")
    until(lambda: Counter(each.status for each in cloud.puts())[200] == 2)
    assert peak_memory(process.pid) < 100 * MEBIBYTE
    process.kill()
    process.communicate()
    gate.opened.set()
    first = len(cloud.puts())

    code, output, error = send(path)

    assert (code, error) == (0, "")
    assert "Resuming" in output
    assert "1 stored, 0 refused." in output
    assert [part_number(each) for each in cloud.puts()[first:]] == [2]
    assert stored(cloud, "parts") == 1
    assert not upload.journals


def test_an_expired_url_is_renewed(cloud, send, tmp_path):
    (tmp_path / "large.dcm").write_bytes(samples.ct("expired", size=1600))
    refusals = iter([Answer(403, EXPIRED)])
    cloud.storage.hook = lambda asked: next(refusals, None) if asked in cloud.puts() else None

    code, output, _ = send(tmp_path / "large.dcm")

    assert (code, "1 stored" in output) == (0, True)
    assert [each.status for each in cloud.puts()] == [403, 200]


def test_a_storage_that_never_takes_it_is_a_failure_with_its_reason(cloud, send, upload, tmp_path):
    (tmp_path / "large.dcm").write_bytes(samples.ct("denied", size=1600))
    cloud.storage.hook = lambda asked: Answer(403, EXPIRED) if asked in cloud.puts() else None

    code, output, error = send(tmp_path / "large.dcm")

    assert (code, "0 stored, 0 refused, 1 failed." in output) == (1, True)
    assert "403 Request has expired" in error
    assert len(upload.journals) == 1


def test_a_server_restarted_and_a_connection_broken_meanwhile_do_no_harm(cloud, send, tmp_path):
    path = sparse(tmp_path / "large.dcm", "restarted", 100)
    lock = threading.Lock()
    events: list[str] = []

    def break_off(asked: Passed) -> None:
        with lock:
            if part_number(asked) != 1 or events:
                return
            events.append("restart")
            cloud.server.kill()
            threading.Thread(target=cloud.server.start).start()
        raise Broken

    cloud.storage.hook = break_off

    code, output, error = send(path)

    assert (code, error) == (0, "")
    assert "1 stored" in output
    assert Counter(map(part_number, cloud.puts())) == {1: 2, 2: 1}


def test_what_is_not_stored_in_time_is_told_and_asked_for_by_the_next_run(
    cloud, send, upload, tmp_path
):
    (tmp_path / "large.dcm").write_bytes(samples.ct("patience", size=1600))

    code, output, error = send(tmp_path / "large.dcm", "--wait", 0)

    assert code == 1
    assert "1 arrived but not stored yet." in output
    assert "large.dcm: the server has not stored it yet" in error
    sent = len(cloud.puts())
    assert send(tmp_path / "large.dcm")[0] == 0
    assert len(cloud.puts()) == sent
    assert stored(cloud, "patience") == 1
    assert not upload.journals


def test_a_refusal_for_size_makes_requests_smaller_and_files_go_the_other_way(
    cloud, send, tmp_path
):
    """The ceiling of a server may be lower than ours, or a proxy's in front of it."""
    folder = series(tmp_path / "in", "ceiling", 12, size=300)  # 180 kB each
    (folder / "one.dcm").write_bytes(samples.ct("ceiling", 2, 1, size=600))
    limit = 500_000
    cloud.front.hook = lambda asked: Answer(413) if asked.size > limit else None

    code, output, _ = send(folder)

    assert (code, "13 stored" in output) == (0, True)
    assert stored(cloud, "ceiling") == 13
    assert len(cloud.puts()) == 1


def test_an_upload_that_the_server_has_forgotten_begins_anew(cloud, send, tmp_path):
    (tmp_path / "large.dcm").write_bytes(samples.ct("forgotten", size=1600))
    cloud.storage.hook = lambda asked: Answer(403, EXPIRED) if asked in cloud.puts() else None
    assert send(tmp_path / "large.dcm")[0] == 1
    cloud.storage.hook = lambda _: None
    begun = cloud.front.of("GET", "/uploads/")[0].path
    cloud.front.hook = lambda asked: Answer(404) if asked.path == begun else None

    code, output, _ = send(tmp_path / "large.dcm")

    assert (code, "1 stored" in output) == (0, True)
