"""Errors of database drivers: which pass by themselves, and what they become.

MySQL and MariaDB number their errors; the driver raises them as they are where statements run on
a cursor, SQLAlchemy wraps them elsewhere.
"""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from lenticular.errors import LenticularError, StorageFull, Unavailable

# Lock wait timeout, deadlock. Then a duplicate key and the two sides of a foreign key: somebody
# else created or removed the same row since we looked, so looking again tells us.
_CONTENTION = frozenset({1205, 1213, 1062, 1451, 1452, 1020})

_LOCKED = frozenset({1205, 1213})

# Gone away, lost during a query, closed; killed (MariaDB 1927), idle for too long (4031), and
# what a writer says that has become a reader by a fail-over: its connections are of no use either.
_LOST = frozenset({0, 2006, 2013, 2014, 2055, 1053, 1077, 1152, 1184, 1290, 1836, 1927, 4031})

# Cannot connect; too many connections already; Aurora waking up.
_DOWN = frozenset({1040, 1203, 1226, 2002, 2003, 2005, 1129})

# Wrong user or password.
_REFUSED = frozenset({1045, 1698})

# The schema was changed by a migration since this reader began.
_MIGRATED = 1412

# The disk is full, the table is; then those that say so only in their text: engine, file.
_FULL = frozenset({1021, 1114})
_NO_SPACE = frozenset({3, 1026, 1030})
_SQLITE_FULL = 13


def is_contention(error: BaseException) -> bool:
    """Return True if the same transaction, run again, may succeed."""
    reason = _reason(error)
    return reason in _CONTENTION or (isinstance(reason, str) and "locked" in reason)


def is_lost(error: BaseException) -> bool:
    """Return True if the connection is lost; what was not committed is lost, too."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return _is_numbered(error) and _reason(error) in _LOST


def is_refused(error: BaseException) -> bool:
    """Return True if the database refuses these credentials."""
    return _is_numbered(error) and _reason(error) in _REFUSED


def refusal(error: BaseException) -> LenticularError | None:
    """The refusal that tells of a database that is not there now, or full; None for the rest."""
    if isinstance(error, PoolTimeout):
        return Unavailable("All connections to the index are in use; try again in a moment.")
    if is_lost(error) or (_is_numbered(error) and _reason(error) in _DOWN):
        return Unavailable("The index does not answer now; try again in a moment.")
    if _is_busy(error):
        return Unavailable("Another writer is busy with the same study; try again in a moment.")
    if _is_numbered(error) and _reason(error) == _MIGRATED:
        return Unavailable("The index is being brought up to date; try again in a moment.", 1)
    if _is_full(error):
        return StorageFull("The index is full: its disk has no room.")
    return None


def _is_busy(error: BaseException) -> bool:
    reason = _reason(error)
    return reason in _LOCKED or (isinstance(reason, str) and "database is locked" in reason)


def _is_full(error: BaseException) -> bool:
    original = error.orig if isinstance(error, DBAPIError) else error
    if getattr(original, "sqlite_errorcode", 0) == _SQLITE_FULL:
        return True
    reason = _reason(error)
    no_space = reason in _NO_SPACE and "No space left" in str(original)
    return _is_numbered(error) and (reason in _FULL or no_space)


def _reason(error: BaseException) -> object:
    original = error.orig if isinstance(error, DBAPIError) else error
    return original.args[0] if original is not None and original.args else None


def _is_numbered(error: BaseException) -> bool:
    """Return True if the error has a number of the driver; an OSError has other numbers."""
    original = error.orig if isinstance(error, DBAPIError) else error
    return type(original).__module__.startswith("pymysql")
