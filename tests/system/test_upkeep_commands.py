"""A lost index is rebuilt by a command, also beside a running server."""

import json
import os
import subprocess
import sys
import time

import pytest

from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import store
from lenticular.transactions.upkeep.sweep_watch import SweepWatch
from tests import samples
from tests.server import environment_with


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
