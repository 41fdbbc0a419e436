"""Fixtures: a backend and HTTP to it, the real server as a process, files."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import browser
from tests.helpers.databases import (
    index_url,
    mariadb,
    mariadb_url,
    migrated_mariadb,
    sqlite,
    sqlite_url,
)
from tests.helpers.files.corpus import corpus_files
from tests.helpers.s3 import bucket, s3_environment

if TYPE_CHECKING:
    import httpx2

    from lenticular.services import Services
    from tests.helpers.backends import Backend
    from tests.helpers.server_process import Server

__all__ = ["browser", "bucket", "index_url", "mariadb", "mariadb_url", "migrated_mariadb"]
__all__ += ["s3_environment", "sqlite", "sqlite_url"]

BACKENDS = ("embedded", "aws", "stack")
SEEDS_ELSEWHERE = 25


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose where the tests of HTTP run."""
    parser.addoption(
        "--backend",
        action="append",
        choices=BACKENDS,
        help="where tests of HTTP run, may be repeated; embedded by default (helpers/backends.py)",
    )
    parser.addoption("--fuzz-seconds", type=int, default=20, help="how long the fuzzer asks")
    parser.addoption("--fuzz-seed", type=int, help="what it asks follows from; another each time")
    parser.addoption("--kills", type=int, default=10, help="how often a server is killed")
    parser.addoption("--model-seconds", type=int, default=30, help="how long histories are made")
    parser.addoption("--model-seed", type=int, default=0, help="with which they begin")


@pytest.fixture(scope="session")
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Backend]":
    """The backends on which the tests of HTTP run."""
    from tests.helpers.backends import open_backend

    with open_backend(request.param, request, tmp_path_factory.mktemp("backend")) as opened:
        yield opened


@pytest.fixture
def services(backend: "Backend", tmp_path: Path) -> "Iterator[Services]":
    """Storage and index, empty."""
    with backend.services(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
def client(backend: "Backend", services: "Services") -> "Iterator[httpx2.Client]":
    """HTTP to the application on `services`; a mistake of ours shows as a status of 500."""
    with backend.client(services) as session:
        yield session


@pytest.fixture(scope="module")
def module_services(
    backend: "Backend", tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Services]":
    """Storage and index, empty for the first test of a module; some files there share UIDs."""
    with backend.services(tmp_path_factory.mktemp("module") / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def module_client(backend: "Backend", module_services: "Services") -> "Iterator[httpx2.Client]":
    """HTTP to the application for all tests of a module, each of which uses its own studies."""
    with backend.client(module_services) as session:
        yield session


@pytest.fixture
def connect(backend: "Backend") -> "Iterator[Callable[[Services], httpx2.Client]]":
    """HTTP to the application on services with other settings, or otherwise special."""
    with ExitStack() as stack:
        yield lambda services: stack.enter_context(backend.client(services))


@pytest.fixture(scope="session")
def server(backend: "Backend", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Server]":
    """One real server for all tests that only need one: each uses studies of its own."""
    with backend.server(tmp_path_factory.mktemp("server")) as running:
        yield running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each backend, and with `any_file` once for each file there is."""
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backend") or ["embedded"]
        metafunc.parametrize("backend", chosen, indirect=True, scope="session")
    if "any_file" in metafunc.fixturenames:
        files = {
            "/".join(path.parts[-3:]): path
            for path in corpus_files()
            if path.suffix not in (".tsv", ".md")
        }
        metafunc.parametrize("any_file", files.values(), ids=files.keys())


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is slow
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run over all files on the embedded backend, and elsewhere over a sample of each kind.

    Over HTTP all files take long together, so those beyond the sample are marked as slow.
    """
    sample = {min(folder) for folder in _by_folder(corpus_files()).values()}
    for item in items:
        file = getattr(getattr(item, "callspec", None), "params", {}).get("any_file")
        if file is not None and file not in sample and item.path.parent.name == "web":
            item.add_marker(pytest.mark.slow)
    left_out = [item for item in items if _is_one_more(item, sample)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]


def _by_folder(files: list[Path]) -> dict[Path, list[Path]]:
    folders: dict[Path, list[Path]] = {}
    for path in files:
        if path.suffix not in (".tsv", ".md"):
            folders.setdefault(path.parent, []).append(path)
    return folders


def _is_one_more(item: pytest.Item, sample: set[Path]) -> bool:
    """True for tests that other backends need not repeat: a file is read alike in every storage."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if parameters.get("backend", "embedded") == "embedded":
        return False
    file, seed = parameters.get("any_file"), parameters.get("seed")
    is_one_more_file = file is not None and file not in sample
    return is_one_more_file or (isinstance(seed, int) and seed >= SEEDS_ELSEWHERE)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what a stack cannot do for a test."""
    marker = item.get_closest_marker("not_on_stack")
    callspec = getattr(item, "callspec", None)
    if marker and callspec and callspec.params.get("backend") == "stack":
        pytest.skip(marker.args[0])
