"""Nothing acknowledged is lost, whenever the server is killed, and no row lacks its file."""

import hashlib
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from lenticular.index.sql.schema import instances
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.transactions.upkeep.sweep_and_reindex import sweep
from tests.helpers import samples, wire
from tests.helpers.databases import MariaDB
from tests.helpers.model.invariants import check_counts, check_feed, rows_of
from tests.helpers.server_process import Server

CLIENTS = 4
LARGE_BYTES = 3_000_000  # more than is kept in memory while it arrives


@dataclass
class Acknowledged:
    """DICOMweb path and SHA-256 of every instance whose store was answered with success."""

    instances: dict[str, str] = field(default_factory=dict)
    first: threading.Event = field(default_factory=threading.Event)

    def upload(self, server: Server, label: str, stop: threading.Event) -> None:
        """Store one instance after the other, now this way and now that, until it breaks off."""
        with server.client() as client:
            number = 0
            while not stop.is_set():
                number += 1
                if not self.upload_one(client, label, number):
                    return
                if number % 7 == 0 and not self.delete(client, label, number - 2):
                    return

    def delete(self, client: httpx2.Client, label: str, number: int) -> bool:
        """Ask for an instance to be deleted; from then on it may be there or not."""
        path = samples.path(label, 1, number)
        self.instances.pop(path, None)
        try:
            answer = client.delete(wire.DICOMWEB + path)
        except httpx2.TransportError:
            return False
        assert answer.status_code in (200, 204), answer.text
        return True

    def upload_one(self, client: httpx2.Client, label: str, number: int) -> bool:
        comments = "x" * LARGE_BYTES if number % 25 == 5 else None
        content = samples.ct(label, instance=number, TextValue=comments)
        try:
            if number % 3:
                answer = wire.store(client, content)
            else:
                answer = client.post("/instances", content=content)
        except httpx2.TransportError:
            return False
        assert answer.status_code == 200, answer.text
        self.instances[samples.path(label, 1, number)] = hashlib.sha256(content).hexdigest()
        self.first.set()
        return True


def sha256_of(client: httpx2.Client, path: str) -> str:
    """The checksum of the instance as it is retrieved."""
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    answer = client.get(wire.DICOMWEB + path, headers=accept)
    assert answer.status_code == 200, (path, answer.text)
    return hashlib.sha256(answer.content).hexdigest()


def all_paths(client: httpx2.Client) -> list[str]:
    """The DICOMweb path of every row of the index."""
    paths: list[str] = []
    while True:
        page = wire.search(client, "/instances", limit=1000, offset=len(paths))
        if not page:
            return paths
        urls = [wire.value(match, "00081190") for match in page]
        paths += [url[url.index("/studies/") :] for url in urls]


@pytest.fixture(params=["SQLite", "MariaDB"])
def index_setting(request: pytest.FixtureRequest) -> dict[str, str]:
    """The setting that makes the server keep its index there."""
    if request.param == "SQLite":
        return {}
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    return {"LENTICULAR_INDEX": mariadb.new_database()}


@pytest.mark.slow
def test_whatever_was_acknowledged_survives_kills(tmp_path, index_setting, pytestconfig):
    chance = random.Random(2)
    acknowledged = Acknowledged()
    data = tmp_path / "data"
    for round_number in range(pytestconfig.getoption("--kills")):
        workers = 2 if round_number % 5 == 4 else 1
        server = Server(data, workers=workers, environment=index_setting).start()
        before = len(acknowledged.instances)
        upload_until_killed(server, acknowledged, round_number, chance.uniform(0, 0.6))
        print(f"round {round_number}: {len(acknowledged.instances) - before} acknowledged")
    assert acknowledged.instances, "no upload ever got through"

    with Server(data, workers=2, environment=index_setting) as server, server.client() as client:
        paths = all_paths(client)
        assert set(acknowledged.instances) <= set(paths)
        with ThreadPoolExecutor(CLIENTS) as readers:
            found = dict(
                zip(paths, readers.map(lambda path: sha256_of(client, path), paths), strict=True)
            )
    assert {path: found[path] for path in acknowledged.instances} == acknowledged.instances
    assert_nothing_is_left_over(data, index_setting.get("LENTICULAR_INDEX", ""))


def upload_until_killed(
    server: Server, acknowledged: Acknowledged, round_number: int, seconds: float
) -> None:
    """Store from several clients; kill the server some time after the first success."""
    stop = threading.Event()
    acknowledged.first.clear()
    with ThreadPoolExecutor(CLIENTS) as clients:
        uploads = [
            clients.submit(acknowledged.upload, server, f"{round_number} {number}", stop)
            for number in range(CLIENTS)
        ]
        acknowledged.first.wait(20)
        stop.wait(seconds)
        server.kill()
        stop.set()
    for upload in uploads:
        upload.result()


def assert_nothing_is_left_over(data: Path, index: str) -> None:
    """Counts and feed are right, and after a sweep every file has its row."""
    with closing(open_services(Settings(data=data, index=index))) as services:
        check_counts(services.index)
        check_feed(services.index, with_stability=False)
        swept = sweep(services, older_than_seconds=0)
        print(f"{swept.removed} files were left over")
        files = {key for key, _, _ in services.storage.keys("instances/")}
        rows = rows_of(services.index, instances)
    assert {row["storage_key"] for row in rows} == files


def test_a_killed_worker_is_replaced_and_the_others_carry_on(tmp_path: Path):
    with Server(tmp_path / "data", workers=2) as server, server.client() as client:
        wire.must_store(client, samples.ct("before"))
        _, *workers = server.processes()
        assert len(workers) >= 2
        os.kill(workers[-1], signal.SIGKILL)

        stored = 0
        for number in range(40):
            try:
                wire.must_store(client, samples.ct("after", instance=number))
                stored += 1
            except httpx2.TransportError:  # this connection was to the one that died
                continue

        assert stored >= 39
        assert wire.search(client, "/studies", StudyInstanceUID=samples.study_uid("before"))
