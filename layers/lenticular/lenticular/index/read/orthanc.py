"""Resources of the four levels by Orthanc's identifiers, and their children."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    LargeBinary,
    Select,
    bindparam,
    func,
    literal,
    null,
    select,
)

from lenticular.dicom.model import Dataset, Level, Target
from lenticular.dicom.orthanc_id import from_digest, to_digest
from lenticular.dicom.search_attributes import PATIENT_TAGS
from lenticular.index.read.retrieval import STORED, stored_instance
from lenticular.index.records import OrthancResource
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import (
    documents,
    instances,
    patients,
    series,
    series_attributes,
    studies,
    study_attributes,
)

AT_ONCE = 500

_TABLES = {
    Level.PATIENT: patients,
    Level.STUDY: studies,
    Level.SERIES: series,
    Level.INSTANCE: instances,
}
_LEVELS = tuple(_TABLES)
_BELOW = dict(pairwise(_LEVELS))
_UIDS = (studies.c.study_instance_uid, series.c.series_instance_uid, instances.c.sop_instance_uid)
_PARENTS: dict[Level, ColumnElement[Any]] = {
    Level.STUDY: studies.c.patient_row_id,
    Level.SERIES: series.c.study_row_id,
    Level.INSTANCE: instances.c.series_row_id,
}


class OrthancReader:
    """Answers for Orthanc's REST."""

    def __init__(self, database: Database, stable_age: float) -> None:
        self._database = database
        self._stable_milliseconds = stable_age * 1000
        self._selects = {level: _select(level) for level in _LEVELS}
        self._one = {
            level: database.prepare(
                _select(level).where(_TABLES[level].c.orthanc_id == bindparam("orthanc_id"))
            )
            for level in _LEVELS
        }
        self._children_of_one = {
            level: database.prepare(_select_children(level, bindparam("row_id")))
            for level in _BELOW
        }

    def resource(self, level: Level, orthanc_id: str) -> OrthancResource | None:
        """Return the resource with this identifier, by statements that are compiled in advance."""
        digest = to_digest(orthanc_id)
        if digest is None:
            return None
        with self._database.cursor() as cursor:
            row: Any = self._one[level].run(cursor, {"orthanc_id": digest}).fetchone()
            if row is None:
                return None
            children: Any = ()
            if level in _BELOW:
                below = self._children_of_one[level]
                children = below.run(cursor, {"row_id": row[0]}).fetchall()
        return self._resource(level, row, tuple(from_digest(child) for _, child in children))

    def resources_of(self, level: Level, orthanc_ids: Sequence[str]) -> list[OrthancResource]:
        """Return the resources with these identifiers, in this order, without missing ones."""
        column = _TABLES[level].c.orthanc_id
        digests = [digest for each in orthanc_ids if (digest := to_digest(each)) is not None]
        found: dict[str, OrthancResource] = {}
        for some in _batched(digests):
            wanted = self._selects[level].where(column.in_(some))
            found.update((resource.orthanc_id, resource) for resource in self._load(level, wanted))
        return [found[each] for each in orthanc_ids if each in found]

    def resources(self, level: Level, since: int, limit: int) -> list[OrthancResource]:
        """Return resources of a level in the order of arrival."""
        page = self._selects[level].order_by(_TABLES[level].c.row_id).offset(since).limit(limit)
        return self._load(level, page)

    def resource_ids(self, level: Level, since: int = 0, limit: int | None = None) -> list[str]:
        """Return identifiers of a level in the order of arrival."""
        table = _TABLES[level]
        ids = select(table.c.orthanc_id).order_by(table.c.row_id).offset(since)
        with self._database.connect() as connection:
            return [from_digest(each) for each in connection.scalars(ids.limit(limit))]

    def children(self, resource: OrthancResource, level: Level) -> list[OrthancResource]:
        """Return all resources of a lower level below this one, in the order of arrival."""
        between = _LEVELS[_LEVELS.index(resource.level) + 1 : _LEVELS.index(level) + 1]
        inside: Any = [resource.row_id]
        for each in between[:-1]:
            inside = select(_TABLES[each].c.row_id).where(_PARENTS[each].in_(inside))
        wanted = self._selects[level].where(_PARENTS[level].in_(inside))
        return self._load(level, wanted.order_by(_TABLES[level].c.row_id))

    def target_of(self, level: Level, orthanc_id: str) -> Target | None:
        """Return the UIDs of a study, series or instance; None for a patient."""
        digest = to_digest(orthanc_id)
        if digest is None or level is Level.PATIENT:
            return None
        depth = _LEVELS.index(level)
        found = select(*_UIDS[:depth]).select_from(_joined(level))
        with self._database.connect() as connection:
            row = connection.execute(found.where(_TABLES[level].c.orthanc_id == digest)).first()
        return Target(*row) if row is not None else None

    def _load(self, level: Level, wanted: Select[Any]) -> list[OrthancResource]:
        with self._database.connect() as connection:
            rows = connection.execute(wanted).all()
            children: dict[int, list[str]] = {row.row_id: [] for row in rows}
            for start in range(0, len(rows) if level in _BELOW else 0, AT_ONCE):
                some = _select_children(
                    level, [row.row_id for row in rows[start : start + AT_ONCE]]
                )
                for parent, orthanc_id in connection.execute(some):
                    children[parent].append(from_digest(orthanc_id))
        return [self._resource(level, row, tuple(children[row.row_id])) for row in rows]

    def _resource(self, level: Level, row: Any, child_ids: tuple[str, ...]) -> OrthancResource:
        updated = row[6]
        is_stable = time.time() * 1000 - updated >= self._stable_milliseconds
        return _resource(level, row, child_ids, is_stable)


def _batched(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


def _of_patient(aggregate: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return an aggregate over all studies of a patient."""
    return (
        select(aggregate)
        .where(studies.c.patient_row_id == patients.c.row_id)
        .correlate(patients)
        .scalar_subquery()
    )


def _select(level: Level) -> Select[Any]:
    """Select the columns of a resource, in the order in which `_resource` takes them."""
    nothing = literal(b"", LargeBinary)
    match level:
        case Level.PATIENT:
            return select(
                *(patients.c.row_id, patients.c.orthanc_id, null().label("parent_id")),
                *(patients.c.answer, nothing, patients.c.created),
                _of_patient(func.max(studies.c.updated)),
                _of_patient(func.sum(studies.c.number_of_study_related_series)),
                _of_patient(func.sum(studies.c.number_of_study_related_instances)),
                _of_patient(func.sum(studies.c.size)),
            )
        case Level.STUDY:
            return select(
                *(studies.c.row_id, studies.c.orthanc_id, patients.c.orthanc_id),
                *(study_attributes.c.answer, study_attributes.c.extra),
                *(studies.c.created, studies.c.updated, studies.c.number_of_study_related_series),
                *(studies.c.number_of_study_related_instances, studies.c.size),
            ).select_from(studies.join(patients).join(study_attributes))
        case Level.SERIES:
            return select(
                *(series.c.row_id, series.c.orthanc_id, studies.c.orthanc_id),
                *(series_attributes.c.answer, series_attributes.c.extra),
                *(series.c.created, series.c.updated, literal(1)),
                *(series.c.number_of_series_related_instances, series.c.size),
            ).select_from(series.join(studies).join(series_attributes))
        case Level.INSTANCE:
            answered = (documents.c.series_row_id == instances.c.series_row_id) & (
                documents.c.instance_row_id == instances.c.row_id
            )
            return select(
                *(instances.c.row_id, instances.c.orthanc_id, series.c.orthanc_id),
                *(documents.c.answer, documents.c.extra),
                *(instances.c.created, instances.c.created, literal(1), literal(1)),
                *(instances.c.size, instances.c.instance_number, *STORED),
            ).select_from(instances.join(series).join(studies).join(documents, answered))


def _select_children(level: Level, of: Sequence[int] | BindParameter[int]) -> Select[Any]:
    below = _TABLES[_BELOW[level]]
    parent = _PARENTS[_BELOW[level]]
    inside = parent == of if isinstance(of, BindParameter) else parent.in_(of)
    return select(parent, below.c.orthanc_id).where(inside).order_by(below.c.row_id)


def _joined(level: Level) -> FromClause:
    rows: FromClause = studies
    for below in _LEVELS[2 : _LEVELS.index(level) + 1]:
        rows = rows.join(_TABLES[below])
    return rows


def _resource(
    level: Level, row: Any, child_ids: tuple[str, ...], is_stable: bool
) -> OrthancResource:
    row_id, orthanc_id, parent_id, answer, extra, created, updated, *counts = row[:10]
    attributes = _dataset(answer, extra)
    patient = {tag: attributes[tag] for tag in attributes.keys() & PATIENT_TAGS}
    if level is Level.STUDY:
        attributes = {tag: attributes[tag] for tag in attributes.keys() - PATIENT_TAGS}
    stored = stored_instance(row[11:]) if level is Level.INSTANCE else None
    return OrthancResource(
        level=level,
        row_id=row_id,
        orthanc_id=from_digest(orthanc_id),
        parent_id=from_digest(parent_id) if parent_id is not None else None,
        attributes=attributes,
        created=_moment(created),
        last_update=_moment(updated),
        is_stable=is_stable,
        child_ids=child_ids,
        series_count=int(counts[0]),
        instance_count=int(counts[1]),
        size=int(counts[2]),
        patient_attributes=patient if level is Level.STUDY else {},
        instance=stored,
        index_in_series=row[10] if stored else None,
        uuid=str(UUID(bytes=stored.sha256[:16])) if stored else "",
    )


def _dataset(*lines: bytes) -> Dataset:
    dataset: Dataset = orjson.loads(b"{%s}" % b"\n".join(filter(None, lines)).replace(b"\n", b","))
    return dataset


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
