"""The drop folder of a bucket on one machine: listed, since no events come from there."""

import threading

import pytest

from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.transactions.ingest.bucket_poller import BucketPoller
from tests.helpers import samples
from tests.helpers.bucket_server import eventually


@pytest.fixture
def services(tmp_path, bucket):
    opened = open_services(Settings(data=tmp_path, storage=f"s3://{bucket}"))
    opened.index.migrate()
    yield opened
    opened.close()


def drop(services, *keys: str) -> None:
    for key in keys:
        services.storage.client.put_object(
            Bucket=services.storage.bucket, Key=key, Body=samples.ct(key)
        )


def test_an_object_that_fails_holds_up_no_other_and_is_tried_again_later(services):
    drop(services, "incoming/a", "incoming/bad", "incoming/z", "elsewhere/x")
    taken: list[str] = []

    def take(key: str) -> None:
        taken.append(key)
        if key == "incoming/bad":
            raise ValueError("a mistake of ours")
        services.bucket.delete(key)

    watch = BucketPoller(services, services.bucket, "incoming/", take)
    watch.turn()
    watch.turn()
    assert taken == ["incoming/a", "incoming/bad", "incoming/z"]


def test_of_two_processes_one_watches_and_the_other_takes_over(services):
    by: list[str] = []

    def watching(name: str) -> BucketPoller:
        def take(key: str) -> None:
            by.append(name)
            services.bucket.delete(key)

        return BucketPoller(services, services.bucket, "incoming/", take)

    watches = [watching("first"), watching("second")]
    threads = [threading.Thread(target=watch.watch) for watch in watches]
    for thread in threads:
        thread.start()
    drop(services, *(f"incoming/{number}" for number in range(4)))
    eventually(lambda: len(by) == 4)
    (name,) = set(by)
    watches[("first", "second").index(name)].stop()
    drop(services, "incoming/last")
    eventually(lambda: len(by) == 5)
    assert by[-1] != name
    for watch, thread in zip(watches, threads, strict=True):
        watch.stop()
        thread.join()


def test_a_bucket_that_is_gone_for_a_while_does_not_end_the_watch(services):
    name = services.storage.bucket
    watch = BucketPoller(services, services.bucket, "incoming/", services.bucket.delete)
    services.storage.client.delete_bucket(Bucket=name)
    watch.turn()
    services.storage.client.create_bucket(Bucket=name)
    drop(services, "incoming/a")
    watch.turn()
    assert list(services.bucket.keys()) == []
