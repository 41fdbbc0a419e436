"""The change feed as it is written: numbered in the order of commits."""

from collections.abc import Sequence

from sqlalchemy import func, insert, select
from sqlalchemy.engine import Connection

from lenticular.dicom.instance import Level
from lenticular.index.schema import changes
from lenticular.index.statements import ORDER_COMMITS

Told = tuple[str, Level, bytes]
"""What happened to a resource: the kind of change, its level and its Orthanc id."""


def add_changes(connection: Connection, told: Sequence[Told], now: int) -> None:
    """Write changes, as the last thing before the commit: whoever comes next waits for it."""
    if not told:
        return
    if connection.dialect.name != "sqlite":
        connection.execute(ORDER_COMMITS).all()
    values = [
        {"kind": kind, "level": level.value, "orthanc_id": orthanc_id, "created": now}
        for kind, level, orthanc_id in told
    ]
    connection.execute(insert(changes), values)


def last_sequence(connection: Connection) -> int:
    """The number of the newest change; 0 when there is none."""
    return int(connection.scalar(select(func.max(changes.c.sequence))) or 0)
