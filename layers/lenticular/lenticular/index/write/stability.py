"""Settling: what nothing was added to for a while is told to be stable, once each time.

A study or a series is unsettled while `updated` is later than `settled`, which storing leaves
alone: so it becomes unsettled by whoever stores, this release or the one before. A patient has no
columns of its own: it is stable when all its studies are, and told so with the last of them.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level
from lenticular.index.sql.schema import patients, series, studies
from lenticular.index.write.changes import ChangeEntry, add_changes

# Of composed statements; their types say nothing that would help here.
Row = Any


def studies_pending_stability(
    connection: Connection, since: int, until: int, limit: int
) -> Sequence[int]:
    """Row ids of studies to settle: something of them changed last within this time.

    In the order of their UIDs, in which all who write lock them.
    """
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


def mark_stable(
    connection: Connection, study_row_ids: Sequence[int], until: int
) -> list[ChangeEntry]:
    """Tell of these studies what was quiet since `until` and was not told yet."""
    told = [
        each for row_id in study_row_ids for each in _mark_study_stable(connection, row_id, until)
    ]
    add_changes(connection, told)
    return told


def _mark_study_stable(connection: Connection, row_id: int, until: int) -> list[ChangeEntry]:
    # Locked, so that nobody adds to it or settles it at the same time.
    study = connection.execute(
        select(studies.c.patient_row_id).where(studies.c.row_id == row_id).with_for_update()
    ).first()
    if study is None:
        return []
    of_study = series.c.study_row_id == row_id
    told = _mark_rows_stable(connection, series, of_study, Level.SERIES, until)
    told += _mark_rows_stable(connection, studies, studies.c.row_id == row_id, Level.STUDY, until)
    if any(each.level is Level.STUDY for each in told):
        told += _mark_patient_stable(connection, study.patient_row_id)
    return told


def _mark_rows_stable(
    connection: Connection, table: Table, which: Any, level: Level, until: int
) -> list[ChangeEntry]:
    due = which & (table.c.settled < table.c.updated) & (table.c.updated <= until)
    found = select(table.c.orthanc_id).where(due).order_by(table.c.row_id)
    told = [
        ChangeEntry(f"Stable{level}", level, orthanc_id) for orthanc_id in connection.scalars(found)
    ]
    if told:
        connection.execute(update(table).where(due).values(settled=table.c.updated))
    return told


def _mark_patient_stable(connection: Connection, row_id: int) -> list[ChangeEntry]:
    """The patient, when no study of it is unsettled any more."""
    # Locked, or two who settle the last two studies would both see the other's unsettled.
    patient = connection.execute(
        select(patients.c.orthanc_id).where(patients.c.row_id == row_id).with_for_update()
    ).scalar_one()
    if pending_of_patient(connection, row_id):
        return []
    return [ChangeEntry("StablePatient", Level.PATIENT, patient)]


def pending_of_patient(connection: Connection, patient_row_id: int) -> Sequence[int]:
    """Row ids of the studies that a patient, which the caller has locked, still waits for."""
    return connection.scalars(
        select(studies.c.row_id).where(
            studies.c.patient_row_id == patient_row_id, studies.c.settled < studies.c.updated
        )
    ).all()
