"""Removing a study, a series or an instance within a transaction: children first, no empty parent.

Counts, ModalitiesInStudy and SOPClassesInStudy of what remains are made right again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Level, Target
from lenticular.dicom.orthanc_id import from_digest
from lenticular.dicom.query_tags import QueryTags
from lenticular.index import migrations
from lenticular.index.records import Removed
from lenticular.index.sql.schema import (
    documents,
    frames,
    instances,
    patients,
    series,
    series_attributes,
    studies,
    study_attributes,
)
from lenticular.index.write import rows
from lenticular.index.write.changes import Action, ChangeEntry, add_changes
from lenticular.index.write.inherited import inherit_again, inherit_patient_again
from lenticular.index.write.statements import ORDER_COMMITS, pending_of_patient

AT_ONCE = 500

# Of composed statements; their types say nothing that would help here.
Condition = Any
Row = Any


@dataclass(frozen=True, slots=True)
class _Found:
    """The rows on the way down to what is to be removed."""

    study: Row
    series: Row | None = None
    instance: Row | None = None
    series_ids: Sequence[int] = ()

    def series_condition(self) -> Condition:
        if self.series is not None:
            return series.c.row_id == self.series.row_id
        return series.c.study_row_id == self.study.row_id

    def child_condition(self, series_row_id: Any) -> Condition:
        """Return the condition that selects the rows of a table with a series' row id."""
        if self.series is not None:
            return series_row_id == self.series.row_id
        return series_row_id.in_(self.series_ids)

    def instance_condition(self) -> Condition:
        if self.instance is not None:
            return instances.c.row_id == self.instance.row_id
        return self.child_condition(instances.c.series_row_id)


@dataclass(frozen=True, slots=True)
class _Above:
    """Changes of the study and its patient, and which of them remain."""

    entries: list[ChangeEntry]
    remaining: list[tuple[Level, bytes]]


def remove(
    connection: Connection, targets: Sequence[Target], tags: QueryTags, *, replacing: bool = False
) -> Removed | None:
    """Remove all targets; None when none of them exists."""
    action = Action.NONE if replacing else Action.DELETE
    removed = [
        each for target in targets if (each := _remove_one(connection, target, tags, action))
    ]
    if not removed:
        return None
    keys = tuple(key for each in removed for key in each.keys)
    return Removed(keys, removed[-1].remaining_ancestor)


def remove_rows_of_files(
    connection: Connection, files: Sequence[tuple[Target, str]], tags: QueryTags
) -> Removed | None:
    """Remove the instances whose rows name these keys; one that names another file stays."""
    targets = [target for target, key in files if _key(connection, target) == key]
    return remove(connection, targets, tags)


def unnamed_keys(connection: Connection, of_series: Target, keys: Sequence[str]) -> list[str]:
    """Return those of the keys that no row of the series names; none will until the commit.

    Whoever adds instances waits for `ORDER_COMMITS` before the commit. It is locked here before
    the rows are read, so that what was committed by then is seen.
    """
    connection.execute(ORDER_COMMITS)
    named = connection.scalars(
        select(instances.c.storage_key)
        .select_from(instances.join(series).join(studies))
        .where(
            studies.c.study_instance_uid == of_series.study_instance_uid,
            series.c.series_instance_uid == of_series.series_instance_uid,
        )
    )
    return sorted(set(keys) - set(named))


def _key(connection: Connection, target: Target) -> str | None:
    """Return the key of an instance and lock its study."""
    found = _find(connection, target)
    return found.instance.storage_key if found is not None and found.instance else None


def _remove_one(
    connection: Connection, target: Target, tags: QueryTags, action: Action
) -> Removed | None:
    found = _find(connection, target)
    if found is None:
        return None
    gone = _remove_instances(connection, found)
    emptied_series = _remove_empty_series(connection, found)
    oldest = min((row.row_id for row in gone), default=0)
    if found.series is not None and not emptied_series:
        inherit_again(connection, Level.SERIES, found.series.row_id, oldest, tags)
    above = _shrink_study(connection, found.study, len(gone), sum(row.size for row in gone))
    entries = [
        ChangeEntry("Deleted", Level.INSTANCE, row.orthanc_id, _target(target, row), action)
        for row in gone
    ]
    entries += [ChangeEntry("Deleted", Level.SERIES, orthanc_id) for orthanc_id in emptied_series]
    add_changes(connection, entries + above.entries)
    levels = {level for level, _ in above.remaining}
    if Level.STUDY in levels:
        inherit_again(connection, Level.STUDY, found.study.row_id, oldest, tags)
    if Level.PATIENT in levels:
        inherit_patient_again(connection, found.study.patient_row_id, oldest)
    ancestors = above.remaining
    if found.series is not None and not emptied_series:
        ancestors = [(Level.SERIES, found.series.orthanc_id), *ancestors]
    closest = (ancestors[0][0], from_digest(ancestors[0][1])) if ancestors else None
    return Removed(tuple(row.storage_key for row in gone), closest)


def _target(removed: Target, row: Row) -> Target:
    return Target(removed.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)


def _find(connection: Connection, target: Target) -> _Found | None:
    study = connection.execute(
        select(studies.c.row_id, studies.c.orthanc_id, studies.c.patient_row_id)
        .where(studies.c.study_instance_uid == target.study_instance_uid)
        .with_for_update()
    ).first()
    if study is None:
        return None
    if target.series_instance_uid is None:
        of_study = select(series.c.row_id).where(series.c.study_row_id == study.row_id)
        return _Found(study, series_ids=connection.scalars(of_study).all())
    found_series = connection.execute(
        select(series.c.row_id, series.c.orthanc_id).where(
            series.c.study_row_id == study.row_id,
            series.c.series_instance_uid == target.series_instance_uid,
        )
    ).first()
    if found_series is None or target.sop_instance_uid is None:
        return _Found(study, found_series) if found_series is not None else None
    instance = connection.execute(
        select(instances.c.row_id, instances.c.storage_key).where(
            instances.c.series_row_id == found_series.row_id,
            instances.c.sop_instance_uid == target.sop_instance_uid,
        )
    ).first()
    return _Found(study, found_series, instance) if instance is not None else None


def _remove_instances(connection: Connection, found: _Found) -> Sequence[Row]:
    concerned = found.instance_condition()
    gone = connection.execute(
        select(
            *(instances.c.row_id, instances.c.orthanc_id, instances.c.storage_key),
            *(instances.c.size, instances.c.sop_instance_uid, series.c.series_instance_uid),
        )
        .join(series)
        .where(concerned)
        .order_by(instances.c.row_id)
    ).all()
    # By their ids and not by a subquery, for which MariaDB would read the whole table.
    for start in range(0, len(gone), AT_ONCE):
        ids = [row.row_id for row in gone[start : start + AT_ONCE]]
        connection.execute(delete(frames).where(frames.c.instance_row_id.in_(ids)))
    of_series = found.child_condition(documents.c.series_row_id)
    if found.instance is not None:
        of_series = and_(of_series, documents.c.instance_row_id == found.instance.row_id)
    connection.execute(delete(documents).where(of_series))
    connection.execute(delete(instances).where(concerned))
    if found.series is not None:
        connection.execute(
            update(series)
            .where(found.series_condition())
            .values(size=series.c.size - sum(row.size for row in gone))
        )
    return gone


def _remove_empty_series(connection: Connection, found: _Found) -> list[bytes]:
    """Remove the series that have no instances left; update the count of the others."""
    count = func.count(instances.c.row_id)
    left = connection.execute(
        select(series.c.row_id, series.c.orthanc_id, count.label("instances"))
        .outerjoin(instances)
        .where(found.series_condition())
        .group_by(series.c.row_id, series.c.orthanc_id)
        .order_by(series.c.row_id)
    ).all()
    for row in left:
        this = series.c.row_id == row.row_id
        if row.instances:
            counted = {"number_of_series_related_instances": row.instances}
            connection.execute(update(series).where(this).values(counted))
        else:
            attributes = series_attributes.c.series_row_id == row.row_id
            connection.execute(delete(series_attributes).where(attributes))
            connection.execute(delete(series).where(this))
    return [row.orthanc_id for row in left if not row.instances]


def _shrink_study(connection: Connection, study: Row, instance_count: int, size: int) -> _Above:
    """Make the study right, or remove it and its patient when empty.

    The time of the last addition stays: Orthanc's LastUpdate is about additions.
    """
    of_study = select(series.c.row_id, series.c.modality).where(
        series.c.study_row_id == study.row_id
    )
    left = connection.execute(of_study.order_by(series.c.row_id)).all()
    patient = connection.execute(
        # Locked, or two that remove the last two studies of a patient would both see the other's.
        select(patients.c.orthanc_id)
        .where(patients.c.row_id == study.patient_row_id)
        .with_for_update()
    ).scalar_one()
    if not left:
        return _remove_study(connection, study, patient)
    instances_left = studies.c.number_of_study_related_instances - instance_count
    values = {
        "number_of_study_related_series": len(left),
        "number_of_study_related_instances": instances_left,
        "size": studies.c.size - size,
        "modalities_in_study": _marked(row.modality for row in left),
        "sop_classes_in_study": _marked(_sop_classes(connection, study.row_id)),
    }
    connection.execute(update(studies).where(studies.c.row_id == study.row_id).values(values))
    return _Above([], [(Level.STUDY, study.orthanc_id), (Level.PATIENT, patient)])


def _remove_study(connection: Connection, study: Row, patient: bytes) -> _Above:
    """Remove the empty study, and its patient when it was the last."""
    entries = [ChangeEntry("Deleted", Level.STUDY, study.orthanc_id)]
    # Asked before the study is gone: a patient that waited for nothing else is stable without it.
    waits_only_for_it = _awaited_studies(connection, study.patient_row_id) == [study.row_id]
    attributes = study_attributes.c.study_row_id == study.row_id
    connection.execute(delete(study_attributes).where(attributes))
    connection.execute(delete(studies).where(studies.c.row_id == study.row_id))
    others = select(studies.c.row_id).where(studies.c.patient_row_id == study.patient_row_id)
    if connection.execute(others.limit(1)).first() is not None:
        if waits_only_for_it:
            entries.append(ChangeEntry("StablePatient", Level.PATIENT, patient))
        return _Above(entries, [(Level.PATIENT, patient)])
    connection.execute(delete(patients).where(patients.c.row_id == study.patient_row_id))
    return _Above([*entries, ChangeEntry("Deleted", Level.PATIENT, patient)], [])


def _awaited_studies(connection: Connection, patient_row_id: int) -> Sequence[int]:
    """Return the studies that must be stable before the patient is; none in an older schema."""
    if not migrations.has(connection, migrations.STABILITY):
        return []
    return connection.scalars(pending_of_patient(patient_row_id)).all()


def _sop_classes(connection: Connection, study_row_id: int) -> Iterable[str]:
    return connection.execute(
        select(instances.c.sop_class_uid)
        .join(series)
        .where(series.c.study_row_id == study_row_id)
        .distinct()
        .order_by(instances.c.sop_class_uid)
    ).scalars()


def _marked(values: Iterable[str | None]) -> str | None:
    return rows.marked(dict.fromkeys(filter(None, values)))
