"""A bucket or a database that says nothing: every client hears of it within 25 seconds."""

import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.helpers import samples, wire
from tests.helpers.databases import FAST, mariadb_server
from tests.helpers.server_process import Server
from tests.helpers.tcp_relay import Relay

LONGEST_ANSWER = 25
"""API Gateway gives up after 29 seconds."""

INSTANCE = wire.DICOMWEB + samples.path("s")
ANY_DICOM = {"Accept": "application/dicom; transfer-syntax=*"}
Requests = dict[str, Callable[[httpx2.Client], httpx2.Response]]
TO_THE_BUCKET: Requests = {
    "store": lambda client: wire.store(client, samples.ct("s", instance=99)),
    "store many": lambda client: wire.store(client, *samples.ct_series("many", 40)),
    "store again": lambda client: wire.store(client, *samples.ct_series("s", 40)),
    "retrieve": lambda client: client.get(INSTANCE, headers=ANY_DICOM),
    "retrieve many": lambda client: client.get(
        f"{wire.DICOMWEB}/studies/{samples.study_uid('s')}", headers={"Accept": "application/zip"}
    ),
    "frame": lambda client: client.get(INSTANCE + "/frames/1"),
    "picture": lambda client: client.get(INSTANCE + "/rendered"),
    "thumbnail": lambda client: client.get(
        f"{wire.DICOMWEB}/studies/{samples.study_uid('s')}/thumbnail"
    ),
    "delete": lambda client: client.delete(
        f"{wire.DICOMWEB}/studies/{samples.study_uid('deleted')}"
    ),
    "upload": lambda client: client.post(
        "/uploads", json={"files": [{"name": "x", "size": 200_000_000}] * 40}
    ),
    "result": lambda client: client.get("/results/" + "0" * 32),
}


TO_THE_DATABASE: Requests = {
    "store": lambda client: wire.store(client, samples.ct("s", instance=99)),
    "store many": lambda client: wire.store(client, *samples.ct_series("many", 40)),
    "store by Orthanc's REST": lambda client: client.post("/instances", content=samples.ct("t")),
    "search": lambda client: client.get(f"{wire.DICOMWEB}/studies"),
    "metadata": lambda client: client.get(INSTANCE + "/metadata"),
    "retrieve": lambda client: client.get(INSTANCE, headers=ANY_DICOM),
    "picture": lambda client: client.get(INSTANCE + "/rendered"),
    "delete": lambda client: client.delete(INSTANCE),
    "changes": lambda client: client.get("/changes"),
    "find": lambda client: client.post("/tools/find", json={"Level": "Study", "Query": {}}),
}


def ask_all(server: Server, requests: Requests) -> dict[str, httpx2.Response]:
    """Send all requests at once, and expect each response in time."""

    def timed(name: str) -> tuple[httpx2.Response, float]:
        with server.client() as client:
            started = time.monotonic()
            return requests[name](client), time.monotonic() - started

    with ThreadPoolExecutor(len(requests)) as threads:
        found = dict(zip(requests, threads.map(timed, requests), strict=True))
    seconds = {name: round(took, 1) for name, (_, took) in found.items()}
    print(seconds)
    assert max(seconds.values()) < LONGEST_ANSWER, seconds
    return {name: response for name, (response, _) in found.items()}


def assert_asked_to_come_again(name: str, response: httpx2.Response) -> None:
    assert response.status_code == 503, (name, response.text)
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.slow
def test_a_bucket_that_says_nothing_is_reported_in_time(s3_environment, bucket, tmp_path):
    hung, may_go_on = threading.Event(), threading.Event()

    def hang(_) -> None:
        if hung.is_set():
            may_go_on.wait(120)

    with Relay(s3_environment["AWS_ENDPOINT_URL"], hang) as relay:
        environment = {
            **s3_environment,
            "AWS_ENDPOINT_URL": relay.url,
            "LENTICULAR_STORAGE": f"s3://{bucket}",
            "LENTICULAR_PAYLOAD_CEILING": "4194304",
        }
        with Server(tmp_path / "data", environment=environment) as server:
            with server.client() as client:
                wire.must_store(client, *samples.ct_series("s", 40))
                wire.must_store(client, *samples.ct_series("deleted", 40))
            hung.set()
            found = ask_all(server, TO_THE_BUCKET)
            may_go_on.set()

    for name, response in found.items():
        assert_asked_to_come_again(name, response)


@pytest.mark.slow
def test_a_database_that_says_nothing_is_reported_in_time(tmp_path):
    (tmp_path / "database").mkdir()
    with mariadb_server(tmp_path / "database", *FAST) as database:
        environment = {"LENTICULAR_INDEX": database.new_database()}
        with Server(tmp_path / "data", environment=environment) as server:
            with server.client() as client:
                wire.must_store(client, samples.ct("s"))
            database.process.send_signal(signal.SIGSTOP)
            try:
                found = ask_all(server, TO_THE_DATABASE)
            finally:
                database.process.send_signal(signal.SIGCONT)

    for name, response in found.items():
        assert_asked_to_come_again(name, response)
