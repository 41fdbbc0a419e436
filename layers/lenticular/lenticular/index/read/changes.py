"""Orthanc's change feed, read in the order of its sequence numbers."""

from datetime import UTC, datetime

from sqlalchemy import func, select

from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_id import from_digest
from lenticular.index.records import Change
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import changes


class ChangeReader:
    """Reads the change feed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, since: int, limit: int) -> list[Change]:
        """Return the changes after a sequence number, the oldest first."""
        columns = (changes.c.sequence, changes.c.kind, changes.c.level, changes.c.orthanc_id)
        page = (
            select(*columns, changes.c.created)
            .where(changes.c.sequence > since)
            .order_by(changes.c.sequence)
            .limit(limit)
        )
        with self._database.connect() as connection:
            return [
                Change(
                    row.sequence,
                    row.kind,
                    Level(row.level),
                    from_digest(row.orthanc_id),
                    datetime.fromtimestamp(row.created / 1000, UTC),
                )
                for row in connection.execute(page)
            ]

    def last_sequence(self) -> int:
        """Return the number of the newest change; 0 when there is none."""
        with self._database.connect() as connection:
            return int(connection.scalar(select(func.max(changes.c.sequence))) or 0)
