"""The change feed as it is written: numbered in the order of commits."""

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import insert
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level, Target
from lenticular.index import migrations
from lenticular.index.sql.schema import changes
from lenticular.index.write.statements import ORDER_COMMITS


class Action(StrEnum):
    """The action of a change, in the words of the feed of instances."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = ""  # not in the instance feed: the delete that is half of a replace


class ChangeEntry(NamedTuple):
    """A change to be written; for an instance with its UIDs, as it may be gone later."""

    kind: str
    level: Level
    orthanc_id: bytes
    target: Target | None = None
    action: Action | None = None


def to_row(entry: ChangeEntry, now: int) -> dict[str, Any]:
    """Return the row of a change."""
    target = entry.target
    return {
        "kind": entry.kind,
        "level": entry.level.value,
        "orthanc_id": entry.orthanc_id,
        "created": now,
        "action": entry.action,
        "study_instance_uid": target and target.study_instance_uid,
        "series_instance_uid": target and target.series_instance_uid,
        "sop_instance_uid": target and target.sop_instance_uid,
    }


def add_changes(connection: Connection, entries: Sequence[ChangeEntry]) -> None:
    """Write changes, as the last thing before the commit: the next writer waits for it."""
    if not entries:
        return
    revision = connection.execute(ORDER_COMMITS).scalar_one()
    known = [column.name for column in columns_in(revision)]
    created = now()
    rows = [to_row(each, created) for each in entries]
    connection.execute(insert(changes), [{name: row[name] for name in known} for row in rows])


def columns_in(revision: str) -> Sequence[Any]:
    """Return the columns that a change is written with in the schema of this revision."""
    written = [column for column in changes.columns if column is not changes.c.sequence]
    return written if revision >= migrations.INSTANCE_FEED else written[:4]


def now() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
