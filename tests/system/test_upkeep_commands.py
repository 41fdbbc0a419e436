"""A lost index is rebuilt by a command, also beside a running server."""

import json
import os
import pty
import subprocess
import sys
import time
from threading import Thread

import pytest

from lenticular.dicom.model import Target
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import delete
from lenticular.transactions.store.store import store
from lenticular.transactions.upkeep.check import CheckRequest
from lenticular.transactions.upkeep.check import check as run_check
from lenticular.transactions.upkeep.sweep_watch import SweepWatch
from tests.helpers import samples
from tests.helpers.server_process import Server, environment_with


def lenticular(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lenticular", *arguments],
        env=environment_with({}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def services(tmp_path):
    """Three instances, and an old file that no row names."""
    opened = open_services(Settings(data=tmp_path / "data"))
    opened.index.migrate()
    for content in samples.ct_series("commands", 3):
        with Spool() as spool:
            spool.write(content)
            store(opened, [spool])
    (key, *_) = (key for key, _, _ in opened.storage.keys("instances/"))
    orphan = opened.storage.root / key.replace(".dcm", "-orphan.dcm")
    orphan.write_bytes(b"left by a crash")
    os.utime(orphan, (time.time() - 1e6, time.time() - 1e6))
    yield opened
    opened.close()


def test_a_lost_index_is_rebuilt(services):
    data = services.settings.data
    for path in data.glob("index.sqlite*"):
        path.unlink()
    refused = lenticular("sweep", "--data", str(data))
    assert refused.returncode == 1
    assert "reindex" in refused.stderr

    done = lenticular("reindex", "--data", str(data), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["filed"] == 3  # whole ones, and not the older part of one
    swept = lenticular("sweep", "--data", str(data))
    assert (swept.returncode, swept.stdout) == (0, "4 files, 1 removed.\n")


def test_a_part_that_is_none_is_wrong_usage(tmp_path):
    ended = lenticular("reindex", "--data", str(tmp_path / "data"), "--spread", "xyz")
    assert ended.returncode == 2
    assert "digits" in ended.stderr


def test_one_machine_sweeps_once_a_day_by_itself(services):
    def files() -> int:
        return len(list(services.storage.keys("instances/")))

    swept = services.settings.data / "swept"
    swept.touch()
    SweepWatch(services).turn()
    assert files() == 4
    os.utime(swept, (time.time() - 90_000, time.time() - 90_000))
    SweepWatch(services).turn()
    assert files() == 3
    assert time.time() - swept.stat().st_mtime < 60


def check(services, *options: str) -> tuple[int, dict]:
    """Run `check` on the archive; return its exit status and its counts."""
    ended = lenticular("check", "--data", str(services.settings.data), "--json", *options)
    return ended.returncode, json.loads(ended.stdout)


def test_check_finds_nothing_wrong_in_a_whole_archive(services):
    status, found = check(services, "--hash")
    assert status == 0
    assert found == {
        **{"rows": 3, "files": 4, "missing": 0, "damaged": 0, "unindexed": 0, "added": 0},
        **{"left_over": 1, "complete": True, "next": ""},
    }


def test_check_names_a_missing_file_and_ends_with_1(services):
    (gone, *_) = (key for key, _, _ in services.storage.keys("instances/") if "orphan" not in key)
    services.storage.delete(gone)
    ended = lenticular("check", "--data", str(services.settings.data))
    assert ended.returncode == 1
    assert "1 missing" in ended.stdout
    assert f"{gone} is missing" in ended.stderr


def test_check_stops_and_continues_where_it_says(services):
    status, found = check(services, "--continue", "row:2")
    assert (status, found["rows"], found["files"]) == (0, 1, 4)
    status, found = check(services, "--continue", "folder:fff")
    assert (status, found["rows"]) == (0, 0)
    wrong = lenticular("check", "--data", str(services.settings.data), "--continue", "there")
    assert wrong.returncode == 2


@pytest.mark.parametrize("command", ["reindex", "sweep", "check"])
def test_a_terminal_shows_how_far_a_command_is(services, command):
    terminal, of_command = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "lenticular", command, "--data", str(services.settings.data)],
        env=environment_with({}),
        stdout=subprocess.PIPE,
        stderr=of_command,
        timeout=120,
        check=True,
    )
    os.close(of_command)
    shown = os.read(terminal, 4096).decode()
    os.close(terminal)
    assert "(3 instances in the index)" in shown
    assert b"\r" not in ended.stdout


def test_a_check_beside_stores_and_deletes_finds_nothing_wrong(services):
    contents = samples.ct_series("busy", 6)

    def store_and_delete() -> None:
        for _ in range(4):
            for content in contents:
                with Spool() as spool:
                    spool.write(content)
                    store(services, [spool])
            delete(services, Target(samples.study_uid("busy")))

    busy = Thread(target=store_and_delete)
    busy.start()
    checks = 0
    while busy.is_alive():
        assert run_check(services, CheckRequest(with_hash=checks % 2 == 1)).problems == 0
        checks += 1
    busy.join()
    assert checks > 1


def test_a_server_says_at_its_start_that_the_index_is_empty_beside_files(services, tmp_path):
    data = services.settings.data
    with Server(data) as server:
        assert "reindex" not in server.output()
    for path in data.glob("index.sqlite*"):
        path.unlink()
    with Server(data) as server:
        assert (
            "The index is empty, but there are files: run `lenticular reindex`." in server.output()
        )
