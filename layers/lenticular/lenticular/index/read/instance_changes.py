"""The change feed of instances as others have it: created, updated, deleted, and what is left.

It is read from the same rows as Orthanc's (`changes.py`). Rows written by the previous release lack
the UIDs, which are taken from the instance or from another row about it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, case, false, func, or_, select
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level, Target
from lenticular.errors import Unavailable
from lenticular.index import migrations
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import changes, instances, series, studies
from lenticular.index.write.changes import Action, now
from lenticular.index.write.statements import ORDER_COMMITS

SKEW = 3_600_000
"""Milliseconds by which clocks may differ, very generously: a search by time only starts there."""

SETTLED_AFTER = 60_000
"""Milliseconds after which no running transaction can commit a change with an earlier time."""

REMEMBERED = 10_000
"""Newest changes that are searched for a deleted instance; their UIDs have no index."""

_KINDS = {"NewInstance": Action.CREATE, "Deleted": Action.DELETE}


class InstanceState(StrEnum):
    """The state of the instance of a change."""

    CURRENT = "current"
    REPLACED = "replaced"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class InstanceChange:
    """One entry; `created` in milliseconds since 1970."""

    sequence: int
    target: Target
    action: Action
    state: InstanceState
    created: int


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """A span of time: from `start` on, until before `end`, in milliseconds since 1970."""

    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """The current instance of an Orthanc id, and the change that stored it."""

    target: Target | None
    is_stored: bool
    newest: int | None

    def state(self, sequence: int) -> InstanceState:
        if not self.is_stored:
            return InstanceState.DELETED
        return InstanceState.CURRENT if self.newest in (sequence, None) else InstanceState.REPLACED


class InstanceChangeReader:
    """Reads the feed of instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, offset: int, limit: int, window: TimeWindow) -> list[InstanceChange]:
        """Return up to `limit` changes of the window, oldest first, skipping `offset`."""
        with self._connect(window) as connection:
            _check(connection)
            wanted = _within(connection, _told(), window).order_by(changes.c.sequence)
            return _entries(connection, connection.execute(wanted.limit(limit).offset(offset)))

    def latest(self) -> InstanceChange | None:
        """Return the newest change; None if there is none."""
        with self._database.connect() as connection:
            _check(connection)
            newest = _told().order_by(changes.c.sequence.desc()).limit(1)
            return next(iter(_entries(connection, connection.execute(newest))), None)

    def has_deleted(self, target: Target, remembered: int = REMEMBERED) -> bool:
        """Return True if one of the newest changes deleted an instance of the target."""
        named = (
            (changes.c.study_instance_uid, target.study_instance_uid),
            (changes.c.series_instance_uid, target.series_instance_uid),
            (changes.c.sop_instance_uid, target.sop_instance_uid),
        )
        newest = select(func.max(changes.c.sequence)).scalar_subquery()
        deleted = select(changes.c.sequence).where(
            changes.c.sequence > newest - remembered,
            changes.c.action == Action.DELETE,
            *(column == uid for column, uid in named if uid is not None),
        )
        with self._database.connect() as connection:
            if not migrations.has(connection, migrations.INSTANCE_FEED):
                return False
            return connection.execute(deleted.limit(1)).first() is not None

    def _connect(self, window: TimeWindow) -> Any:
        """Return a connection; if the window ended just now, wait for commits in flight first.

        Otherwise a change of that time could be committed when it has been read already, and
        would be missing for ever.
        """
        if window.end is not None and window.end > now() - SETTLED_AFTER:
            return self._database.transaction()
        return self._database.connect()


def _check(connection: Connection) -> None:
    # Waits for who writes, where the connection is one to write with.
    waits = connection.get_execution_options().get("writes")
    if waits:
        connection.execute(ORDER_COMMITS).all()
    if not migrations.has(connection, migrations.INSTANCE_FEED):
        raise Unavailable("The index waits for its migration; run `lenticular migrate`.")


def _told() -> Select[Any]:
    return select(changes).where(
        changes.c.level == Level.INSTANCE.value,
        changes.c.kind.in_(_KINDS),
        or_(changes.c.action.is_(None), changes.c.action != Action.NONE.value),
        # Deleted before anybody noted what it was.
        or_(changes.c.sop_instance_uid.is_(None), changes.c.sop_instance_uid != ""),
    )


def _within(connection: Connection, wanted: Select[Any], window: TimeWindow) -> Select[Any]:
    """Return the query limited to the window, and to the sequence numbers that can be in it."""
    created, sequence = changes.c.created, changes.c.sequence
    if window.start is not None:
        wanted = wanted.where(created >= window.start)
        first = _first_since(connection, window.start - SKEW)
        wanted = wanted.where(sequence >= first if first is not None else false())
    if window.end is not None:
        wanted = wanted.where(created < window.end)
        after = _first_since(connection, window.end + SKEW)
        wanted = wanted.where(sequence < after) if after is not None else wanted
    return wanted


def _first_since(connection: Connection, earliest: int) -> int | None:
    first = select(changes.c.sequence).where(changes.c.created >= earliest)
    found = connection.scalar(first.order_by(changes.c.created, changes.c.sequence).limit(1))
    return int(found) if found is not None else None


def _entries(connection: Connection, rows: Iterable[Any]) -> list[InstanceChange]:
    found = list(rows)
    known = _known(connection, {row.orthanc_id for row in found})
    entries = []
    for row in found:
        about = known[row.orthanc_id]
        target = _target(row) or about.target
        if target is not None:
            action = Action(row.action) if row.action else _KINDS[row.kind]
            state = about.state(row.sequence)
            entries.append(InstanceChange(row.sequence, target, action, state, row.created))
    return entries


def _known(connection: Connection, orthanc_ids: Iterable[bytes]) -> dict[bytes, _Known]:
    wanted = list(orthanc_ids)
    stored = {row.orthanc_id: _target(row) for row in connection.execute(_stored(wanted))}
    newest = {row.orthanc_id: row for row in connection.execute(_newest(wanted))}
    return {
        each: _Known(
            stored.get(each) or _target(newest[each]), each in stored, _number(newest[each].newest)
        )
        for each in wanted
    }


def _stored(orthanc_ids: Sequence[bytes]) -> Select[Any]:
    """Select those of these instances that are stored."""
    uids = (
        studies.c.study_instance_uid,
        series.c.series_instance_uid,
        instances.c.sop_instance_uid,
    )
    tables = instances.join(series).join(studies)
    found = select(instances.c.orthanc_id, *uids).select_from(tables)
    return found.where(instances.c.orthanc_id.in_(orthanc_ids))


def _newest(orthanc_ids: Sequence[bytes]) -> Select[Any]:
    """Return a query for the last storing change of each instance, and for its UIDs."""
    uids = (changes.c.study_instance_uid, changes.c.series_instance_uid, changes.c.sop_instance_uid)
    arrived = func.max(case((changes.c.kind == "NewInstance", changes.c.sequence)))
    return (
        select(
            changes.c.orthanc_id,
            arrived.label("newest"),
            *(func.max(uid).label(uid.name) for uid in uids),
        )
        .where(changes.c.orthanc_id.in_(orthanc_ids))
        .group_by(changes.c.orthanc_id)
    )


def _target(row: Any) -> Target | None:
    if not row.sop_instance_uid:
        return None
    return Target(row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)


def _number(value: Any) -> int | None:
    return int(value) if value is not None else None
