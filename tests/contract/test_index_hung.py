"""An index whose server or whose other writer hangs: everybody is answered, and soon served."""

import os
import signal
import threading
import time
from contextlib import suppress

import pytest
from sqlalchemy import select

from lenticular.errors import Unavailable
from lenticular.index import Index
from lenticular.index.records import Outcome
from lenticular.index.sql import mysql
from lenticular.index.sql.schema import series, studies
from lenticular.index.write.statements import ORDER_COMMITS
from tests.helpers.databases import mariadb_server
from tests.helpers.indexes import new, target

LONGEST_ANSWER = 25


@pytest.fixture
def index(mariadb_url):
    opened = Index(mariadb_url)
    yield opened
    opened.close()


LOCKS = {
    "the commits": ORDER_COMMITS,
    "the study": select(studies.c.row_id).with_for_update(),
    "the series": select(studies.c.row_id, series.c.row_id).join(series).with_for_update(),
}


@pytest.mark.parametrize("lock", LOCKS.values(), ids=LOCKS)
def test_a_writer_that_hangs_in_a_transaction_is_ended(index, mariadb_url, lock):
    index.writer.add([new()])
    hung = Index(mariadb_url)
    with suppress(Exception), hung.database.transaction() as connection:
        connection.execute(lock).all()
        started = time.monotonic()

        (added,) = index.writer.add([new(instance=2)])
        index.writer.remove(target("s", 1, 1))
        took = time.monotonic() - started

    assert added.outcome is Outcome.STORED
    assert took < mysql.SECONDS_IDLE_IN_WRITER + 5
    hung.close()


def test_a_store_that_waits_for_a_lock_does_not_hold_up_others(index, mariadb_url):
    index.writer.add([new()])
    other = Index(mariadb_url)
    with other.database.transaction() as connection:
        connection.execute(select(studies.c.row_id).with_for_update()).all()
        waiting = threading.Thread(target=lambda: index.writer.add([new(instance=2)]))
        waiting.start()
        time.sleep(0.2)
        started = time.monotonic()

        index.writer.add([new("t")])

        assert time.monotonic() - started < 3 * mysql.SECONDS_FOR_LOCK
        assert len(index.retrieval.find(target())) == 1
    waiting.join()
    assert len(index.retrieval.find(target())) == 2
    other.close()


@pytest.fixture
def own_server(tmp_path):
    with mariadb_server(tmp_path) as server:
        yield server
        server.process.send_signal(signal.SIGCONT)


def test_a_server_that_hangs_is_reported_in_time(own_server):
    index = Index(own_server.new_database())
    index.migrate()
    index.writer.add([new()])
    index.retrieval.find(target())
    time.sleep(1.1)
    own_server.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, own_server.process.pid, os.WSTOPPED | os.WNOWAIT)

    for name, ask in {
        "ping": index.ping,
        "find": lambda: index.retrieval.find(target()),
        "add": lambda: index.writer.add([new(instance=2)]),
        "remove": lambda: index.writer.remove(target()),
    }.items():
        started = time.monotonic()
        with pytest.raises(Unavailable):
            print(name, ask())
        assert time.monotonic() - started < LONGEST_ANSWER, name

    own_server.process.send_signal(signal.SIGCONT)
    assert len(index.retrieval.find(target())) == 1
    assert index.writer.add([new(instance=2)])[0].outcome is Outcome.STORED
    index.close()
