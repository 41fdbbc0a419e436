"""An index whose server or whose other writer hangs: everybody is answered, and soon served."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest
from sqlalchemy import event, select

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


@pytest.mark.slow
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


class StopAfter:
    """Stops a writer, as if its machine were frozen, once it has run so many statements."""

    def __init__(self, index: Index, statements: int) -> None:
        self._last, self.statements = statements, 0
        self.is_stopped, self._may_go_on = threading.Event(), threading.Event()
        event.listen(index.database.engine, "connect", self._watch)

    def go_on(self) -> None:
        self._may_go_on.set()

    def _watch(self, connection, _) -> None:
        query = connection.query

        def count(*arguments, **named):
            result = query(*arguments, **named)
            self.statements += 1
            if self.statements == self._last:
                self.is_stopped.set()
                self._may_go_on.wait(60)
            return result

        connection.query = count


WRITES = {
    "store": lambda index: index.writer.add([new(instance=2)]),
    "store another study": lambda index: index.writer.add([new("t")]),
    "delete": lambda index: index.writer.remove(target("s", 1, 3)),
}


@pytest.fixture
def databases(mariadb):
    """Databases with one study of two instances, made as they are asked for."""

    def make() -> str:
        url = mariadb.new_database()
        opened = Index(url)
        opened.migrate()
        opened.writer.add([new(), new(instance=3)])
        opened.close()
        return url

    return make


def statements_of(url: str, write) -> int:
    """Return how many statements a writer runs for this."""
    opened = Index(url)
    count = StopAfter(opened, 0)
    write(opened)
    opened.close()
    return count.statements


def seconds_beside_a_stopped_writer(url: str, write, statements: int) -> float:
    """Return how long others wait for a writer that is stopped after so many statements."""
    hung, others = Index(url), Index(url)
    stop = StopAfter(hung, statements)

    def write_until_ended() -> None:
        with suppress(Unavailable):  # a delete is not done again
            write(hung)

    writer = threading.Thread(target=write_until_ended)
    writer.start()
    try:
        assert stop.is_stopped.wait(30)
        started = time.monotonic()
        others.writer.add([new(instance=4)])
        others.writer.add([new("u")])
        others.writer.remove(target("s", 1, 1))
        return time.monotonic() - started
    finally:
        stop.go_on()
        writer.join()
        hung.close()
        others.close()


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_others_write_soon_beside_a_writer_stopped_in_any_of_its_statements(databases, write):
    numbers = range(1, statements_of(databases(), write) + 1)
    urls = [databases() for _ in numbers]
    with ThreadPoolExecutor(len(urls)) as threads:
        waited = list(
            threads.map(seconds_beside_a_stopped_writer, urls, [write] * len(urls), numbers)
        )
    print(f"{len(waited)} statements, others waited {max(waited):.1f} s at most")

    assert len(waited) > 5
    assert max(waited) < mysql.SECONDS_IDLE_IN_WRITER + 5, waited


@pytest.fixture
def sent(mariadb_url):
    """Return an index and the statements that it sends."""
    index, statements = Index(mariadb_url), []

    def watch(connection, _) -> None:
        query = connection.query

        def note(statement, *arguments, **named):
            text = statement if isinstance(statement, str) else bytes(statement).decode()
            statements.append(text)
            return query(statement, *arguments, **named)

        connection.query = note

    event.listen(index.database.engine, "connect", watch)
    yield index, statements
    index.close()


def test_no_connection_has_variables_that_rds_proxy_would_pin(sent, mariadb):
    """It keeps some variables by itself, and pins a connection that sets any other."""
    index, statements = sent
    kept = ("SET SESSION TRANSACTION ISOLATION LEVEL", "SET SESSION wait_timeout")
    mariadb.execute(f"SET GLOBAL innodb_lock_wait_timeout = {mysql.SECONDS_FOR_LOCK}")

    index.retrieval.statistics()
    assert not [each for each in statements if each.startswith("SET SESSION")]
    index.writer.add([new()])
    index.writer.remove(target())
    mariadb.execute("SET GLOBAL innodb_lock_wait_timeout = 50")

    variables = [each for each in statements if each.startswith("SET SESSION")]
    assert len(variables) == 2
    assert all(each.startswith(kept) for each in variables)


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


@pytest.mark.slow
def test_a_lock_that_nobody_frees_is_reported_in_time(index, mariadb, mariadb_url):
    index.writer.add([new()])
    name = mariadb_url.rpartition("/")[2]
    with mariadb.connect() as somebody, somebody.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name}.alembic_version FOR UPDATE")
        started = time.monotonic()

        with pytest.raises(Unavailable) as refused:
            index.writer.add([new(instance=2)])

        assert time.monotonic() - started < LONGEST_ANSWER
        assert refused.value.retry_after > 0
        somebody.rollback()
    assert index.writer.add([new(instance=2)])[0].outcome is Outcome.STORED


@pytest.fixture
def own_server(tmp_path):
    with mariadb_server(tmp_path) as server:
        yield server
        server.process.send_signal(signal.SIGCONT)


@pytest.mark.slow
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


SECONDS_TO_RESUME = 15


@contextmanager
def resuming(port: int) -> Iterator[int]:
    """A way to a database, which like Aurora's lets the first client wait until it has resumed."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:

        def serve() -> None:
            client = opened.enter_context(listening.accept()[0])
            time.sleep(SECONDS_TO_RESUME)
            server = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
            threading.Thread(target=pump, args=(client, server), daemon=True).start()
            pump(server, client)

        def pump(source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    target.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.mark.slow
def test_who_comes_while_the_database_resumes_is_answered(mariadb, mariadb_url):
    with resuming(mariadb.port) as port:
        index = Index(mariadb_url.replace(f":{mariadb.port}/", f":{port}/"))
        started = time.monotonic()

        assert index.retrieval.statistics().instances == 0

        assert SECONDS_TO_RESUME < time.monotonic() - started < LONGEST_ANSWER
        index.close()
