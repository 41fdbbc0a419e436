"""A database that pauses while nobody works: whoever has no client to send away waits for it."""

import threading
from dataclasses import replace

import pytest

from lenticular.index import Index
from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context
from tests.helpers.aws.events import drop, found, keys, tell
from tests.helpers.databases import FAST, mariadb_server

__all__ = ["drop", "tell"]

SECONDS_ASLEEP = 1.0


@pytest.fixture
def fall_asleep(tmp_path, monkeypatch):
    """Let functions work on a database that stops to answer, and soon does again."""
    # It is stopped as if its machine failed, so what it commits must have left the process.
    options = (*FAST, "--innodb-flush-log-at-trx-commit=2")
    with mariadb_server(tmp_path, *options) as server:
        index = Index(server.new_database())
        waking = threading.Timer(SECONDS_ASLEEP, server.start)

        def fall(function) -> None:
            monkeypatch.setattr(function, "services", replace(function.services, index=index))
            server.stop()
            waking.start()

        yield index, fall
        waking.join()
        index.close()


def test_a_deployment_migrates_a_database_that_was_asleep(import_function, fall_asleep):
    maintenance = import_function("maintenance.handler")
    index, fall = fall_asleep
    fall(maintenance)

    assert maintenance.handler({"action": "migrate"}, Context()) == {"complete": True}
    assert index.retrieval.statistics().instances == 0


def test_what_is_dropped_while_the_database_sleeps_does_not_come_again(
    ingest, fall_asleep, storage, drop, tell
):
    index, fall = fall_asleep
    index.migrate()
    fall(ingest)

    assert tell(drop("incoming/early", samples.ct("early"))) == []
    assert found(ingest, "early") == 1
    assert keys(storage, "incoming/early") == []
