"""Backfill of query tags for instances stored before, a few studies at a time.

A tag is Adding while its values are read from the documents of stored instances, then Ready; when
it is no longer configured it is Deleting until its values are removed. Writers add the values of
new instances, except processes that still have the previous configuration or a release without
query tags. So studies that changed meanwhile are scanned again when those processes have ended, and
after each start the studies that changed since all writers were last known to have the tag.

Every step is one transaction that locks the study first, as all writers do, and can be repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level
from lenticular.dicom.query_tags import QueryTag, QueryTags
from lenticular.index import migrations
from lenticular.index.query_tags.backfill import Backfill
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import TAG_VALUES, query_tags, studies
from lenticular.index.write import changes
from lenticular.index.write.writer import Writer
from lenticular.limits import Limits

VALUES_AT_ONCE = 2000

CLOCKS_APART = 60_000
"""The most milliseconds by which the clocks of servers and functions may differ."""


class Status(StrEnum):
    """The status of a query tag, in Azure's words."""

    ADDING = "Adding"
    READY = "Ready"
    DELETING = "Deleting"


IDLE = -1
"""Value of `since` when nothing is to be read."""


@dataclass(frozen=True, slots=True)
class RegisteredTag:
    """A tag as the index knows it.

    `known`: the time from which every writer writes this tag's values. `started`: the last start
    of a process with this configuration. The first scan reads everything at once; a later one
    waits Limits.backfill_grace after `started`, until older processes have ended.
    """

    tag_id: int
    path: str
    vr: str
    creator: str
    level: Level
    status: Status
    known: int
    started: int
    since: int
    done: int
    within: int

    @property
    def is_wanted(self) -> bool:
        """True if the tag is configured, ready or not."""
        return self.status is not Status.DELETING

    @property
    def position_again(self) -> dict[str, int]:
        """Return the position of the next scan: what changed since all writers knew the tag."""
        if self.since == 0:
            return {}
        since = self.since if self.since > 0 else max(self.known - CLOCKS_APART, 1)
        return {"since": since, "done": 0, "within": 0}

    @property
    def position(self) -> tuple[int, int, int]:
        """Tags at one position go on together."""
        return self.since, self.done, self.within


class QueryTagRegistry:
    """Registers the configured tags, and fills in their values step by step."""

    def __init__(self, database: Database, writer: Writer, tags: QueryTags, limits: Limits) -> None:
        self._database = database
        self._writer = writer
        self._tags = tags
        self._limits = limits

    def registered(self) -> list[RegisteredTag]:
        """Return all tags that the index has, by their paths."""
        with self._database.connect() as connection:
            if not migrations.has(connection, migrations.QUERY_TAGS):
                return []
            return _registered(connection)

    def register(self, *, starting: bool = True) -> None:
        """Insert the configured tags and mark the others as Deleting.

        With `starting`, also schedule a rescan, because older processes may still write without
        the tags.
        """
        migrations.require(self._database, migrations.QUERY_TAGS)
        self._writer.run_in_transaction(
            lambda connection: _register(connection, self._tags, changes.now(), starting=starting)
        )

    def advance(self) -> int | None:
        """Do one step of the backfill: return how many studies it read; None if none is due."""
        migrations.require(self._database, migrations.QUERY_TAGS)
        # The processes of one machine are started together.
        grace = 0 if self._database.dialect.is_embedded else self._limits.backfill_grace
        return self._writer.run_in_transaction(
            lambda connection: _advance(connection, self._tags, self._limits, grace)
        )

    def has_pending(self) -> bool:
        """Return True if a step is still to be done, now or later."""
        with self._database.connect() as connection:
            return bool(_pending(connection, self._tags))


def _registered(connection: Connection) -> list[RegisteredTag]:
    """Return all tags that the index knows, by their paths."""
    found = connection.execute(select(query_tags).order_by(query_tags.c.path, query_tags.c.tag_id))
    return [
        RegisteredTag(**{**row, "level": Level(row["level"]), "status": Status(row["status"])})
        for row in found.mappings()
    ]


def _register(connection: Connection, tags: QueryTags, now: int, *, starting: bool) -> None:
    """Insert configured tags, mark others as Deleting, and note that all writers know them now.

    If `starting`, schedule a rescan: processes from before may still write without their values.
    """
    known = {each.tag_id: each for each in _registered(connection)}
    wanted = {tag.tag_id: tag for tag in tags}
    first = {"known": now, "started": now, "since": 0, "done": 0, "within": 0}
    for tag_id, tag in wanted.items():
        if tag_id not in known:
            row = {**_row(tag), "status": Status.ADDING.value, **first}
            connection.execute(insert(query_tags), row)
        elif not known[tag_id].is_wanted:
            _note(connection, [tag_id], status=Status.ADDING.value, **first)
        elif starting:
            _note(connection, [tag_id], started=now, **known[tag_id].position_again)
        elif known[tag_id].since == IDLE:
            _note(connection, [tag_id], known=now)
    for each in known.values():
        if each.tag_id not in wanted and each.is_wanted:
            _note(connection, [each.tag_id], status=Status.DELETING.value, **first)


def _pending(connection: Connection, tags: QueryTags) -> list[RegisteredTag]:
    """Return the tags with work left.

    A process only fills tags of its own configuration, and does not delete those.
    """
    wanted = {tag.tag_id for tag in tags}
    return [
        each
        for each in _registered(connection)
        if each.since != IDLE and each.is_wanted is (each.tag_id in wanted)
    ]


def _advance(connection: Connection, tags: QueryTags, limits: Limits, grace: int) -> int | None:
    """Do the next step; return the number of studies in it, None if no tag is due.

    `grace`: milliseconds for which older processes may still write.
    """
    now = changes.now()
    waiting = _pending(connection, tags)
    due = [each for each in waiting if each.since == 0 or now >= each.started + grace]
    if not due:
        return None
    group = [each for each in due if each.position == due[0].position]
    # For instances only their values are stored, which are removed at the end.
    is_quick = all(each.level is Level.INSTANCE and not each.is_wanted for each in group)
    found = [] if is_quick else _next_studies(connection, group[0], limits)
    if found:
        _visit(connection, group, found, tags, limits.backfilled_instances)
        return len(found)
    for each in group:
        _finish(connection, each, now)
    return 0


def _row(tag: QueryTag) -> dict[str, Any]:
    return {
        "tag_id": tag.tag_id,
        "path": tag.name,
        "vr": tag.vr,
        "creator": tag.creator,
        "level": tag.level.value,
    }


def _note(connection: Connection, tag_ids: Sequence[int], **values: Any) -> None:
    connection.execute(update(query_tags).where(query_tags.c.tag_id.in_(tag_ids)).values(values))


def _next_studies(connection: Connection, at: RegisteredTag, limits: Limits) -> list[int]:
    """Return the next studies, together not too large; a large one alone, and repeatedly."""
    count = studies.c.number_of_study_related_instances
    following = (
        select(studies.c.row_id, count)
        .where(studies.c.row_id > at.done, studies.c.updated >= at.since)
        .order_by(studies.c.row_id)
        .limit(limits.backfilled_studies)
    )
    chosen: list[int] = []
    room = limits.backfilled_instances
    for row_id, instance_count in connection.execute(following):
        room -= instance_count
        if chosen and room < 0:
            break
        chosen.append(row_id)
    return chosen


def _visit(
    connection: Connection,
    group: Sequence[RegisteredTag],
    found: Sequence[int],
    tags: QueryTags,
    at_once: int,
) -> None:
    ids = [each.tag_id for each in group]
    filled = {each.tag_id for each in group if each.is_wanted}
    adding = QueryTags(tag for tag in tags if tag.tag_id in filled)
    filling = Backfill(connection, adding, tags)
    levels = {each.level for each in group}
    # What was begun with may be gone, and the next is another.
    after = group[0].within if found == [group[0].done + 1] else 0
    in_order = select(studies.c.row_id).where(studies.c.row_id.in_(found))
    for study in connection.scalars(in_order.order_by(studies.c.study_instance_uid)).all():
        # One by one in the order of their UIDs, as all who write lock them.
        this = select(studies.c.row_id).where(studies.c.row_id == study).with_for_update()
        if connection.scalar(this) is None:
            continue
        if after == 0:
            filling.levels(study, levels)
        while (after := filling.instances(study, after, at_once)) and len(found) > 1:
            pass
    if after:
        _note(connection, ids, done=found[0] - 1, within=after)
    else:
        _note(connection, ids, done=found[-1], within=0)


def _finish(connection: Connection, tag: RegisteredTag, now: int) -> None:
    """End a scan: schedule the second scan, or mark the tag as Ready."""
    if not tag.is_wanted and _delete_values(connection, tag):
        return
    if tag.since == 0:
        since = max(tag.known - CLOCKS_APART, 1)
        _note(connection, [tag.tag_id], since=since, done=0, within=0)
    elif tag.is_wanted:
        _note(connection, [tag.tag_id], status=Status.READY.value, since=IDLE, known=now)
    else:
        connection.execute(delete(query_tags).where(query_tags.c.tag_id == tag.tag_id))


def _delete_values(connection: Connection, tag: RegisteredTag) -> bool:
    """Remove some of the values; whether there may be more."""
    table = TAG_VALUES[tag.level]
    this = table.c.tag_id == tag.tag_id
    some = select(table.c.row_id).where(this).order_by(table.c.value).limit(VALUES_AT_ONCE)
    row_ids = set(connection.scalars(some))
    if row_ids:
        connection.execute(delete(table).where(this, table.c.row_id.in_(row_ids)))
    return bool(row_ids)
