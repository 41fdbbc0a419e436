"""Connections to the database, and statements compiled once."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import URL
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.sql.elements import CompilerElement

from lenticular.index.sql.dialect import Dialect
from lenticular.limits import Limits


def dialect_of(url: URL) -> Dialect:
    """Return the dialect that a URL names."""
    # Imported here, so that a process loads only what its own database needs.
    if url.get_backend_name() == "sqlite":
        from lenticular.index.sql.sqlite import SQLite

        return SQLite(url)
    from lenticular.index.sql.mysql import MySQL

    return MySQL(url)


class Statement:
    """A statement compiled once, for the paths on which compiling or caching costs too much.

    Compiled when it is first run: a process that starts for one request runs few of them.
    """

    def __init__(self, database: "Database", statement: CompilerElement, **options: Any) -> None:
        self._dialect = database.dialect
        self._source = database.engine.dialect, statement, options

    @cached_property
    def _compiled(self) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """Its text, the names of its parameters by position, and those that have a value."""
        dialect, statement, options = self._source
        compiled: Any = statement.compile(dialect=dialect, **options)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), tuple(compiled.positiontup), fixed

    def run(self, cursor: DBAPICursor, parameters: Mapping[str, Any] = {}) -> DBAPICursor:
        """Execute the statement; return the cursor."""
        cursor.execute(self._compiled[0], self._bind(parameters))
        return cursor

    def run_many(self, cursor: DBAPICursor, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute the statement for each row, in as few round trips as the driver can."""
        cursor.executemany(self._compiled[0], [self._bind(row) for row in rows])

    def insert(self, cursor: DBAPICursor, row: Mapping[str, Any]) -> int:
        """Insert a row and return the row id that the database gives to it."""
        return self._dialect.inserted_row_id(self.run(cursor, row))

    def _bind(self, parameters: Mapping[str, Any]) -> tuple[Any, ...]:
        _, names, fixed = self._compiled
        return tuple([parameters[name] if name in parameters else fixed[name] for name in names])


class Database:
    """The database behind a URL."""

    def __init__(self, url: str, writer_seconds: float = Limits.writer_seconds) -> None:
        self.url = make_url(url)
        self.writer_seconds = writer_seconds
        self.dialect = dialect_of(self.url)
        self.engine = self.dialect.open_engine()

    def prepare(self, statement: CompilerElement, **options: Any) -> Statement:
        """Return the statement, compiled for this database."""
        return Statement(self, statement, **options)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Yield a connection for composed statements, within one snapshot of the data."""
        with (
            self._refusing(),
            self.engine.connect() as connection,
            self._dropping_lost(connection),
        ):
            yield connection

    @contextmanager
    def cursor(self) -> Iterator[DBAPICursor]:
        """Yield a cursor to read with compiled statements."""
        with self._refusing():
            connection = self.engine.raw_connection()
            try:
                with self._dropping_lost(connection):
                    yield connection.cursor()
            finally:
                connection.close()

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Connection]:
        """Yield a connection for writing: at its end all changes are durable, or none is made.

        If the database allows one writer only, it raises Unavailable when others write until the
        deadline.
        """
        if deadline is None:
            deadline = time.monotonic() + self.writer_seconds
        with (
            self.dialect.write_lock(deadline),
            self.engine.connect() as connection,
            self._dropping_lost(connection),
            connection.execution_options(writes=True).begin(),
        ):
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """Yield a connection for changing the schema, which no other process changes meanwhile."""
        with self._refusing(), self.dialect.change_schema(self.engine) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def _dropping_lost(self, connection: Connection | PoolProxiedConnection) -> Iterator[None]:
        """Remove a broken or half-read connection from the pool."""
        try:
            yield
        except BaseException as error:
            if self.dialect.is_lost(error) or not isinstance(error, Exception):
                connection.invalidate(error)
            raise

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Refuse what cannot be answered while the database is not there."""
        try:
            yield
        except Exception as error:
            refusal = self.dialect.refusal(error)
            if refusal is None:
                raise
            raise refusal from error


def raw_cursor(connection: Connection) -> DBAPICursor:
    """Return a cursor for compiled statements within the connection's transaction."""
    return connection.connection.cursor()
