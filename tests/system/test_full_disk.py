"""A disk without room: stores are refused, and deletes make room. On a real, small file system."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import samples, wire
from tests.helpers.server_process import Server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 40 MB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root mounts a file system, and not in every container")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(client) -> int:
    """Store until there is no room for the smallest instance; how many were stored."""
    stored = 0
    for size in (512, 64, 16):
        for _ in range(400):
            answer = wire.store(client, samples.ct("full", 1, stored + 1, size=size))
            if answer.status_code == 507:
                break
            assert answer.status_code == 200, answer.text
            stored += 1
    return stored


def test_deletes_make_room_on_a_full_disk(small_disk):
    with Server(small_disk / "data") as server, server.client() as client:
        for _ in range(3):
            stored = fill(client)
            assert stored > 10
            rest = small_disk / "rest"
            with rest.open("wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            study = f"{wire.DICOMWEB}/studies/{samples.study_uid('full')}"
            answer = client.delete(study)
            assert answer.status_code == 204, answer.text
            assert wire.search(client) == []
            rest.unlink()
        wire.must_store(client, samples.ct("after"))
