"""Connections to the database, statements compiled once, and one writer at a time.

SQLite lets one connection write and makes the others poll; a lock on a file beside the database
lets the processes of one machine queue instead. Within a process `writer.py` merges what threads
want to write, so the queue is short.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.sql.elements import CompilerElement

from lenticular.index.sql import errors, mysql

# A commit returns when its data is on the disk; a reader sees the last commit and never waits.
# `busy_timeout` only matters to tools that know nothing of our lock.
_SQLITE_PRAGMAS = """
    PRAGMA busy_timeout=10000;
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=FULL;
    PRAGMA foreign_keys=ON;
    PRAGMA cache_size=-8192;
    PRAGMA mmap_size=268435456;
    PRAGMA wal_autocheckpoint=4000;
    PRAGMA temp_store=MEMORY;
"""
_POOL_SIZE = 50

SQLITE_PATIENCE = 120.0
"""Seconds for which a thread waits for its turn to write."""


class Statement:
    """A statement compiled once, for the paths on which compiling or caching costs too much.

    Compiled when it is first run: a process that starts for one request runs few of them.
    """

    def __init__(self, engine: Engine, statement: CompilerElement, **options: Any) -> None:
        self._source = engine.dialect, statement, options

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """Its text, the names of its parameters by position, and those that have a value."""
        dialect, statement, options = self._source
        compiled: Any = statement.compile(dialect=dialect, **options)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), tuple(compiled.positiontup), fixed

    def run(self, cursor: DBAPICursor, parameters: Mapping[str, Any] = {}) -> DBAPICursor:
        """Execute it."""
        cursor.execute(self._compiled[0], self._bind(parameters))
        return cursor

    def run_many(self, cursor: DBAPICursor, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute it for each row, in as few round trips as the driver can."""
        cursor.executemany(self._compiled[0], [self._bind(row) for row in rows])

    def _bind(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        _, names, fixed = self._compiled
        return tuple([parameters[name] if name in parameters else fixed[name] for name in names])


class Database:
    """The database behind a URL."""

    def __init__(self, url: str) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.patience = SQLITE_PATIENCE if self.is_sqlite else mysql.PATIENCE
        self._writing = Lock()
        self.engine = _open_sqlite(self.url) if self.is_sqlite else mysql.open_engine(self.url)

    def make_room(self) -> None:
        """Make the folder that an embedded database lies in."""
        if self.is_sqlite and self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)

    def prepare(self, statement: CompilerElement, **options: Any) -> Statement:
        """Compile a statement for this database."""
        return Statement(self.engine, statement, **options)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """A connection for composed statements, within one snapshot of the data."""
        with _refusing(), self.engine.connect() as connection, _dropping_lost(connection):
            yield connection

    @contextmanager
    def cursor(self) -> Iterator[DBAPICursor]:
        """A cursor to read with compiled statements."""
        with _refusing():
            connection = self.engine.raw_connection()
            try:
                with _dropping_lost(connection):
                    yield connection.cursor()
            finally:
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection to write with: all of it is durable when this ends, or nothing happened."""
        with (
            self._lock(),
            self.engine.connect() as connection,
            _dropping_lost(connection),
            connection.execution_options(writes=True).begin(),
        ):
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection to change the schema with, while nobody else does."""
        if self.is_sqlite:
            with self.transaction() as connection:
                yield connection
            return
        with _refusing(), self.engine.connect() as connection, mysql.named_lock(connection):
            yield connection
            connection.commit()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Be the only one who writes, on SQLite: first among threads, then among processes."""
        if not self.is_sqlite:
            yield
            return
        with self._writing:
            # Opened each time, so that a forked process never shares it with its parent.
            lock = os.open(
                f"{self.url.database}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)


def _open_sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=-1,
        paramstyle="qmark",  # by position, for Statement
        connect_args={"check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def _dropping_lost(connection: Connection | PoolProxiedConnection) -> Iterator[None]:
    """See that nobody gets a connection that is of no more use, or that was left in mid-answer."""
    try:
        yield
    except BaseException as error:
        if errors.is_lost(error) or not isinstance(error, Exception):
            connection.invalidate(error)
        raise


@contextmanager
def _refusing() -> Iterator[None]:
    """Refuse what cannot be answered while the database is not there."""
    try:
        yield
    except Exception as error:
        refusal = errors.refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    # Transactions begin where we say so, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS.strip().split(";"):
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that starts by reading could not go on to write once another has written.
    writes = connection.get_execution_options().get("writes")
    raw_cursor(connection).execute("BEGIN IMMEDIATE" if writes else "BEGIN")


def raw_cursor(connection: Connection) -> DBAPICursor:
    """A cursor for compiled statements within the connection's transaction."""
    return connection.connection.cursor()
