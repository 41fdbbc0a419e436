"""SQLite: a file on this machine, which one connection writes while others read.

SQLite makes other writers poll; a lock on a file beside the database lets the processes of one
machine queue instead. Within a process `writer.py` merges what threads want to write, so the
queue is short.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from lenticular.index.sql.dialect import DatabaseFailure, Dialect
from lenticular.index.sql.file_lock import FileLock

# A commit returns when its data is on the disk; a reader sees the last commit and never waits.
# `busy_timeout` only matters to tools that know nothing of our lock.
_PRAGMAS = """
    PRAGMA busy_timeout=4000;
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=FULL;
    PRAGMA foreign_keys=ON;
    PRAGMA cache_size=-8192;
    PRAGMA mmap_size=268435456;
    PRAGMA wal_autocheckpoint=4000;
    PRAGMA temp_store=MEMORY;
"""
_POOL_SIZE = 50

SECONDS_TO_BE_ALONE = 600
"""Seconds for which a migration waits for its turn."""

_FULL = 13
"""SQLITE_FULL, a result code."""


class SQLite(Dialect):
    """The dialect of SQLite."""

    is_embedded = True
    keeps_join_order = True

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        self._lock = FileLock(Path(f"{url.database}.lock"))

    def open_engine(self) -> Engine:
        """Return an engine that begins its transactions itself."""
        engine = create_engine(
            self.url,
            pool_size=_POOL_SIZE,
            max_overflow=-1,
            paramstyle="qmark",
            connect_args={"check_same_thread": False},
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
        return engine

    def failure(self, error: BaseException) -> DatabaseFailure | None:
        """Return the failure by the code or the text of an error of `sqlite3`."""
        if getattr(error, "sqlite_errorcode", 0) == _FULL:
            return DatabaseFailure.FULL
        text = error.args[0] if error.args else None
        if not isinstance(text, str):
            return None
        if text.startswith("no such table"):
            return DatabaseFailure.NO_SCHEMA
        if "locked" not in text:
            return None
        is_locked = "database is locked" in text
        return DatabaseFailure.LOCKED if is_locked else DatabaseFailure.OVERTAKEN

    def make_folder(self) -> None:
        """Create the folder of the file."""
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def change_schema(self, engine: Engine) -> Iterator[Connection]:
        """Return a connection that writes, which only one does."""
        with (
            self._lock.hold(time.monotonic() + SECONDS_TO_BE_ALONE),
            engine.connect() as connection,
            connection.execution_options(writes=True).begin(),
        ):
            yield connection

    def write_lock(self, deadline: float) -> AbstractContextManager[None]:
        """Hold the lock of the only writer among the threads and processes of this machine."""
        return self._lock.hold(deadline)


def _prepare(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin where we say so, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS.strip().split(";"):
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that starts by reading could not go on to write once another has written.
    writes = connection.get_execution_options().get("writes")
    connection.connection.cursor().execute("BEGIN IMMEDIATE" if writes else "BEGIN")
