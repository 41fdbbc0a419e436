"""What is put into the drop folder is stored and removed, or moved aside with the reason."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tests.helpers import samples, wire
from tests.helpers.files.damaged_zip import damaged_zip
from tests.helpers.server_process import Server

SECONDS = 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two processes, of which one watches."""
    with Server(tmp_path_factory.mktemp("drop") / "data", workers=2) as server:
        yield server


def drop(server: Server, name: str, content: bytes) -> Path:
    """Put a file into the drop folder, as someone would who copies it there."""
    path = server.data / "incoming" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def is_stored(server: Server, label: str, content: bytes, instance: int = 1) -> bool:
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    with server.client() as client:
        answer = client.get(wire.DICOMWEB + samples.path(label, 1, instance), headers=accept)
    return answer.status_code == 200 and answer.content == content


def test_files_folders_and_zips_are_stored_and_removed(running):
    files = {
        "plain": drop(running, "plain.dcm", samples.ct("plain")),
        "nested": drop(running, "a/b c/ü/nested", samples.ct("nested")),
        "zipped": drop(running, "z/some.zip", samples.zipped({"x/1": samples.ct("zipped")})),
        "again": drop(running, "z/again.dcm", samples.ct("again")),
    }

    eventually(lambda: not any(path.exists() for path in files.values()), "files stay behind")
    for label in files:
        assert is_stored(running, label, samples.ct(label)), label
    incoming = running.data / "incoming"
    eventually(lambda: not any(incoming.iterdir()), "empty folders stay behind")


def test_what_is_refused_is_moved_aside_with_the_reason(running):
    content = b"this is not a DICOM file"
    path = drop(running, "odd/letter.txt", content)
    rejected = running.data / "rejected" / "odd" / "letter.txt"

    eventually(rejected.exists, "nothing was moved aside")
    assert rejected.read_bytes() == content
    assert not path.exists()
    report = orjson.loads(rejected.with_name("letter.txt.json").read_bytes())
    assert report["file"] == "odd/letter.txt"
    (refusal,) = report["refused"]
    assert refusal["detail"]


def test_of_a_zip_the_good_entries_are_stored_and_the_bad_ones_are_told(running):
    archive = samples.zipped({"good.dcm": samples.ct("good entry"), "bad.dcm": b"junk"})
    drop(running, "mixed.zip", archive)
    rejected = running.data / "rejected" / "mixed.zip"

    eventually(rejected.exists, "nothing was moved aside")
    assert is_stored(running, "good entry", samples.ct("good entry"))
    report = orjson.loads(rejected.with_name("mixed.zip.json").read_bytes())
    assert [refusal["file"] for refusal in report["refused"]] == ["bad.dcm"]


def test_of_a_zip_with_a_damaged_entry_the_others_are_stored(running):
    files = {str(number): samples.ct("in a zip", instance=number) for number in range(3)}
    drop(running, "damaged.zip", damaged_zip(files, 1))
    rejected = running.data / "rejected" / "damaged.zip"

    eventually(rejected.exists, "nothing was moved aside")
    for number in (0, 2):
        assert is_stored(running, "in a zip", files[str(number)], instance=number)
    report = orjson.loads(rejected.with_name("damaged.zip.json").read_bytes())
    assert [refusal["file"] for refusal in report["refused"]] == ["1"]


def test_two_refused_files_of_one_name_are_both_kept(running):
    for content in (b"first", b"second"):
        path = drop(running, "twice.txt", content)
        eventually(lambda path=path: not path.exists(), "the file stays behind")

    kept = [
        path.read_bytes()
        for path in (running.data / "rejected").glob("twice.txt*")
        if path.suffix != ".json"
    ]
    assert sorted(kept) == [b"first", b"second"]


def test_a_file_that_is_still_being_written_is_left_alone(running):
    content = samples.ct("slow copy", size=64)
    path = running.data / "incoming" / "slow.dcm"
    with path.open("wb") as file:
        for begin in range(0, len(content), len(content) // 6 + 1):
            file.write(content[begin : begin + len(content) // 6 + 1])
            file.flush()
            time.sleep(0.7)

    eventually(lambda: not path.exists(), "the file stays behind")
    assert is_stored(running, "slow copy", content)


def test_links_and_hidden_files_are_never_followed(running, tmp_path):
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(samples.ct("outside"))
    link = running.data / "incoming" / "link.dcm"
    link.symlink_to(outside)
    hidden = drop(running, ".part.dcm", samples.ct("hidden"))

    eventually(lambda: not link.is_symlink(), "the link stays behind")
    assert outside.exists()
    assert hidden.exists()
    assert not is_stored(running, "outside", samples.ct("outside"))
    hidden.unlink()
