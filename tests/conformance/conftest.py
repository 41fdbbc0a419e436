"""Options of the suite, and the service with its first instances."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from tests.conformance import material
from tests.conformance.service import Service, explained

FOLDER = Path(__file__).parent
outcomes: dict[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    for name, meaning in (
        ("--base-url", "the DICOMweb service to test"),
        ("--wado-uri", "its URI service, PS3.18 9"),
        ("--credentials", "user:password"),
        ("--bearer", "a bearer token"),
        ("--report", "a file for the outcomes, as JSON"),
    ):
        group.addoption(name, default=None, help=meaning)


def option(config: pytest.Config, name: str) -> str | None:
    """An option; when the whole test suite runs, the suite's own ones were never declared."""
    return config.getoption(name, default=None)


@pytest.fixture(scope="session")
def base_url(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where the service is; our own is started when none is named."""
    named = option(pytestconfig, "--base-url")
    if named:
        yield named.rstrip("/")
        return
    from tests.server import Server

    folder = tmp_path_factory.mktemp("conformance") / "data"
    with Server(folder, environment={"LENTICULAR_ALLOWED_ORIGINS": "*"}) as server:
        yield f"{server.url}/dicom-web"


@pytest.fixture(scope="session")
def service(pytestconfig: pytest.Config, base_url: str) -> Iterator[Service]:
    """The service, which holds the collection."""
    session = requests.Session()
    session.trust_env = False
    # A kept connection may be closed just when it is used again; that is nobody's fault.
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=2))
    if credentials := option(pytestconfig, "--credentials"):
        name, _, password = credentials.partition(":")
        session.auth = (name, password)
    if token := option(pytestconfig, "--bearer"):
        session.headers["Authorization"] = f"Bearer {token}"
    wado_uri = option(pytestconfig, "--wado-uri") or f"{base_url.rpartition('/')[0]}/wado"
    opened = Service(base_url, wado_uri, session)
    answer = opened.store(*map(material.encoded, material.collection()))
    assert answer.status_code == 200, explained(answer)
    yield opened
    session.close()


def pytest_runtest_logreport(report: Any) -> None:
    if "tests/conformance/" in report.nodeid and (report.when == "call" or not report.passed):
        outcomes[report.nodeid.partition("tests/conformance/")[2]] = report.outcome


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = option(session.config, "--report")
    if file:
        Path(file).write_text(json.dumps(outcomes, indent=1))
