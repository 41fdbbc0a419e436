"""Studies and series while instances are filed into them: found or created, grown at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine.interfaces import DBAPICursor

from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.orthanc_id import digest, patient_id_of
from lenticular.dicom.query_tags import QueryTags
from lenticular.index.records import NewInstance
from lenticular.index.sql.database import Statement
from lenticular.index.write import rows
from lenticular.index.write.statements import KNOWN_AT_ONCE, Statements

_PLACE_COLUMNS = 8

Created = list[tuple[Level, bytes]]
"""The levels that came into being, lowest first, with their Orthanc ids."""


@dataclass(slots=True)
class CountDelta:
    """Counts to add to a row at the end of a transaction."""

    series: int = 0
    instances: int = 0
    bytes: int = 0

    def add(self, size: int) -> None:
        """Count one more instance."""
        self.instances += 1
        self.bytes += size


@dataclass(slots=True)
class StudyRow:
    """The study that a Study Instance UID names."""

    row_id: int
    uid: str
    orthanc_id: bytes
    patient_id: str
    patient_orthanc_id: bytes
    modalities: list[str]
    sop_classes: list[str]
    growth: CountDelta = field(default_factory=CountDelta)


@dataclass(slots=True)
class ExistingInstance:
    """An instance that the series has, or will have when its rows are written."""

    orthanc_id: bytes
    sha256: bytes
    key: str


@dataclass(slots=True)
class SeriesRow:
    """The series that a Series Instance UID names in its study."""

    row_id: int
    uid: str
    orthanc_id: bytes
    study: StudyRow
    known: dict[str, ExistingInstance] = field(default_factory=dict)
    growth: CountDelta = field(default_factory=CountDelta)
    is_new: bool = False

    def add_known(self, uid: str, _: int, orthanc_id: bytes, sha256: bytes, key: str) -> None:
        """Record an instance that the database has."""
        self.known[uid] = ExistingInstance(orthanc_id, sha256, key)


@dataclass(slots=True)
class ParentRows:
    """The studies and series of one transaction, each read once."""

    statements: Statements
    cursor: DBAPICursor
    now: int
    tags: QueryTags
    _tag_values: dict[Level, list[rows.Row]] = field(default_factory=dict)
    _studies: dict[str, StudyRow] = field(default_factory=dict)
    _series: dict[tuple[str, str], SeriesRow] = field(default_factory=dict)

    def look_up(self, study_uid: str, series_uid: str, uids: Sequence[str]) -> None:
        """Find the series, or at least its study, and which of these instances it has."""
        series = self.find(study_uid, series_uid)
        if series is None:
            series, uids = self._read(study_uid, series_uid, uids)
        if series is not None and not series.is_new:
            unknown = [uid for uid in uids if uid not in series.known]
            for found in self.known(series.row_id, unknown):
                series.add_known(*found)

    def find(self, study_uid: str, series_uid: str) -> SeriesRow | None:
        """Return the series that was looked up or created, None when there is none."""
        return self._series.get((study_uid, series_uid))

    def known(self, series_row_id: int, uids: Sequence[str]) -> Iterator[Any]:
        """Yield UID, row id, Orthanc id, SHA-256 and key of the instances that the series has."""
        for start in range(0, len(uids), KNOWN_AT_ONCE):
            some = list(uids[start : start + KNOWN_AT_ONCE])
            statements = self.statements
            statement = statements.find_known if len(some) == 1 else statements.find_many_known
            if len(some) > 1:
                some += some[-1:] * (KNOWN_AT_ONCE - len(some))
            parameters: rows.Row = {f"uid_{number}": uid for number, uid in enumerate(some)}
            parameters["series_row_id"] = series_row_id
            yield from statement.run(self.cursor, parameters).fetchall()

    def create(self, new: NewInstance, created: Created) -> SeriesRow:
        """Return a new series for an instance, and create its study and patient if need be."""
        parsed = new.parsed
        study = self._studies.get(parsed.study_instance_uid) or self._create_study(new, created)
        uid = parsed.series_instance_uid
        orthanc_id = digest(study.patient_id, study.uid, uid)
        values = {
            **rows.matching_values(Level.SERIES, parsed.dataset),
            **self._new_row(orthanc_id, "number_of_series_related_instances"),
            "study_row_id": study.row_id,
            "series_instance_uid": uid,
        }
        row_id = self._insert_level(self.statements.add_series, values)
        lines = self._lines_of(Level.SERIES, row_id, parsed.dataset)
        self.statements.add_series_attributes.run(self.cursor, {"series_row_id": row_id, **lines})
        created.insert(0, (Level.SERIES, orthanc_id))
        study.growth.series += 1
        if values["modality"] and values["modality"] not in study.modalities:
            study.modalities.append(values["modality"])
        series = SeriesRow(row_id, uid, orthanc_id, study, is_new=True)
        self._series[study.uid, uid] = series
        return series

    def add_tag_values(self, of_instances: list[rows.Row]) -> None:
        """Write what is searched for by configuration, of instances and of what is new above."""
        for level, values in (*self._tag_values.items(), (Level.INSTANCE, of_instances)):
            if values and self.tags:
                self.statements.add_tag_values[level].run_many(self.cursor, values)
        self._tag_values.clear()

    def grow(self) -> None:
        """Write down by how much studies and series have grown, studies first."""
        for study in self._studies.values():
            if study.growth.instances:
                self._grow_study(study)
        for series in self._series.values():
            if series.growth.instances:
                parameters = {**self._growth(series.growth), "this": series.row_id}
                self.statements.grow_series.run(self.cursor, parameters)
                series.growth = CountDelta()

    def forget(self) -> None:
        """Read everything anew: something was removed."""
        self._studies.clear()
        self._series.clear()

    def _read(
        self, study_uid: str, series_uid: str, uids: Sequence[str]
    ) -> tuple[SeriesRow | None, Sequence[str]]:
        """Return the series, and the UIDs that were not looked up in it yet."""
        parameters = {"study_instance_uid": study_uid, "series_instance_uid": series_uid}
        find = self.statements.find_place
        if len(uids) == 1:
            find, parameters["uid_0"] = self.statements.find_place_and_known, uids[0]
        found: Any = find.run(self.cursor, parameters).fetchone()
        if found is not None and found[0] is None:
            # The patient came with the study, after this began to wait for the one who made them.
            found = find.run(self.cursor, parameters).fetchone()
        if found is None:
            return None, uids
        *of_study, series_row_id, series_orthanc_id = found[:_PLACE_COLUMNS]
        study = self._studies.get(study_uid)
        if study is None:
            study = self._studies[study_uid] = _study(study_uid, *of_study)
        if series_row_id is None:
            return None, uids
        series = SeriesRow(series_row_id, series_uid, series_orthanc_id, study)
        self._series[study_uid, series_uid] = series
        known = found[_PLACE_COLUMNS:]
        if known and known[0] is not None:
            series.add_known(*known)
        return series, () if known else uids

    def _create_study(self, new: NewInstance, created: Created) -> StudyRow:
        dataset, uid = new.parsed.dataset, new.parsed.study_instance_uid
        patient_id = patient_id_of(dataset)
        patient_row_id = self._find_or_create_patient(patient_id, dataset, created)
        orthanc_id = digest(patient_id, uid)
        counts = ("number_of_study_related_series", "number_of_study_related_instances")
        values = {
            **rows.matching_values(Level.STUDY, dataset),
            **self._new_row(orthanc_id, *counts),
            "patient_row_id": patient_row_id,
            "study_instance_uid": uid,
        }
        row_id = self._insert_level(self.statements.add_study, values)
        lines = self._lines_of(Level.STUDY, row_id, dataset)
        self.statements.add_study_attributes.run(self.cursor, {"study_row_id": row_id, **lines})
        created.insert(0, (Level.STUDY, orthanc_id))
        study = StudyRow(row_id, uid, orthanc_id, patient_id, digest(patient_id), [], [])
        self._studies[uid] = study
        return study

    def _find_or_create_patient(self, patient_id: str, dataset: Dataset, created: Created) -> int:
        orthanc_id = digest(patient_id)
        find = self.statements.find_patient
        found: Any = find.run(self.cursor, {"orthanc_id": orthanc_id}).fetchone()
        if found is not None:
            return int(found[0])
        created.append((Level.PATIENT, orthanc_id))
        values = {
            "orthanc_id": orthanc_id,
            "patient_id": patient_id,
            "answer": rows.of_patient(dataset),
            "created": self.now,
        }
        return self._insert_level(self.statements.add_patient, values)

    def _grow_study(self, study: StudyRow) -> None:
        parameters = {
            **self._growth(study.growth),
            "this": study.row_id,
            "more_series": study.growth.series,
            "modalities": rows.marked(study.modalities),
            "sop_classes": rows.marked(study.sop_classes),
        }
        self.statements.grow_study.run(self.cursor, parameters)
        study.growth = CountDelta()

    def _lines_of(self, level: Level, row_id: int, dataset: Dataset) -> dict[str, bytes]:
        if not self.tags:
            return rows.lines_of(level, dataset)
        values = rows.tag_values(level, dataset, self.tags, row_id=row_id)
        self._tag_values.setdefault(level, []).extend(values)
        return rows.lines_of(level, dataset, self.tags.picked(level, dataset))

    def _growth(self, growth: CountDelta) -> dict[str, Any]:
        return {
            "more_instances": growth.instances,
            "more_bytes": growth.bytes,
            "now": self.now,
        }

    def _new_row(self, orthanc_id: bytes, *counts: str) -> dict[str, Any]:
        zeros = dict.fromkeys((*counts, "size"), 0)
        return {**zeros, "orthanc_id": orthanc_id, "created": self.now, "updated": self.now}

    def _insert_level(self, statement: Statement, values: dict[str, Any]) -> int:
        return statement.insert(self.cursor, values)


def _study(uid: str, *columns: Any) -> StudyRow:
    patient_id, patient_orthanc_id, row_id, orthanc_id, modalities, sop_classes = columns
    return StudyRow(
        *(row_id, uid, orthanc_id, patient_id, patient_orthanc_id),
        modalities=rows.elements_of(modalities),
        sop_classes=rows.elements_of(sop_classes),
    )
