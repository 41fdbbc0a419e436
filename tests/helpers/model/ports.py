"""The ports of a process: its calls are points, and the times of files are the machine's own."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pymysql

from lenticular.index import Index
from lenticular.services import Services
from tests.helpers.model.process import Cause, Process, storage_error

_CALLS = ("put", "read", "stream", "delete", "find", "fetch", "copy", "discard")
_CALLS += ("begin_parts", "parts", "complete_parts", "write")
_WRITES = {"put": 0, "copy": 1, "complete_parts": 0}
"""Where in the arguments of what writes an object its key is."""

START = 1_700_000_000.0
SECONDS_APART = 1000.0


class Clock:
    """When each object was written: in the order in which that happened, far apart."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Begin from the start."""
        self._ticks = count(1)
        self._times: dict[str, float] = {}

    def wrote(self, key: str) -> None:
        """An object is written now."""
        self._times[key] = self.tick()

    def tick(self) -> float:
        """The time goes on; what it is now."""
        return START + SECONDS_APART * next(self._ticks)

    def time(self, key: str) -> float:
        """When the object was written."""
        return self._times.get(key, START)


def database_of(index: Index) -> Any:
    """The database of an index."""
    return getattr(index, "database", None) or index._database


def watch_ports(services: Services, process: Process, clock: Clock) -> None:
    """Make the calls of these services points of the process."""
    storage: Any = services.storage
    base = type(storage)
    methods: dict[str, Any] = {
        name: _call(getattr(base, name), name, process, clock)
        for name in _CALLS
        if hasattr(base, name)
    }
    methods["keys"] = _keys(base.keys, process, clock)
    storage.__class__ = type(base.__name__, (base,), methods)
    _watch_database(database_of(services.index), process)


def _call(method: Callable[..., Any], name: str, process: Process, clock: Clock) -> Any:
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        with process.here():
            at = process.before(name, storage_error)
            if name == "put" and process.dies_within(at):
                _put_half(self, *arguments)
                clock.wrote(arguments[0])
                process.die()
            try:
                result = method(self, *arguments, **options)
            finally:
                if name in _WRITES:
                    clock.wrote(arguments[_WRITES[name]])
            if name != "stream":  # which has no effect, and a file that is open by now
                process.after(at, storage_error)
            return result

    return call


def _put_half(storage: Any, key: str, body: Any) -> None:
    """Leave what a death in the middle leaves in a folder; a bucket keeps all or nothing."""
    if root := getattr(storage, "root", None):
        path = Path(root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.view()[: body.size // 2])


def _keys(method: Callable[..., Any], process: Process, clock: Clock) -> Any:
    def keys(self: Any, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        listing = method(self, prefix)
        while True:
            process.before("keys", storage_error)
            found = next(listing, None)
            if found is None:
                return
            yield found[0], found[1], clock.time(found[0])

    return keys


def _watch_database(database: Any, process: Process) -> None:
    error = sqlite_error if database.url.get_backend_name() == "sqlite" else mariadb_error
    transaction, connect, cursor = database.transaction, database.connect, database.cursor
    dialect = database.engine.dialect
    commit = dialect.do_commit

    def unreachable(cause: Cause) -> Exception | None:
        """The error of a connection that cannot be made; one is made while the disk is full."""
        return None if cause is Cause.FULL else connection_error(error)

    def refusal(cause: Cause) -> Exception | None:
        """The error with which the index refuses to read then."""
        raised = unreachable(cause)
        return raised and (database.dialect.refusal(raised) or raised)

    @contextmanager
    def watched_transaction(*arguments: Any, **options: Any) -> Iterator[Any]:
        process.before("begin", unreachable)
        with process.lock(), transaction(*arguments, **options) as connection:
            yield connection

    @contextmanager
    def watched_connect(*arguments: Any, **options: Any) -> Iterator[Any]:
        process.before("connect", refusal)
        with connect(*arguments, **options) as connection:
            yield connection

    @contextmanager
    def watched_cursor(*arguments: Any, **options: Any) -> Iterator[Any]:
        process.before("cursor", refusal)
        with cursor(*arguments, **options) as opened:
            yield opened

    def watched_commit(connection: Any) -> None:
        at = process.before("commit", error)
        commit(connection)
        process.after(at, _lost if error is mariadb_error else _no_error)

    database.transaction, database.connect = watched_transaction, watched_connect
    database.cursor = watched_cursor
    dialect.do_commit = watched_commit


def _no_error(cause: Cause) -> None:
    """No error is possible here."""


def _lost(cause: Cause) -> Exception:
    """A commit happened, and its answer was lost."""
    return mariadb_error(Cause.GONE)


def connection_error(error: Callable[[Cause], Exception]) -> Exception:
    """The error of a database that is down, or of SQLite whose lock another program holds."""
    if error is mariadb_error:
        return pymysql.err.OperationalError(2003, "Can't connect to MySQL server")
    return sqlite_error(Cause.BUSY)


def mariadb_error(cause: Cause) -> Exception:
    """An error as the driver of MariaDB raises it."""
    numbers = {
        Cause.FULL: (1114, "The table is full"),
        Cause.GONE: (2013, "Lost connection to server during query"),
        Cause.BUSY: (1213, "Deadlock found when trying to get lock"),
    }
    return pymysql.err.OperationalError(*numbers[cause])


def sqlite_error(cause: Cause) -> Exception:
    """An error as SQLite raises it; it is never gone, only locked or full."""
    if cause is not Cause.FULL:
        return sqlite3.OperationalError("database is locked")
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error
