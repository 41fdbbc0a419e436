"""Attributes of patients, studies and series: those of their oldest stored instance.

The oldest instance is the one with the lowest row id. A store needs nothing for this, for what
comes is the newest; a removal reads the attributes again when it took the oldest away.
"""

import zlib
from typing import Any

import orjson
from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.query_tags import QueryTags
from lenticular.index.sql.schema import (
    TAG_VALUES,
    documents,
    instances,
    patients,
    series,
    series_attributes,
    studies,
    study_attributes,
)
from lenticular.index.write import rows

_TABLES: dict[Level, tuple[Table, Table, Any]] = {
    Level.STUDY: (studies, study_attributes, study_attributes.c.study_row_id),
    Level.SERIES: (series, series_attributes, series_attributes.c.series_row_id),
}
_NOT_INHERITED = frozenset(
    {
        *("study_instance_uid", "series_instance_uid"),
        *("number_of_study_related_series", "number_of_study_related_instances"),
        *("number_of_series_related_instances", "modalities_in_study", "sop_classes_in_study"),
    }
)
_WITH_DOCUMENT = (documents.c.series_row_id == instances.c.series_row_id) & (
    documents.c.instance_row_id == instances.c.row_id
)


def inherit_again(
    connection: Connection, level: Level, row_id: int, removed: int, tags: QueryTags
) -> None:
    """Rewrite inherited attributes from the oldest instance left, if `removed` was older."""
    column = series.c.study_row_id if level is Level.STUDY else series.c.row_id
    oldest = _oldest_after(connection, column == row_id, removed)
    if oldest is None:
        return
    dataset = _dataset(connection, oldest)
    table, attributes, key = _TABLES[level]
    matched = rows.matching_values(level, dataset)
    values = {name: value for name, value in matched.items() if name not in _NOT_INHERITED}
    connection.execute(update(table).where(table.c.row_id == row_id).values(values))
    lines = rows.lines_of(level, dataset, tags.picked(level, dataset) if tags else None)
    connection.execute(update(attributes).where(key == row_id).values(lines))
    if tags:
        _replace_tag_values(connection, level, row_id, dataset, tags)


def inherit_patient_again(connection: Connection, row_id: int, removed: int) -> None:
    """Read the attributes of a patient again if `removed` was its oldest instance."""
    of_patient = series.c.study_row_id.in_(
        select(studies.c.row_id).where(studies.c.patient_row_id == row_id)
    )
    oldest = _oldest_after(connection, of_patient, removed)
    if oldest is not None:
        answer = rows.of_patient(_dataset(connection, oldest))
        this = patients.c.row_id == row_id
        connection.execute(update(patients).where(this).values(answer=answer))


def _oldest_after(connection: Connection, where: Any, removed: int) -> int | None:
    """Return the oldest instance that remains; None if there was always an older one."""
    oldest = select(func.min(instances.c.row_id)).join(series).where(where)
    row_id = connection.scalar(oldest)
    return row_id if row_id is not None and row_id > removed else None


def _dataset(connection: Connection, instance: int) -> Dataset:
    found = select(documents.c.body).join(instances, _WITH_DOCUMENT)
    body = connection.execute(found.where(instances.c.row_id == instance)).scalar_one()
    dataset: Dataset = orjson.loads(zlib.decompress(body))
    return dataset


def _replace_tag_values(
    connection: Connection, level: Level, row_id: int, dataset: Dataset, tags: QueryTags
) -> None:
    table = TAG_VALUES[level]
    connection.execute(delete(table).where(table.c.row_id == row_id))
    values = rows.tag_values(level, dataset, tags, row_id=row_id)
    if values:
        connection.execute(insert(table), values)
