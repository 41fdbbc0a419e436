"""The statements with which instances are filed, compiled once per database."""

from typing import Any

from sqlalchemy import Select, Table, Update, and_, bindparam, column, insert, select, table, update

from lenticular.dicom.model import Level
from lenticular.index.sql.database import Database, Statement
from lenticular.index.sql.schema import (
    SETTLED,
    TAG_VALUES,
    changes,
    documents,
    frames,
    instances,
    patients,
    series,
    series_attributes,
    studies,
    study_attributes,
)

KNOWN_AT_ONCE = 64
"""Number of instances that one `find_many_known` looks up."""

_OF_INSTANCES = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "action")
"""The columns of changes that the schema before `migrations.INSTANCE_FEED` does not have."""

_ONE_ROW = table("alembic_version", column("version_num"))

ORDER_COMMITS: Select[Any] = select(_ONE_ROW.c.version_num).with_for_update()
"""Locks the one row of a table of one row, until the commit.

Numbers are given to changes as they are written, but a client that reads the feed may only see
them grow. So a writer of changes waits here until those before it have committed. SQLite has one
writer anyway. The row is the revision of the schema, so it is known by then.
"""


class Statements:
    """The compiled statements of `insert.py` and `parent_rows.py`."""

    def __init__(self, database: Database) -> None:
        def adding(table: Table, *left_out: str) -> Statement:
            columns = [column.name for column in table.columns if column.name not in left_out]
            return database.prepare(insert(table), column_keys=columns)

        self.find_place = database.prepare(_find_place())
        self.find_place_and_known = database.prepare(_find_place_and_known())
        self.find_patient = database.prepare(
            select(patients.c.row_id).where(patients.c.orthanc_id == bindparam("orthanc_id"))
        )
        self.find_known = database.prepare(_find_known(1))
        self.find_many_known = database.prepare(_find_known(KNOWN_AT_ONCE))
        self.add_patient = adding(patients, "row_id")
        self.add_study = adding(studies, "row_id", SETTLED)
        self.add_study_attributes = adding(study_attributes)
        self.add_series = adding(series, "row_id", SETTLED)
        self.add_series_attributes = adding(series_attributes)
        self.add_instance = adding(instances, "row_id")
        self.change_key = database.prepare(_change_key())
        self.add_document = adding(documents)
        self.add_frames = adding(frames)
        self.add_tag_values: dict[Level, Statement] = {
            level: adding(values) for level, values in TAG_VALUES.items()
        }
        self.find_revision = database.prepare(select(_ONE_ROW.c.version_num))
        self.order_commits = database.prepare(ORDER_COMMITS)
        self.add_change = adding(changes, "sequence")
        self.add_change_before = adding(changes, "sequence", *_OF_INSTANCES)
        self.grow_series = database.prepare(_grow_series())
        self.grow_study = database.prepare(_grow_study())


_KNOWN = (
    instances.c.sop_instance_uid,
    instances.c.row_id,
    instances.c.orthanc_id,
    instances.c.sha256,
    instances.c.storage_key,
)
_HERE = and_(
    series.c.study_row_id == studies.c.row_id,
    series.c.series_instance_uid == bindparam("series_instance_uid"),
)
_PLACE = studies.outerjoin(series, _HERE)


def _find_place() -> Select[Any]:
    """Return the study of this UID with its patient, and the series of that UID in it.

    Locked, but for the patient: it has other studies, whose writers have locked them before it.
    """
    patient = patients.c.row_id == studies.c.patient_row_id
    return (
        select(
            select(patients.c.patient_id).where(patient).scalar_subquery(),
            select(patients.c.orthanc_id).where(patient).scalar_subquery(),
            studies.c.row_id,
            studies.c.orthanc_id,
            studies.c.modalities_in_study,
            studies.c.sop_classes_in_study,
            series.c.row_id,
            series.c.orthanc_id,
        )
        .select_from(_PLACE)
        .where(studies.c.study_instance_uid == bindparam("study_instance_uid"))
        # One writer per study at a time: what is read here is what the counts are made of.
        .with_for_update()
    )


def _find_place_and_known() -> Select[Any]:
    """Return the same, and the instance of this UID in the series: for one, in one round trip."""
    this = and_(
        instances.c.series_row_id == series.c.row_id,
        instances.c.sop_instance_uid == bindparam("uid_0"),
    )
    found = _find_place().with_only_columns(*_find_place().selected_columns, *_KNOWN)
    return found.select_from(_PLACE.outerjoin(instances, this))


def _find_known(at_once: int) -> Select[Any]:
    """Select those of these instances that the series has."""
    wanted: list[Any] = [bindparam(f"uid_{number}") for number in range(at_once)]
    return select(*_KNOWN).where(
        instances.c.series_row_id == bindparam("series_row_id"),
        instances.c.sop_instance_uid.in_(wanted),
    )


def _change_key() -> Update:
    return (
        update(instances)
        .where(
            instances.c.series_row_id == bindparam("of_series"),
            instances.c.sop_instance_uid == bindparam("uid"),
        )
        .values(storage_key=bindparam("new_key"))
    )


def _grow_series() -> Update:
    count = series.c.number_of_series_related_instances
    return (
        update(series)
        .where(series.c.row_id == bindparam("this"))
        .values(
            {
                count: count + bindparam("more_instances"),
                series.c.size: series.c.size + bindparam("more_bytes"),
                series.c.updated: bindparam("now"),
            }
        )
    )


def _grow_study() -> Update:
    series_count = studies.c.number_of_study_related_series
    instance_count = studies.c.number_of_study_related_instances
    return (
        update(studies)
        .where(studies.c.row_id == bindparam("this"))
        .values(
            {
                series_count: series_count + bindparam("more_series"),
                instance_count: instance_count + bindparam("more_instances"),
                studies.c.size: studies.c.size + bindparam("more_bytes"),
                studies.c.updated: bindparam("now"),
                studies.c.modalities_in_study: bindparam("modalities"),
                studies.c.sop_classes_in_study: bindparam("sop_classes"),
            }
        )
    )


def pending_of_patient(patient_row_id: int) -> Select[Any]:
    """Select the row ids of the studies for which a patient must wait to be stable."""
    return select(studies.c.row_id).where(
        studies.c.patient_row_id == patient_row_id, studies.c.settled < studies.c.updated
    )
