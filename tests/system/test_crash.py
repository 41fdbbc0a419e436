"""Nothing acknowledged is lost, whenever the server is killed, and no row lacks its file."""

import hashlib
import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests import samples, wire
from tests.server import Server

KILLS = 20
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


@pytest.mark.slow
def test_whatever_was_acknowledged_survives_twenty_kills(tmp_path: Path):
    chance = random.Random(2)
    acknowledged = Acknowledged()
    for round_number in range(KILLS):
        server = Server(tmp_path / "data", workers=2 if round_number % 5 == 4 else 1).start()
        stop = threading.Event()
        before = len(acknowledged.instances)
        acknowledged.first.clear()
        with ThreadPoolExecutor(CLIENTS) as clients:
            uploads = [
                clients.submit(acknowledged.upload, server, f"{round_number} {number}", stop)
                for number in range(CLIENTS)
            ]
            acknowledged.first.wait(20)
            stop.wait(chance.uniform(0, 0.6))
            server.kill()
            stop.set()
        for upload in uploads:
            upload.result()
        print(f"round {round_number}: {len(acknowledged.instances) - before} acknowledged")
    assert acknowledged.instances, "no upload ever got through"

    with Server(tmp_path / "data", workers=2) as server, server.client() as client:
        paths = all_paths(client)
        assert set(acknowledged.instances) <= set(paths)
        with ThreadPoolExecutor(CLIENTS) as readers:
            found = dict(
                zip(paths, readers.map(lambda path: sha256_of(client, path), paths), strict=True)
            )
    assert {path: found[path] for path in acknowledged.instances} == acknowledged.instances


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
