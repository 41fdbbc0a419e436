"""Orthanc before this server: it sends to it, searches in it and retrieves from it."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.helpers import orthanc_process, samples, wire
from tests.helpers.server_process import Server

pytestmark = [
    pytest.mark.not_on_stack("Orthanc looks up the address of the API itself"),
    pytest.mark.skipif(not orthanc_process.is_installed(), reason="Orthanc is not installed"),
]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("ours") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def orthanc(ours: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    with orthanc_process.running(
        tmp_path_factory.mktemp("orthanc"),
        OrthancPeers={"ours": [f"{ours.url}/"]},
        DicomWeb={"Servers": {"ours": [f"{ours.url}{wire.DICOMWEB}/"]}},
    ) as client:
        yield client


def stored_in(orthanc: httpx2.Client, content: bytes) -> str:
    answer = orthanc.post("/instances", content=content)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["ID"])


def file_of(ours: Server, identifier: str) -> bytes:
    return httpx2.get(f"{ours.url}/instances/{identifier}/file").content


def test_it_sends_by_stow(orthanc, ours):
    content = samples.ct("stow")
    identifier = stored_in(orthanc, content)
    sent = orthanc.post("/dicom-web/servers/ours/stow", json={"Resources": [identifier]})
    assert sent.status_code == 200, sent.text
    assert file_of(ours, identifier) == content


@pytest.mark.parametrize("compress", [False, True])
def test_it_sends_to_us_as_a_peer(orthanc, ours, compress):
    content = samples.ct(f"peer {compress}")
    identifier = stored_in(orthanc, content)
    asked = {"Resources": [identifier], "Compress": compress, "Synchronous": True}
    sent = orthanc.post("/peers/ours/store", json=asked)
    assert sent.json()["FailedInstancesCount"] == 0, sent.text
    assert file_of(ours, identifier) == content


def test_it_sees_us_as_a_peer(orthanc):
    assert orthanc.get("/peers/ours/system").json()["Name"] == "Lenticular"


def test_it_searches_in_us_and_retrieves_from_us(orthanc, ours):
    content = samples.ct("there")
    httpx2.post(f"{ours.url}/instances", content=content).raise_for_status()
    arguments = {"StudyInstanceUID": samples.study_uid("there")}
    found = orthanc.post(
        "/dicom-web/servers/ours/qido", json={"Uri": "/studies", "Arguments": arguments}
    )
    assert [each["0020000D"]["Value"] for each in found.json()] == [samples.study_uid("there")]
    wanted = {"Resources": [{"Study": samples.study_uid("there")}]}
    retrieved = orthanc.post("/dicom-web/servers/ours/retrieve", json=wanted)
    assert retrieved.json()["ReceivedInstancesCount"] == "1", retrieved.text
    (identifier,) = orthanc.post("/tools/lookup", content=samples.sop_uid("there")).json()
    assert orthanc.get(f"{identifier['Path']}/file").content == content
