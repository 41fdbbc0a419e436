"""Where the tests that speak HTTP run; `--backend` chooses, and may be given more than once.

    embedded   the application within this process, on a folder and SQLite
    aws        uvicorn, on an S3 API and MariaDB
    stack      API Gateway and the functions of the stack that `make stack` has started

A backend gives services that are empty, a client of them, and a server for tests that start
nothing themselves. What a backend cannot do for a test is skipped, with the reason.
"""

import json
import os
import secrets
import shutil
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from lenticular.index import Index
from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.storage.s3 import S3Storage
from lenticular.web.app import create_app
from tests.databases import MariaDB, empty_tables
from tests.s3 import make_bucket
from tests.server import Server

ADDRESS = "http://127.0.0.1:8042"
OUTPUTS = Path(__file__).parents[1] / "build" / "stack" / "outputs.json"
SECONDS_TO_START = 30


class Backend(ABC):
    """Files, an index, and HTTP in front of them."""

    name: str

    @abstractmethod
    def services(self, folder: Path, **settings: Any) -> AbstractContextManager[Services]:
        """Storage and index, empty."""

    @abstractmethod
    def client(self, services: Services) -> AbstractContextManager[httpx2.Client]:
        """HTTP to the application on these services; a mistake of ours shows as a status of 500."""

    @abstractmethod
    def server(self, folder: Path) -> AbstractContextManager[Any]:
        """A server for many tests, with services of its own; each test uses its own studies."""


class _Applications:
    """The application with all its routes: making it takes longer than most tests.

    There is one for each kind of settings; it is given the services that it is to work on.
    """

    def __init__(self) -> None:
        self._made: dict[Settings, FastAPI] = {}

    def on(self, services: Services) -> FastAPI:
        place = Settings()
        kind = replace(services.settings, data=place.data, storage=place.storage, index=place.index)
        if kind not in self._made:
            self._made[kind] = create_app(services)
        app = self._made[kind]
        app.state.services = services
        return app


class Embedded(Backend):
    """The application within this process, on a folder and SQLite."""

    name = "embedded"

    def __init__(self, folder: Path) -> None:
        self._applications = _Applications()
        # To copy: migrating takes longer than most tests.
        self._index = folder / "index.sqlite"
        with closing(open_services(Settings(data=folder))) as opened:
            opened.index.migrate()

    @contextmanager
    def services(self, folder: Path, **settings: Any) -> Iterator[Services]:
        folder.mkdir()
        shutil.copy(self._index, folder)
        with closing(open_services(Settings(data=folder, **settings))) as opened:
            yield opened

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        app = self._applications.on(services)
        with TestClient(app, ADDRESS, raise_server_exceptions=False) as session:
            yield session

    def server(self, folder: Path) -> Server:
        return Server(folder / "data", workers=2)


class Aws(Backend):
    """The application under uvicorn, on an S3 API and MariaDB."""

    name = "aws"

    def __init__(self, s3: Mapping[str, str], mariadb: MariaDB) -> None:
        self._s3 = dict(s3)
        self._mariadb = mariadb
        self._applications = _Applications()
        self._running: dict[int, Uvicorn] = {}
        self._url = self._new_database()
        # Opened once, and given another bucket for each test: opening takes longer than most tests.
        self._index = Index(self._url)
        self._storage = S3Storage(self._new_bucket())

    @contextmanager
    def services(self, folder: Path, **settings: Any) -> Iterator[Services]:
        empty_tables(self._index)
        storage = copy(self._storage)
        storage.bucket = self._new_bucket()
        place = {"storage": f"s3://{storage.bucket}", "index": self._url}
        yield Services(Settings(data=folder, **place, **settings), storage, self._index)

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        app = self._applications.on(services)
        if id(app) not in self._running:
            self._running[id(app)] = Uvicorn(app)
        with new_client(self._running[id(app)].url) as session:
            yield session

    def server(self, folder: Path) -> Server:
        place = {
            "LENTICULAR_STORAGE": f"s3://{self._new_bucket()}/files",
            "LENTICULAR_INDEX": self._new_database(),
        }
        return Server(folder / "data", workers=2, environment=place)

    def close(self) -> None:
        """Stop what runs."""
        for server in self._running.values():
            server.stop()
        self._index.close()

    def _new_database(self) -> str:
        url = self._mariadb.new_database()
        with closing(Index(url)) as index:
            index.migrate()
        return url

    def _new_bucket(self) -> str:
        name = f"test-{secrets.token_hex(8)}"
        make_bucket(self._s3, name)
        return name


class Uvicorn:
    """The application as `serve` runs it, in a thread, so that tests can reach into it."""

    def __init__(self, app: FastAPI) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = {"log_config": None, "access_log": False, "server_header": False}
        self._server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **options))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._server.started:
            assert self._thread.is_alive(), "uvicorn has ended at once"
            assert time.monotonic() < deadline, "uvicorn does not start"
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(SECONDS_TO_START)


@dataclass(frozen=True)
class Deployed:
    """A stack in place of a server that a test would start."""

    url: str

    def client(self, **options: Any) -> httpx2.Client:
        return new_client(self.url, **options)


class Stack(Backend):
    """A stack on this machine; what it holds is thrown away by every test."""

    name = "stack"

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._url = outputs["ApiUrl"]
        self._place = {
            "storage": f"s3://{outputs['BucketName']}",
            "index": outputs["IndexUrl"],
        }
        self._services = open_services(Settings(**self._place))

    @contextmanager
    def services(self, folder: Path, **settings: Any) -> Iterator[Services]:
        if settings:
            pytest.skip("a stack has settings of its own")
        storage = self._services.storage
        empty_tables(self._services.index)
        for key, _, _ in list(storage.keys()):
            storage.delete(key)
        yield self._services

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        if services is not self._services:
            pytest.skip("a stack has settings of its own")
        with new_client(self._url) as session:
            yield session

    @contextmanager
    def server(self, folder: Path) -> Iterator[Deployed]:
        yield Deployed(self._url)

    def close(self) -> None:
        """Let go of connections."""
        self._services.close()


def new_client(url: str, **options: Any) -> httpx2.Client:
    """A client that follows redirects, as most do."""
    return httpx2.Client(
        base_url=url, timeout=120, trust_env=False, follow_redirects=True, **options
    )


def stack_outputs() -> dict[str, str]:
    """What is known of the stack that runs; the test is skipped where none does."""
    path = Path(os.environ.get("STACK_OUTPUTS", OUTPUTS))
    if not path.exists():
        pytest.skip("no stack is running: make stack starts one")
    outputs: dict[str, str] = json.loads(path.read_text())
    return outputs


@contextmanager
def open_backend(name: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Backend]:
    """The backend of this name, with what it needs started."""
    if name == "embedded":
        yield Embedded(folder)
    elif name == "aws":
        fixtures = request.getfixturevalue("s3_environment"), request.getfixturevalue("mariadb")
        with closing(Aws(*fixtures)) as backend:
            yield backend
    else:
        outputs = stack_outputs()
        with pytest.MonkeyPatch.context() as patch:
            for variable in (each for each in outputs if each.startswith("AWS_")):
                patch.setenv(variable, outputs[variable])
            with closing(Stack(outputs)) as backend:
                yield backend
