"""The server on one machine tells what has become stable: once, whichever process does it."""

import time

import pytest

from tests.helpers import samples
from tests.helpers.server_process import Server

SECONDS = 30
STABLE = ["StableSeries", "StableStudy", "StablePatient"]


def changes(client) -> list[tuple[str, str]]:
    answer = client.get("/changes", params={"since": 0, "limit": 1000}).json()
    return [(change["ChangeType"], change["ID"]) for change in answer["Changes"]]


def stable(client) -> list[str]:
    return [kind for kind, _ in changes(client) if kind.startswith("Stable")]


def await_stable(client, times: int) -> None:
    deadline = time.monotonic() + SECONDS
    while len(stable(client)) < 3 * times:
        assert time.monotonic() < deadline, changes(client)
        time.sleep(0.1)


@pytest.fixture(params=["folder", "bucket"])
def running(request, tmp_path):
    """Two processes, on files in a folder or in a bucket."""
    environment = {"LENTICULAR_STABLE_AGE": "1"}
    if request.param == "bucket":
        environment |= request.getfixturevalue("s3_environment")
        environment["LENTICULAR_STORAGE"] = f"s3://{request.getfixturevalue('bucket')}"
    with Server(tmp_path / "data", workers=2, environment=environment) as server:
        yield server


def test_a_study_becomes_stable_and_with_a_new_instance_once_more(running):
    with running.client() as client:
        stored = client.post("/instances", content=samples.ct("s", instance=1)).json()
        study = f"/studies/{stored['ParentStudy']}"
        await_stable(client, 1)
        assert client.get(study).json()["IsStable"]

        client.post("/instances", content=samples.ct("s", instance=2))
        await_stable(client, 2)
        assert client.get(study).json()["IsStable"]

        assert stable(client) == STABLE * 2


def test_what_became_stable_while_nobody_served_is_told_at_the_next_start(tmp_path):
    patient = Server(tmp_path / "data", environment={"LENTICULAR_STABLE_AGE": "3600"})
    with patient, patient.client() as client:
        client.post("/instances", content=samples.ct("s"))
        assert stable(client) == []
    hasty = Server(tmp_path / "data", environment={"LENTICULAR_STABLE_AGE": "1"})
    with hasty, hasty.client() as client:
        await_stable(client, 1)
        assert stable(client) == STABLE
