"""Stores of instances that have a row and no file any more: their bytes are kept again."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get


def keys(services) -> list[str]:
    return [key for key, _, _ in services.storage.keys("instances/")]


def test_a_file_that_was_lost_is_stored_again(client, services):
    files = samples.ct_series("lost", 3)
    wire.must_store(client, *files)
    before = sorted(keys(services))
    for key in before[:2]:
        services.storage.delete(key)

    wire.must_store(client, *files)

    assert len(keys(services)) == 3
    assert before[2] in keys(services)
    for number, content in enumerate(files, 1):
        path = samples.path("lost", 1, number)
        assert get(client, path, "application/dicom; transfer-syntax=*").content == content


def test_a_large_file_that_was_lost_is_stored_again(client, services):
    content = samples.ct("large", size=1600)
    assert len(content) > 4_000_000
    wire.must_store(client, content)
    (key,) = keys(services)
    services.storage.delete(key)
    assert client.post("/instances", content=content).json()["Status"] == "AlreadyStored"
    (key,) = keys(services)
    assert services.storage.read(key) == content


def test_a_file_that_is_there_is_not_written_again(client, services):
    content = samples.ct("there")
    wire.must_store(client, content)
    before = list(services.storage.keys("instances/"))
    wire.must_store(client, content)
    assert list(services.storage.keys("instances/")) == before


@pytest.mark.parametrize("size", [16, 1600], ids=["small", "large"])
def test_two_who_send_a_lost_file_at_once_both_succeed(client, services, size):
    content = samples.ct("both", size=size)
    wire.must_store(client, content)
    for _ in range(5):
        (key,) = keys(services)
        services.storage.delete(key)
        with ThreadPoolExecutor(4) as executor:
            answers = list(executor.map(lambda _: wire.store(client, content), range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
        (key,) = keys(services)
        assert services.storage.read(key) == content
        path = samples.path("both", 1, 1)
        assert get(client, path, "application/dicom; transfer-syntax=*").content == content


def test_a_file_that_was_cut_short_by_a_crash_is_stored_again(client, services):
    content = samples.ct("short")
    wire.must_store(client, content)
    (key,) = keys(services)
    services.storage.delete(key)
    with services.new_spool() as spool:
        spool.write(content[:1000])
        services.storage.put(key, spool)
    wire.must_store(client, content)
    (key,) = keys(services)
    assert services.storage.read(key) == content
