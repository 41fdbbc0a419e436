"""Mark series, studies and patients as stable, Orthanc's StableSeries, StableStudy, StablePatient.

The feed reports each of them once after each period without additions. A study or a series is
pending while `updated` is later than the column `settled`; storing changes only the first, so it
becomes pending again whichever release stores. A patient is stable when all its studies are.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level
from lenticular.index import migrations
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import patients, series, studies
from lenticular.index.write.changes import ChangeEntry, add_changes
from lenticular.index.write.statements import pending_of_patient
from lenticular.index.write.writer import Writer


class Stability:
    """Finds studies that are pending, and marks what was quiet long enough as stable."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    def pending(self, since: int, until: int, limit: int) -> Sequence[int]:
        """Return the row ids of studies to `mark`: they changed last within these times.

        Times are milliseconds since 1970. The order is that of the UIDs, in which all writers
        lock studies.
        """
        migrations.require(self._database, migrations.STABILITY)
        with self._database.connect() as connection:
            return _pending(connection, since, until, limit)

    def mark(self, study_row_ids: Sequence[int], until: int) -> Counter[Level]:
        """Mark what was quiet since `until`, and count how much of each level that was."""
        entries = self._writer.run_in_transaction(
            lambda connection: _mark_stable(connection, study_row_ids, until)
        )
        return Counter(entry.level for entry in entries)


def _pending(connection: Connection, since: int, until: int, limit: int) -> Sequence[int]:
    found: dict[int, None] = {}
    for table, of_study in ((series, series.c.study_row_id), (studies, studies.c.row_id)):
        changed = table.c.updated
        waiting = (
            select(of_study)
            .where(changed >= since, changed <= until, table.c.settled < changed)
            .order_by(changed, table.c.settled, table.c.row_id)
            .limit(limit)
        )
        found |= dict.fromkeys(connection.scalars(waiting))
    if not found:
        return []
    chosen = list(found)[:limit]
    in_order = select(studies.c.row_id).order_by(studies.c.study_instance_uid)
    return connection.scalars(in_order.where(studies.c.row_id.in_(chosen))).all()


def _mark_stable(
    connection: Connection, study_row_ids: Sequence[int], until: int
) -> list[ChangeEntry]:
    entries = [
        each for row_id in study_row_ids for each in _mark_study_stable(connection, row_id, until)
    ]
    add_changes(connection, entries)
    return entries


def _mark_study_stable(connection: Connection, row_id: int, until: int) -> list[ChangeEntry]:
    # Locked, so that no other writer adds to it or marks it at the same time.
    study = connection.execute(
        select(studies.c.patient_row_id).where(studies.c.row_id == row_id).with_for_update()
    ).first()
    if study is None:
        return []
    of_study = series.c.study_row_id == row_id
    entries = _mark_rows_stable(connection, series, of_study, Level.SERIES, until)
    entries += _mark_rows_stable(
        connection, studies, studies.c.row_id == row_id, Level.STUDY, until
    )
    if any(each.level is Level.STUDY for each in entries):
        entries += _mark_patient_stable(connection, study.patient_row_id)
    return entries


def _mark_rows_stable(
    connection: Connection, table: Table, which: Any, level: Level, until: int
) -> list[ChangeEntry]:
    due = which & (table.c.settled < table.c.updated) & (table.c.updated <= until)
    found = select(table.c.orthanc_id).where(due).order_by(table.c.row_id)
    entries = [
        ChangeEntry(f"Stable{level}", level, orthanc_id) for orthanc_id in connection.scalars(found)
    ]
    if entries:
        connection.execute(update(table).where(due).values(settled=table.c.updated))
    return entries


def _mark_patient_stable(connection: Connection, row_id: int) -> list[ChangeEntry]:
    """Return the change of the patient when none of its studies is pending any more."""
    # Locked, or two that mark the last two studies would each see the other as pending.
    patient = connection.execute(
        select(patients.c.orthanc_id).where(patients.c.row_id == row_id).with_for_update()
    ).scalar_one()
    if connection.scalars(pending_of_patient(row_id)).first() is not None:
        return []
    return [ChangeEntry("StablePatient", Level.PATIENT, patient)]
