"""The conformance suite is a distribution of its own: it is installed and run by itself."""

import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.helpers.server_process import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Path:
    """The suite in an environment that has nothing but what it asks for."""
    folder = tmp_path_factory.mktemp("suite")
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, ROOT / "conformance"], check=True)
    return folder / "bin/dicomweb-conformance"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("conformance") / "data"
    with Server(folder, environment={"LENTICULAR_ALLOWED_ORIGINS": "*"}) as running:
        yield running


def run(command, *arguments, folder) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_lenticular_meets_every_requirement(command, server, tmp_path):
    reports = ("--json=run.json", "--html=run.html", "--junit=run.xml")
    done = run(command, f"{server.url}/dicom-web", "--fail-on=optional", *reports, folder=tmp_path)

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    outcomes = json.loads((tmp_path / "run.json").read_text())["outcomes"]
    assert len(outcomes) > 520
    assert [each for each in outcomes if each["result"] != "met"] == []
    assert "<table>" in (tmp_path / "run.html").read_text()
    assert "<testsuite" in (tmp_path / "run.xml").read_text()


@pytest.mark.slow
def test_lenticular_meets_every_requirement_in_strict_mode_too(command, tmp_path):
    environment = {"LENTICULAR_STRICT": "true", "LENTICULAR_ALLOWED_ORIGINS": "*"}
    with Server(tmp_path / "data", environment=environment) as strict:
        done = run(
            command, f"{strict.url}/dicom-web", "--fail-on=optional", "--json=run.json",
            folder=tmp_path,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    outcomes = json.loads((tmp_path / "run.json").read_text())["outcomes"]
    assert [each for each in outcomes if each["result"] != "met"] == []


@pytest.mark.slow
def test_a_profile_runs_a_part(command, server, tmp_path):
    done = run(
        command,
        *(f"{server.url}/dicom-web", "--profile=search", "--json=run.json"),
        folder=tmp_path,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    outcomes = json.loads((tmp_path / "run.json").read_text())["outcomes"]
    assert {each["transaction"] for each in outcomes} == {"search", "paging"}


def test_a_service_that_is_not_there_is_said_to_be_unusable(command, tmp_path):
    done = run(command, "http://127.0.0.1:1/dicom-web", folder=tmp_path)

    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr


def test_a_word_that_is_no_url_is_refused(command, tmp_path):
    done = run(command, "pacs", folder=tmp_path)

    assert done.returncode == 2
    assert "'pacs' is not a URL" in done.stderr


def test_outcomes_of_services_stand_side_by_side(tmp_path):
    outcome = {"section": "8.1", "requirement": "It works", "case": "", "transaction": "search"}
    for name, result in (("Ours", "met"), ("Theirs", "not met")):
        file = {"service": name, "edition": "2026", "time": "now"}
        file["outcomes"] = [{**outcome, "level": "required", "result": result, "detail": ""}]
        (tmp_path / f"{name}.json").write_text(json.dumps(file))

    done = subprocess.run(
        [sys.executable, "-m", "dicomweb_conformance", "compare", "Ours.json", "Theirs.json"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "conformance")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "| 8.1 | It works | required | yes | **no** |" in done.stdout
