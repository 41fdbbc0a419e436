"""The pytest plug-in: options, the service with its first instances, and the outcomes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from dicomweb_conformance import EDITION, outcomes, report, sample_instances
from dicomweb_conformance.client import Service, explained
from dicomweb_conformance.levels import level_of
from dicomweb_conformance.outcomes import Outcome, Result, Run, requirement_of

_OPTIONS = {
    "--dicomweb-url": "base URL of the DICOMweb service",
    "--wado-uri": "URL of its URI service, PS3.18 9",
    "--credentials": "name:password for HTTP Basic",
    "--bearer": "a bearer token",
    "--html-report": "write a page for people to this file",
    "--json-report": "write the outcomes as JSON to this file",
}
_COLLECTED = pytest.StashKey[list[Outcome]]()
_LONGEST_DETAIL = 500


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("DICOMweb conformance")
    for name, meaning in _OPTIONS.items():
        group.addoption(name, default=None, help=meaning)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to collect outcomes."""
    config.stash[_COLLECTED] = list[Outcome]()


@pytest.fixture(scope="session")
def service(pytestconfig: pytest.Config) -> Iterator[Service]:
    """Return the service under test, in which the collection is stored."""
    url = pytestconfig.getoption("--dicomweb-url").rstrip("/")
    wado_uri = pytestconfig.getoption("--wado-uri") or f"{url.rpartition('/')[0]}/wado"
    with _session(pytestconfig) as session:
        opened = Service(url, wado_uri, session)
        _store_collection(opened)
        yield opened


def _store_collection(service: Service) -> None:
    """Store what the requirements ask for; without it none of them can be checked."""
    try:
        response = service.store(*map(sample_instances.encoded, sample_instances.collection()))
    except requests.RequestException as error:
        pytest.exit(f"{service.url} does not response: {error}", 2)
    if response.status_code != requests.codes.ok:
        pytest.exit(f"The instances of the suite cannot be stored. {explained(response)}", 2)


def _session(config: pytest.Config) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    # A server may close a kept connection just when it is used again; that is nobody's fault.
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=2))
    if credentials := config.getoption("--credentials"):
        name, _, password = credentials.partition(":")
        session.auth = (name, password)
    if token := config.getoption("--bearer"):
        session.headers["Authorization"] = f"Bearer {token}"
    return session


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note the outcome of each requirement."""
    made: pytest.TestReport = yield
    if isinstance(item, pytest.Function) and (made.when == "call" or not made.passed):
        item.config.stash[_COLLECTED].append(_outcome(item, made, call))
    return made


def _outcome(
    item: pytest.Function, made: pytest.TestReport, call: pytest.CallInfo[None]
) -> Outcome:
    section, requirement = requirement_of(item.originalname, item.obj.__doc__)
    case = item.name.partition("[")[2].removesuffix("]")
    # `\u5c71` and the like: pytest escapes what is not ASCII.
    case = case.encode("ascii", "backslashreplace").decode("unicode_escape")
    result = Result.MET if made.passed else Result.NOT_MET
    if made.skipped:
        result = Result.NOT_SUPPORTED
    transaction = item.module.__name__.rpartition("test_")[2]
    return Outcome(
        *(section, requirement, case, transaction), level_of(item), result, _detail(call)
    )


def _detail(call: pytest.CallInfo[None]) -> str:
    if call.excinfo is None:
        return ""
    message = str(call.excinfo.value) or call.excinfo.typename
    return re.sub(r"\s+", " ", message).strip()[:_LONGEST_DETAIL]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the reports that were asked for."""
    config = session.config
    run = run_of(config)
    if file := config.getoption("--json-report"):
        outcomes.write(run, Path(file))
    if file := config.getoption("--html-report"):
        Path(file).write_text(report.page(run), "utf-8")


def run_of(config: pytest.Config) -> Run:
    """Return all outcomes so far."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    collected: list[Outcome] = config.stash[_COLLECTED]
    found = sorted(collected, key=lambda each: each.order)
    return Run(config.getoption("--dicomweb-url") or "", EDITION, time, found)
