"""Small files in a bucket are read side by side, a few at a time, and sent in their order."""

import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from lenticular.services import Services
from lenticular.transactions.retrieve.read_ahead import READS_AT_ONCE
from tests.helpers import samples, wire
from tests.helpers.backends import Backend
from tests.helpers.http.retrieve import ANY_DICOM, bodies, get

FILES = 40
SECONDS = 0.02
"""What a bucket takes for a read, however small."""


class SlowStorage:
    """A storage far away, which counts the reads that go on at the same time."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._reading = 0
        self.most = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def stream(self, key: str, offset: int = 0, length: int | None = None):
        with self._lock:
            self._reading += 1
            self.most = max(self.most, self._reading)
        time.sleep(SECONDS)
        with self._lock:
            self._reading -= 1
        return self._storage.stream(key, offset, length)


NUMBERS = ",".join(str(number) for number in range(1, 31))
ANY_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
ANY_JPEG = 'multipart/related; type="image/jpeg"; transfer-syntax=*'


@pytest.mark.parametrize(
    ("content", "resource", "accept"),
    [
        (samples.multi_frame("ahead", 30), f"/frames/{NUMBERS}", ANY_OCTETS),
        (samples.jpeg("ahead", 30), f"/frames/{NUMBERS}", ANY_JPEG),
        (samples.jpeg("ahead", 30), "/pixeldata", ANY_JPEG),
    ],
    ids=["frames", "compressed frames", "pixel data"],
)
def test_the_frames_of_an_instance_are_read_a_few_at_a_time(
    backend: Backend, client, connect, services: Services, content, resource, accept
):
    if backend.name != "aws":
        pytest.skip("files in a folder are read one after the other")
    wire.must_store(client, content)
    path = samples.path("ahead") + resource
    expected = bodies(client, path, accept)
    storage = SlowStorage(services.storage)

    answer = get(connect(replace(services, storage=storage)), path, accept)

    assert 1 < storage.most <= READS_AT_ONCE
    assert len(expected) == 30
    assert [body for _, body in wire.parts(answer)] == expected


def test_the_pixels_of_a_study_are_read_a_few_at_a_time(
    backend: Backend, client, connect, services: Services
):
    if backend.name != "aws":
        pytest.skip("files in a folder are read one after the other")
    wire.must_store(client, *samples.ct_series("ahead", FILES))
    path = f"/studies/{samples.study_uid('ahead')}/pixeldata"
    expected = bodies(client, path, ANY_OCTETS)
    storage = SlowStorage(services.storage)

    answer = get(connect(replace(services, storage=storage)), path, ANY_OCTETS)

    assert 1 < storage.most <= READS_AT_ONCE
    assert [body for _, body in wire.parts(answer)] == expected


@pytest.mark.parametrize("accept", [ANY_DICOM, "application/zip"])
def test_the_files_of_a_study_are_read_a_few_at_a_time(
    backend: Backend, client, connect, services: Services, accept
):
    if backend.name != "aws":
        pytest.skip("files in a folder are read one after the other")
    wire.must_store(client, *samples.ct_series("ahead", FILES))
    storage = SlowStorage(services.storage)
    answer = get(
        connect(replace(services, storage=storage)),
        f"/studies/{samples.study_uid('ahead')}",
        accept,
    )
    assert answer.status_code == 200
    assert 1 < storage.most <= READS_AT_ONCE
    places = [answer.content.index(each[132:400]) for each in samples.ct_series("ahead", FILES)]
    assert places == sorted(places)
