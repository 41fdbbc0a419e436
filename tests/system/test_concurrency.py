"""Many clients at once: counts are exact and nobody sees an error."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.helpers import samples, wire
from tests.helpers.server_process import Server

CLIENTS = 8
INSTANCES = 60
ACCEPT = {"Accept": "application/dicom; transfer-syntax=*"}


def at_once(server: Server, work) -> list:
    """Run work(client, number) for each of the clients at the same time."""

    def run(number: int):
        with server.client() as client:
            return work(client, number)

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(run, range(CLIENTS)))


def test_eight_clients_store_into_one_study_and_every_count_is_exact(server: Server):
    """Each instance is sent by two clients, in an order of their own, in different ways."""
    label = "concurrent"
    places = [(number % 3 + 1, number) for number in range(INSTANCES)]

    def store(client: httpx2.Client, number: int) -> Counter[int]:
        mine = [place for position, place in enumerate(places) if position % 4 == number % 4]
        random.Random(number).shuffle(mine)
        files = [samples.ct(label, *place) for place in mine]
        if number % 2:
            return Counter(wire.store(client, content).status_code for content in files)
        answers = Counter()
        for begin in range(0, len(files), 5):
            answers[wire.store(client, *files[begin : begin + 5]).status_code] += 1
        return answers

    answers = sum(at_once(server, store), Counter())

    assert set(answers) == {200}
    study = samples.study_uid(label)
    with server.client() as client:
        (match,) = wire.search(client, "/studies", StudyInstanceUID=study)
        assert wire.value(match, "00201206") == 3
        assert wire.value(match, "00201208") == INSTANCES
        series = wire.search(client, f"/studies/{study}/series")
        assert [wire.value(one, "00201209") for one in series] == [INSTANCES // 3] * 3
        assert len(wire.search(client, f"/studies/{study}/instances")) == INSTANCES
        for place in places:
            answer = client.get(wire.DICOMWEB + samples.path(label, *place), headers=ACCEPT)
            assert answer.content == samples.ct(label, *place)
        (resource,) = client.post("/tools/lookup", content=study).json()
        assert client.get(f"{resource['Path']}/statistics").json()["CountInstances"] == INSTANCES


def test_of_many_contents_for_one_uid_one_wins_and_the_others_are_told(server: Server):
    label = "race"

    def content(number: int) -> bytes:
        return samples.ct(label, StudyDescription=f"content {number}")

    answers = at_once(server, lambda client, number: wire.store(client, content(number)))

    winners = [number for number, answer in enumerate(answers) if answer.status_code == 200]
    assert len(winners) == 1
    for number, answer in enumerate(answers):
        if number not in winners:
            assert answer.status_code == 409
            assert wire.failed(answer) == [(samples.sop_uid(label), 0x0111)]
    with server.client() as client:
        answer = client.get(wire.DICOMWEB + samples.path(label), headers=ACCEPT)
        assert answer.content == content(winners[0])


def test_storing_while_others_delete_the_same_study_breaks_nothing(server: Server):
    label = "come and go"
    study = f"{wire.DICOMWEB}/studies/{samples.study_uid(label)}"
    files = samples.ct_series(label, 5)

    def work(client: httpx2.Client, number: int) -> set[int]:
        if number % 4 == 0:
            return {client.delete(study).status_code for _ in range(15)}
        return {wire.store(client, *files).status_code for _ in range(15)}

    statuses = at_once(server, work)

    assert set().union(*statuses[::4]) <= {200, 204, 404}
    assert set().union(*statuses[1:4], *statuses[5:8]) == {200}
    with server.client() as client:
        wire.must_store(client, *files)
        for number in range(1, 6):
            path = wire.DICOMWEB + samples.path(label, 1, number)
            assert client.get(path, headers=ACCEPT).content == files[number - 1]
        (match,) = wire.search(client, StudyInstanceUID=samples.study_uid(label))
        assert wire.value(match, "00201208") == 5


def test_one_patient_in_many_studies_is_counted_once(server: Server):
    def store(client: httpx2.Client, number: int) -> int:
        files = [
            samples.ct(f"patient {number} {study}", PatientID="one and the same")
            for study in range(5)
        ]
        return wire.store(client, *files).status_code

    assert set(at_once(server, store)) == {200}
    with server.client() as client:
        found = wire.search(client, "/studies", PatientID="one and the same")
        assert len(found) == CLIENTS * 5
        (patient,) = client.post(
            "/tools/find",
            json={"Level": "Patient", "Query": {"PatientID": "one and the same"}, "Expand": True},
        ).json()
        assert len(patient["Studies"]) == CLIENTS * 5
