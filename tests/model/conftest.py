"""Worlds for the model."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.model.world import Bucket, Folder, World
from tests.helpers.s3 import s3_server


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    """A place for what is soon gone, in memory where there is some."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


@pytest.fixture(scope="package")
def folder_world(folder: Path) -> Iterator[World]:
    """A folder and SQLite."""
    with closing(Folder(folder / "folder")) as world:
        yield world


@pytest.fixture(scope="package")
def bucket_world(request: pytest.FixtureRequest, folder: Path) -> Iterator[World]:
    """A bucket and MariaDB."""
    mariadb = request.getfixturevalue("mariadb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("S3_UPLOAD_PART_MIN_SIZE", "1")
        with s3_server() as s3:
            for name, value in s3.items():
                patch.setenv(name, value)
            with closing(Bucket(folder / "bucket", s3, mariadb)) as world:
                yield world


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for disks, and no log."""
    # What dies here is processes, not machines.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


@pytest.fixture(params=["folder and SQLite", "bucket and MariaDB"])
def world(request: pytest.FixtureRequest, quick: None) -> World:
    """Each of them in turn."""
    is_folder = request.param == "folder and SQLite"
    found: World = request.getfixturevalue("folder_world" if is_folder else "bucket_world")
    return found
