"""A bucket that takes requests and never answers: every client hears of it within 25 seconds."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2

from tests.helpers import samples, wire
from tests.helpers.server_process import Server
from tests.helpers.tcp_relay import Relay

LONGEST_ANSWER = 25
"""API Gateway gives up after 29 seconds."""

INSTANCE = wire.DICOMWEB + samples.path("s")
ANY_DICOM = {"Accept": "application/dicom; transfer-syntax=*"}
REQUESTS: dict[str, Callable[[httpx2.Client], httpx2.Response]] = {
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


def test_everybody_is_answered_in_time(s3_environment, bucket, tmp_path):
    hung, may_go_on = threading.Event(), threading.Event()

    def hang(_) -> None:
        if hung.is_set():
            may_go_on.wait(120)

    def timed(name: str) -> tuple[int, float]:
        with server.client() as client:
            started = time.monotonic()
            response = REQUESTS[name](client)
            return response.status_code, time.monotonic() - started

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
            with ThreadPoolExecutor(len(REQUESTS)) as threads:
                found = dict(zip(REQUESTS, threads.map(timed, REQUESTS), strict=True))
            may_go_on.set()

    print(found)
    assert {name: status for name, (status, _) in found.items()} == {
        **dict.fromkeys(REQUESTS, 503),
        "delete": 204,
    }
    assert not {name: took for name, (_, took) in found.items() if took > LONGEST_ANSWER}
