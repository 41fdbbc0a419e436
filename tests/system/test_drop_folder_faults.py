"""No file of the drop folder is lost, and none holds up another."""

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.transactions.ingest.drop_folder import DropFolder
from tests.helpers import samples

NOBODY = 65534


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    opened = open_services(Settings(data=tmp_path / "data"))
    opened.index.migrate()
    yield opened
    opened.close()


@pytest.fixture
def folder(services: Services) -> DropFolder:
    return DropFolder(services, quiet_seconds=0)


def drop(folder: DropFolder, name: str | bytes, content: bytes) -> Path:
    path = folder.incoming / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def stored(services: Services) -> int:
    return services.index.retrieval.statistics().instances


def rejected(services: Services) -> list[Path]:
    root = services.settings.data / "rejected"
    return sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".json")


def zip_of(label: str, count: int) -> bytes:
    return samples.zipped({f"{n}": samples.ct(f"{label} {n}") for n in range(count)})


def test_a_zip_that_is_replaced_while_it_is_stored_is_stored_in_its_turn(
    services, folder, tmp_path
):
    path = drop(folder, "export.zip", zip_of("first", 200))
    second = tmp_path / "second.zip"
    second.write_bytes(zip_of("second", 30))
    turn = threading.Thread(target=folder.turn)
    turn.start()
    while not stored(services):
        time.sleep(0.001)
    assert stored(services) < 200, "the turn was over before the file could be replaced"
    os.replace(second, path)
    turn.join()
    assert stored(services) == 200
    assert path.exists()
    folder.turn()
    assert stored(services) == 230
    assert not list(folder.incoming.iterdir())
    assert not rejected(services)


def test_a_file_that_is_replaced_while_it_is_refused_stays(services, folder, tmp_path):
    entries = {f"{n}": samples.ct(f"before {n}") for n in range(200)}
    path = drop(folder, "mixed.zip", samples.zipped(entries | {"z": b"no DICOM"}))
    second = tmp_path / "second.zip"
    second.write_bytes(zip_of("after", 3))
    turn = threading.Thread(target=folder.turn)
    turn.start()
    while not stored(services):
        time.sleep(0.001)
    os.replace(second, path)
    turn.join()
    folder.turn()
    assert stored(services) == 203
    assert not rejected(services)


def test_a_file_on_its_way_out_when_the_server_was_killed_is_taken_again(services, folder):
    drop(folder, ".taken-0123abcd-letter.txt", b"no DICOM")
    drop(folder, ".taken-0123abcd-image.dcm", samples.ct("image"))
    folder.turn()
    assert stored(services) == 1
    assert [path.name for path in rejected(services)] == ["letter.txt"]
    assert not list(folder.incoming.iterdir())


@pytest.mark.parametrize(
    "name", [b"Gr\xfc\xdfe.txt", b"n" * 252, "ü".encode() * 126, b"CD1/x", b"CD1/CD2/x"]
)
def test_a_name_of_any_kind_holds_up_no_other_file(services, folder, name):
    (services.settings.data / "rejected" / "CD1").write_bytes(b"refused before")
    drop(folder, name, b"no DICOM")
    drop(folder, "zz.dcm", samples.ct("zz"))
    folder.turn()
    assert stored(services) == 1
    assert not [path for path in folder.incoming.rglob("*") if path.is_file()]
    (new,) = [path for path in rejected(services) if path.read_bytes() == b"no DICOM"]
    report = orjson.loads(Path(f"{new}.json").read_bytes())
    assert report["refused"][0]["detail"]
    assert (services.settings.data / "rejected" / "CD1").read_bytes() == b"refused before"


def test_a_time_in_the_future_only_puts_a_file_off(services):
    folder = DropFolder(services, quiet_seconds=0.2)
    path = drop(folder, "future.dcm", samples.ct("future"))
    os.utime(path, (time.time() + 9e6, time.time() + 9e6))
    folder.turn()
    assert stored(services) == 0
    time.sleep(0.3)
    folder.turn()
    assert stored(services) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_is_not_ours_holds_up_no_file_and_is_logged_once(services, folder, caplog):
    foreign = drop(folder, "a/foreign.dcm", samples.ct("foreign"))
    drop(folder, "zz.dcm", samples.ct("zz"))
    root = services.settings.data
    for path in (root, *root.rglob("*"), *root.parents):
        if path != foreign.parent and path.is_relative_to(root):
            os.chown(path, NOBODY, NOBODY)
    opened = [path for path in root.parents if path.stat().st_mode & 0o055 != 0o055]
    modes = {path: path.stat().st_mode for path in opened}
    for path, mode in modes.items():
        path.chmod(mode | 0o055)
    os.seteuid(NOBODY)
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                folder.turn()
    finally:
        os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)
    assert stored(services) == 2, caplog.text
    assert foreign.exists()
    assert len([record for record in caplog.records if "dropped file" in record.message]) == 1


def test_links_are_refused_also_those_that_lead_nowhere_or_to_folders(services, folder, tmp_path):
    (folder.incoming / "nowhere").symlink_to(tmp_path / "missing")
    (folder.incoming / "folder").symlink_to(tmp_path)
    os.mkfifo(folder.incoming / "pipe")
    drop(folder, "zz.dcm", samples.ct("zz"))
    folder.turn()
    assert stored(services) == 1
    assert not list(folder.incoming.iterdir())
    assert len(list((services.settings.data / "rejected").glob("*.json"))) == 3
