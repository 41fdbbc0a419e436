"""The port to a database: all that differs from one to the next, one subclass each.

The rest of the index is written once, with SQLAlchemy; where databases need other statements it
asks the dialect what the database can do and never which one it is.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from enum import Enum, auto
from typing import Any, ClassVar

from sqlalchemy import URL, ColumnElement, Engine, FromClause, Select, UnaryExpression, func
from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql.operators import custom_op

from lenticular.errors import LenticularError, StorageFull, Unavailable


class DatabaseFailure(Enum):
    """The failures of a database that a client may hear of, or that pass by themselves."""

    LOCKED = auto()
    """Another transaction holds the lock."""
    OVERTAKEN = auto()
    """Another transaction created, changed or removed the same row."""
    LOST = auto()
    """The connection is of no more use; what was not committed is lost."""
    DOWN = auto()
    """The server takes no connections now."""
    REFUSED = auto()
    """Wrong user or password."""
    MIGRATED = auto()
    """A migration changed the schema since this reader began."""
    NO_SCHEMA = auto()
    """A table is missing: no migration has run yet."""
    TOO_LONG = auto()
    """A value is longer than its column."""
    FULL = auto()
    """The disk or the table has no room."""


class Dialect(ABC):
    """One database behind a URL: how to connect to it, lock it and search it."""

    is_embedded: ClassVar[bool]
    """True if statements run in this process and cost no round trip, all on one machine."""

    keeps_join_order: ClassVar[bool]
    """True if joined rows come in the order of their indexes, with nothing to sort."""

    def __init__(self, url: URL) -> None:
        self.url = url

    @abstractmethod
    def open_engine(self) -> Engine:
        """Return an engine whose statements take parameters by position."""

    @abstractmethod
    def failure(self, error: BaseException) -> DatabaseFailure | None:
        """Return the failure that an error of the driver means; None for other errors."""

    @abstractmethod
    def change_schema(self, engine: Engine) -> AbstractContextManager[Connection]:
        """Return a connection for changing the schema, which no other process changes meanwhile."""

    def make_folder(self) -> None:  # noqa: B027 -- most databases are no files
        """Make the folder of a database that is a file."""

    def write_lock(self, deadline: float) -> AbstractContextManager[None]:
        """Hold the lock of the only writer, if one is needed; raise Unavailable at the deadline."""
        return nullcontext()

    def inserted_row_id(self, cursor: DBAPICursor) -> int:
        """Return the row id that the database gave to the row inserted last."""
        return int(cursor.lastrowid)

    def position(self, column: ColumnElement[Any], part: ColumnElement[Any]) -> ColumnElement[int]:
        """Return the position of a part in a column, from 1; 0 if it is not there."""
        return func.instr(column, part)

    def no_reorder(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return `+column`: the same value, by which the planner does not reorder joins."""
        return UnaryExpression(column, operator=custom_op("+"))

    def force_index(self, query: Select[Any], table: FromClause, index: str) -> Select[Any]:
        """Make a query read a table by this index, where the planner would choose another."""
        return query

    def force_join_order(self, query: Select[Any]) -> Select[Any]:
        """Make a query join its tables in the order in which they are written."""
        return query

    def is_contention(self, error: BaseException) -> bool:
        """Return True if the same transaction, run again, may succeed."""
        failure = self.failure(driver_error(error))
        return failure in (DatabaseFailure.LOCKED, DatabaseFailure.OVERTAKEN)

    def is_too_long(self, error: BaseException) -> bool:
        """Return True if a value is longer than its column."""
        return self.failure(driver_error(error)) is DatabaseFailure.TOO_LONG

    def is_lost(self, error: BaseException) -> bool:
        """Return True if the connection is lost; what was not committed is lost, too."""
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            return True
        return self.failure(driver_error(error)) is DatabaseFailure.LOST

    def refusal(self, error: BaseException) -> LenticularError | None:
        """Return the refusal for a database that is away, busy or full; None for other errors."""
        if isinstance(error, PoolTimeout):
            return Unavailable("All connections to the index are in use; try again in a moment.")
        if self.is_lost(error):
            return _refusal_of(DatabaseFailure.LOST)
        return _refusal_of(self.failure(driver_error(error)))


def driver_error(error: BaseException) -> BaseException:
    """Return the error of the driver, which SQLAlchemy wraps where it runs the statement."""
    original = error.orig if isinstance(error, DBAPIError) else None
    return original if original is not None else error


def _refusal_of(failure: DatabaseFailure | None) -> LenticularError | None:
    match failure:
        case DatabaseFailure.LOST | DatabaseFailure.DOWN:
            return Unavailable("The index does not answer now; try again in a moment.")
        case DatabaseFailure.LOCKED:
            return Unavailable("Another writer is busy with the same study; try again in a moment.")
        case DatabaseFailure.MIGRATED:
            return Unavailable("The index is being brought up to date; try again in a moment.", 1)
        case DatabaseFailure.NO_SCHEMA:
            return Unavailable("The index has no schema yet; run `lenticular migrate`.")
        case DatabaseFailure.FULL:
            return StorageFull("The index is full: its disk has no room.")
    return None
