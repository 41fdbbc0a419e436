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
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import requests
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from lenticular.index import Index
from lenticular.limits import Limits
from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.storage.s3 import S3Storage
from lenticular.web.app import create_app
from lenticular.web.server import UVICORN_OPTIONS
from tests.helpers.databases import MariaDB, empty_tables
from tests.helpers.s3 import make_bucket
from tests.helpers.server_process import Server

ADDRESS = "http://127.0.0.1:8042"
OUTPUTS = Path(__file__).parents[2] / "build" / "stack" / "outputs.json"
SECONDS_TO_START = 30
PATIENT: dict[str, Any] = {"timeout": 120, "trust_env": False}


class Backend(ABC):
    """Files, an index, and HTTP in front of them."""

    name: str

    @abstractmethod
    def services(
        self, folder: Path, limits: Limits = Limits(), **settings: Any
    ) -> AbstractContextManager[Services]:
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

    @contextmanager
    def on(self, services: Services) -> Iterator[FastAPI]:
        place = Settings()
        kind = replace(services.settings, data=place.data, storage=place.storage, index=place.index)
        if kind not in self._made:
            self._made[kind] = create_app(services)
        app = self._made[kind]
        before, app.state.services = app.state.services, services
        yield app
        app.state.services = before


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
    def services(
        self, folder: Path, limits: Limits = Limits(), **settings: Any
    ) -> Iterator[Services]:
        folder.mkdir()
        shutil.copy(self._index, folder)
        with closing(open_services(Settings(data=folder, **settings), limits)) as opened:
            yield opened

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        with (
            self._applications.on(services) as app,
            TestClient(app, ADDRESS, raise_server_exceptions=False) as session,
        ):
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
    def services(
        self, folder: Path, limits: Limits = Limits(), **settings: Any
    ) -> Iterator[Services]:
        empty_tables(self._index)
        storage = copy(self._storage)
        storage.bucket = self._new_bucket()
        place = {"storage": f"s3://{storage.bucket}", "index": self._url}
        wanted = Settings(data=folder, **place, **settings)
        if wanted.query_tags or limits != Limits():  # which an index is opened with
            with closing(open_services(wanted, limits)) as opened:
                yield opened
            return
        yield Services(wanted, storage, self._index)

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        with self._applications.on(services) as app:
            if id(app) not in self._running:
                self._running[id(app)] = Uvicorn(app)
            address = self._running[id(app)].url
            with httpx2.Client(base_url=address, follow_redirects=True, **PATIENT) as session:
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
        self._server = uvicorn.Server(uvicorn.Config(app, lifespan="off", **UVICORN_OPTIONS))
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


class Gateway:
    """API Gateway under the name that it has on AWS, though no name server here knows it.

    LocalStack answers at a path too, but does not tell the functions of it.
    """

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._address = urlsplit(outputs["AWS_ENDPOINT_URL"]).netloc
        name = f"{outputs['ApiId']}.execute-api.localhost.localstack.cloud"
        self._host = f"{name}:{urlsplit(outputs['AWS_ENDPOINT_URL']).port}"
        self.url = f"http://{self._host}/v1"

    def client(self, **options: Any) -> httpx2.Client:
        """A client, as `Server` has it."""
        transport = _ByAddress(self._host, self._address)
        return httpx2.Client(base_url=self.url, mounts={"http://": transport}, **PATIENT, **options)

    def session(self) -> requests.Session:
        """A session, as `Server` has it."""
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", _ByAddressToo(self._host, self._address))
        return session


class _ByAddress(httpx2.HTTPTransport):
    def __init__(self, host: str, address: str) -> None:
        super().__init__()
        self._host, self._place = host, address.partition(":")[0]

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.netloc.decode() != self._host:
            return super().handle_request(request)
        # The answer has to name the request as it was made, so that one is left alone.
        by_address = httpx2.Request(
            request.method,
            request.url.copy_with(host=self._place),
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return super().handle_request(by_address)


class _ByAddressToo(requests.adapters.HTTPAdapter):
    def __init__(self, host: str, address: str) -> None:
        super().__init__()
        self._host, self._address = host, address

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if urlsplit(request.url).netloc == self._host:
            request.headers["Host"] = self._host
            request.url = request.url.replace(self._host, self._address, 1)
        return super().send(request, **options)


class Stack(Backend):
    """A stack on this machine; what it holds is thrown away by every test."""

    name = "stack"

    def __init__(self, outputs: Mapping[str, str]) -> None:
        self._gateway = Gateway(outputs)
        place = {"storage": f"s3://{outputs['BucketName']}", "index": outputs["index"]}
        self._services = open_services(Settings(**place))

    @contextmanager
    def services(
        self, folder: Path, limits: Limits = Limits(), **settings: Any
    ) -> Iterator[Services]:
        if settings or limits != Limits():
            pytest.skip("a stack has settings of its own")
        storage = self._services.storage
        empty_tables(self._services.index)
        for key, _, _ in list(storage.keys()):
            if not key.startswith("viewer/"):
                storage.delete(key)
        yield self._services

    @contextmanager
    def client(self, services: Services) -> Iterator[httpx2.Client]:
        if services is not self._services:
            pytest.skip("a stack has settings of its own")
        with self._gateway.client(follow_redirects=True) as session:
            yield session

    @contextmanager
    def server(self, folder: Path) -> Iterator["Gateway"]:
        yield self._gateway

    def close(self) -> None:
        """Let go of connections."""
        self._services.close()


def stack_outputs() -> dict[str, str]:
    """What is known of the stack that runs; the test is skipped where none does."""
    path = Path(os.environ.get("STACK_OUTPUTS", OUTPUTS))
    if not path.exists():
        pytest.skip("no stack is running: make stack starts one")
    outputs: dict[str, str] = json.loads(path.read_text())
    return outputs | json.loads(path.with_name("parts.json").read_text())


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
