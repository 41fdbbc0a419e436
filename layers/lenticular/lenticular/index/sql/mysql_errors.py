"""The error numbers of MySQL and MariaDB, and the failures that they mean."""

from lenticular.index.sql.dialect import DatabaseFailure

_NUMBERS: dict[DatabaseFailure, frozenset[int]] = {
    # Lock wait timeout, deadlock.
    DatabaseFailure.LOCKED: frozenset({1205, 1213}),
    # A duplicate key and the two sides of a foreign key, a row changed since it was read: another
    # writer created or removed the same row since we read it, so we read it again.
    DatabaseFailure.OVERTAKEN: frozenset({1062, 1451, 1452, 1020}),
    # Gone away, lost during a query, closed; killed (MariaDB 1927), idle for too long (4031), and
    # what a writer says that has become a reader by a fail-over: its connections are of no use
    # either.
    DatabaseFailure.LOST: frozenset(
        {0, 2006, 2013, 2014, 2055, 1053, 1077, 1152, 1184, 1290, 1836, 1927, 4031}
    ),
    # Cannot connect; too many connections already; Aurora waking up.
    DatabaseFailure.DOWN: frozenset({1040, 1203, 1226, 2002, 2003, 2005, 1129}),
    # Wrong user or password.
    DatabaseFailure.REFUSED: frozenset({1045, 1698}),
    # The schema was changed by a migration since this reader began.
    DatabaseFailure.MIGRATED: frozenset({1412}),
    DatabaseFailure.NO_SCHEMA: frozenset({1146}),
    DatabaseFailure.TOO_LONG: frozenset({1406}),
    # The disk is full, the table is.
    DatabaseFailure.FULL: frozenset({1021, 1114}),
}
_BY_NUMBER = {number: failure for failure, numbers in _NUMBERS.items() for number in numbers}

_NO_SPACE = frozenset({3, 1026, 1030})
"""Errors of the engine and of its files, which say only in their text that the disk is full."""


def failure_of(error: BaseException) -> DatabaseFailure | None:
    """Return the failure that an error of pymysql means; other errors have other numbers."""
    if not type(error).__module__.startswith("pymysql") or not error.args:
        return None
    number = error.args[0]
    if number in _NO_SPACE and "No space left" in str(error):
        return DatabaseFailure.FULL
    return _BY_NUMBER.get(number)
