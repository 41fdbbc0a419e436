"""Fixtures: the real application within this process, the real server as a process, files."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import samples
from tests.databases import index_url, mariadb, mariadb_url, migrated_mariadb

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    from lenticular.services import Services
    from tests.server import Server

__all__ = ["index_url", "mariadb", "mariadb_url", "migrated_mariadb"]

ADDRESS = "http://127.0.0.1:8042"


@pytest.fixture(scope="session")
def empty_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that is migrated and empty, to copy: migrating takes longer than most tests."""
    from lenticular.services import open_services
    from lenticular.settings import Settings

    folder = tmp_path_factory.mktemp("empty")
    opened = open_services(Settings(data=folder))
    opened.index.migrate()
    opened.close()
    return folder / "index.sqlite"


@pytest.fixture(scope="session")
def application(empty_index: Path) -> "Iterator[FastAPI]":
    """The application with all its routes; each test gives it services of its own."""
    from lenticular.services import open_services
    from lenticular.settings import Settings
    from lenticular.web.app import create_app

    opened = open_services(Settings(data=empty_index.parent))
    yield create_app(opened)
    opened.close()


@pytest.fixture
def services(tmp_path: Path, empty_index: Path) -> "Iterator[Services]":
    """Folder and SQLite, empty, in a temporary folder."""
    from lenticular.services import open_services
    from lenticular.settings import Settings

    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    shutil.copy(empty_index, settings.data)
    opened = open_services(settings)
    yield opened
    opened.close()


@pytest.fixture
def client(services: "Services", application: "FastAPI") -> "Iterator[TestClient]":
    """HTTP to the real application on `services`; a mistake of ours shows as a status of 500."""
    from starlette.testclient import TestClient

    application.state.services = services
    with TestClient(application, ADDRESS, raise_server_exceptions=False) as session:
        yield session


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Server]":
    """One real server for all tests that only need one: each uses studies of its own."""
    from tests.server import Server

    with Server(tmp_path_factory.mktemp("server") / "data", workers=2) as running:
        yield running


def corpus_files() -> list[Path]:
    """The files of the folder that LENTICULAR_CORPUS names, and pydicom's own."""
    folder = os.environ.get("LENTICULAR_CORPUS")
    more = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return samples.packaged_files() + more


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `any_file` runs once for each file there is."""
    if "any_file" in metafunc.fixturenames:
        files = {
            "/".join(path.parts[-3:]): path
            for path in corpus_files()
            if path.suffix not in (".tsv", ".md")
        }
        metafunc.parametrize("any_file", files.values(), ids=files.keys())
