"""Reading for retrieval: which instances there are, and where their bytes lie."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, func, select
from sqlalchemy.engine.interfaces import DBAPICursor

from lenticular.dicom.model import Level, Target
from lenticular.dicom.orthanc_id import from_digest
from lenticular.errors import DamagedRow, NotFound
from lenticular.index.records import LocatedInstance, Statistics, StoredInstance
from lenticular.index.sql import layout_bytes
from lenticular.index.sql.database import Database, Statement
from lenticular.index.sql.schema import documents, frames, instances, patients, series, studies

DOCUMENTS_AT_ONCE = 200
STORED_AT_ONCE = 32
_SIZES = (1, 30, DOCUMENTS_AT_ONCE)
"""Numbers of documents that one statement reads; one where a statement costs no round trip."""

STORED = (
    instances.c.row_id,
    studies.c.study_instance_uid,
    series.c.series_instance_uid,
    instances.c.sop_instance_uid,
    instances.c.sop_class_uid,
    instances.c.available_transfer_syntax_uid,
    instances.c.frame_count,
    instances.c.storage_key,
    instances.c.size,
    instances.c.sha256,
    instances.c.orthanc_id,
)
"""The columns of a StoredInstance, in its order."""

_UIDS = (
    studies.c.study_instance_uid,
    series.c.series_instance_uid,
    instances.c.sop_instance_uid,
)
_ORDER = (
    series.c.series_number,
    series.c.row_id,
    instances.c.instance_number,
    instances.c.row_id,
)
_ALL = instances.join(series).join(studies)


class RetrievalReader:
    """Answers for retrieval."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._find = {
            depth: database.prepare(_select(*STORED, depth=depth).order_by(*_ORDER))
            for depth in (1, 2, 3)
        }
        self._locate = database.prepare(_select_layout())
        self._already_stored = {
            many: database.prepare(_select_already_stored(many)) for many in (1, STORED_AT_ONCE)
        }
        self._frames = database.prepare(
            select(frames.c.ranges).where(
                frames.c.instance_row_id == bindparam("instance_row_id"),
                frames.c.chunk == bindparam("number"),
            )
        )
        self._document_keys = {
            depth: database.prepare(
                _select(series.c.row_id, instances.c.row_id, depth=depth).order_by(*_ORDER)
            )
            for depth in (1, 2, 3)
        }
        self._documents = {many: database.prepare(_select_documents(many)) for many in _SIZES}

    def find(self, target: Target) -> list[StoredInstance]:
        """Return all instances of the target by SeriesNumber and InstanceNumber."""
        return [stored_instance(row) for row in self._rows(self._find[_depth(target)], target)]

    def after(self, row_id: int, beginning: str, limit: int) -> list[StoredInstance]:
        """Return some instances after a row whose keys begin so, in the order of their rows."""
        wanted = (
            select(*STORED)
            .select_from(_ALL)
            .where(instances.c.row_id > row_id)
            .where(instances.c.storage_key.startswith(beginning, autoescape=True))
            .order_by(instances.c.row_id)
            .limit(limit)
        )
        with self._database.connect() as connection:
            return [stored_instance(row) for row in connection.execute(wanted)]

    def locate(self, target: Target) -> LocatedInstance | None:
        """Return one instance with the positions of its frames and bulk data, None if unknown."""
        for *stored, layout in self._rows(self._locate, target):
            try:
                return LocatedInstance(stored_instance(stored), layout_bytes.decode(layout))
            except (ValueError, TypeError, LookupError) as error:
                raise DamagedRow("The layout of an instance in the index is damaged.") from error
        return None

    def already_stored(
        self, instances: Sequence[tuple[Target, bytes]]
    ) -> list[dict[Level, str] | None]:
        """Return the Orthanc ids of each instance that has exactly these bytes; else None."""
        found: dict[tuple[Target, bytes], dict[Level, str]] = {}
        uids = [target.sop_instance_uid for target, _ in instances]
        with self._database.cursor() as cursor:
            for start in range(0, len(uids), STORED_AT_ONCE):
                some = uids[start : start + STORED_AT_ONCE]
                some += some[-1:] * (STORED_AT_ONCE - len(some)) if len(some) > 1 else []
                parameters = {f"uid_{number}": uid for number, uid in enumerate(some)}
                rows: Any = self._already_stored[len(some)].run(cursor, parameters).fetchall()
                for study, series_uid, sop, sha256, *ids in rows:
                    orthanc_ids = dict(zip(Level, map(from_digest, ids), strict=True))
                    found[Target(study, series_uid, sop), sha256] = orthanc_ids
        return [found.get(each) for each in instances]

    def named_keys(self, keys: Sequence[str]) -> set[str]:
        """Return those of the keys that any row names. Reads all rows, so ask for many at once."""
        if not keys:
            return set()
        named = select(instances.c.storage_key).where(instances.c.storage_key.in_(keys))
        with self._database.connect() as connection:
            return set(connection.scalars(named))

    def frame_ranges(
        self, located: LocatedInstance, frame_numbers: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Return offset and length in the file of each of these frames of encapsulated pixels."""
        pixels = located.layout.pixels
        inline = pixels.frames if pixels is not None else ()
        if inline:
            return [_range_inline(inline, frame_number) for frame_number in frame_numbers]
        chunks: dict[int, bytes] = {}
        with self._database.cursor() as cursor:
            for number in sorted({layout_bytes.chunk_of(frame) for frame in frame_numbers}):
                found: Any = self._frames.run(
                    cursor, {"instance_row_id": located.instance.row_id, "number": number}
                ).fetchone()
                if found is not None:
                    chunks[number] = found[0]
        return [_range_in(chunks, frame_number) for frame_number in frame_numbers]

    def documents(
        self,
        target: Target,
        replacement: Callable[[StoredInstance], bytes | None] = lambda _: None,
    ) -> Iterator[bytes]:
        """Yield the DICOM JSON of each instance in the order of `find`, a few at a time.

        For a document that is damaged `replacement` returns another one, or None to leave it out.
        """
        keys = self._rows(self._document_keys[_depth(target)], target)
        # Not one long read: for a slow client the write-ahead log could not be checkpointed.
        for start in range(0, len(keys), DOCUMENTS_AT_ONCE):
            some = keys[start : start + DOCUMENTS_AT_ONCE]
            with self._database.cursor() as cursor:
                bodies = self._bodies(cursor, some)
            for (_, row_id), body in zip(some, bodies, strict=True):
                if body is None:
                    continue
                try:
                    document: bytes | None = zlib.decompress(body)
                except zlib.error:
                    document = next(map(replacement, self.after(row_id - 1, "", 1)), None)
                if document is not None:
                    yield document

    def _bodies(self, cursor: DBAPICursor, keys: Sequence[tuple[int, int]]) -> list[bytes | None]:
        """Return the documents of these series and instances; one statement for each series."""
        found: dict[int, bytes] = {}
        at_once = 1 if self._database.dialect.is_embedded else DOCUMENTS_AT_ONCE
        for series_row_id, of_series in groupby(keys, key=itemgetter(0)):
            rows = [instance_row_id for _, instance_row_id in of_series]
            for start in range(0, len(rows), at_once):
                some = rows[start : start + at_once]
                some += some[-1:] * (_size_for(len(some)) - len(some))
                parameters = {f"row_{number}": row_id for number, row_id in enumerate(some)}
                parameters["series_row_id"] = series_row_id
                found.update(self._documents[len(some)].run(cursor, parameters).fetchall())
        return [found.get(instance_row_id) for _, instance_row_id in keys]

    def representative(self, target: Target) -> StoredInstance | None:
        """Return the representative instance of the target, for a thumbnail.

        The middle one of the first series with pixels, segmentations last; without any pixels
        the middle one of all.
        """
        if _depth(target) == 3:
            return next(iter(self.find(target)), None)
        with self._database.connect() as connection:
            found = connection.execute(_select_series_with_pixels(target)).first()
            if found is not None:
                middle = _select_picture(found.row_id, found.pictures // 2)
                return stored_instance(connection.execute(middle).one())
        candidates = self.find(target)
        return candidates[len(candidates) // 2] if candidates else None

    def statistics(self) -> Statistics:
        """Return how much is stored."""
        counted = select(
            select(func.count()).select_from(patients).scalar_subquery(),
            func.count(),
            func.coalesce(func.sum(studies.c.number_of_study_related_series), 0),
            func.coalesce(func.sum(studies.c.number_of_study_related_instances), 0),
            func.coalesce(func.sum(studies.c.size), 0),
        ).select_from(studies)
        with self._database.connect() as connection:
            return Statistics(*map(int, connection.execute(counted).one()))

    def _rows(self, statement: Statement, target: Target) -> list[tuple[Any, ...]]:
        with self._database.cursor() as cursor:
            return list(statement.run(cursor, _uids(target)).fetchall())


def _depth(target: Target) -> int:
    return 1 + (target.series_instance_uid is not None) + (target.sop_instance_uid is not None)


def _uids(target: Target) -> dict[str, Any]:
    return {
        "study_uid": target.study_instance_uid,
        "series_uid": target.series_instance_uid,
        "sop_uid": target.sop_instance_uid,
    }


def _select(*columns: ColumnElement[Any], depth: int) -> Select[Any]:
    """Return a query for columns of the instances of a study, of a series, or of one instance."""
    conditions = (
        studies.c.study_instance_uid == bindparam("study_uid"),
        series.c.series_instance_uid == bindparam("series_uid"),
        instances.c.sop_instance_uid == bindparam("sop_uid"),
    )
    return select(*columns).select_from(_ALL).where(*conditions[:depth])


def _select_layout() -> Select[Any]:
    same = and_(
        documents.c.series_row_id == instances.c.series_row_id,
        documents.c.instance_row_id == instances.c.row_id,
    )
    return _select(*STORED, documents.c.layout, depth=3).join(documents, same)


def _select_already_stored(at_once: int) -> Select[Any]:
    """Return the instances of these UIDs, wherever they are."""
    wanted: list[Any] = [bindparam(f"uid_{number}") for number in range(at_once)]
    ids = (table.c.orthanc_id for table in (patients, studies, series, instances))
    return (
        select(*_UIDS, instances.c.sha256, *ids)
        .select_from(_ALL.join(patients))
        .where(instances.c.sop_instance_uid.in_(wanted))
    )


def _select_documents(at_once: int) -> Select[Any]:
    wanted: list[Any] = [bindparam(f"row_{number}") for number in range(at_once)]
    return select(documents.c.instance_row_id, documents.c.body).where(
        documents.c.series_row_id == bindparam("series_row_id"),
        documents.c.instance_row_id.in_(wanted),
    )


def _size_for(count: int) -> int:
    """Return the size of the shortest list with room for this many; the last value fills it up."""
    return next(size for size in _SIZES if size >= count)


def _select_series_with_pixels(target: Target) -> Select[Any]:
    """Return the first series of the target with pixels, and how many instances of it have some."""
    conditions = [studies.c.study_instance_uid == target.study_instance_uid]
    if target.series_instance_uid is not None:
        conditions.append(series.c.series_instance_uid == target.series_instance_uid)
    is_segmentation = case((series.c.modality == "seg", 1), else_=0)
    return (
        select(series.c.row_id, func.count().label("pictures"))
        .select_from(_ALL)
        .where(*conditions, instances.c.frame_count > 0)
        .group_by(series.c.row_id, series.c.modality, series.c.series_number)
        .order_by(is_segmentation, series.c.series_number, series.c.row_id)
        .limit(1)
    )


def _select_picture(series_row_id: int, position: int) -> Select[Any]:
    return (
        select(*STORED)
        .select_from(_ALL)
        .where(series.c.row_id == series_row_id, instances.c.frame_count > 0)
        .order_by(*_ORDER)
        .offset(position)
        .limit(1)
    )


def stored_instance(row: Sequence[Any]) -> StoredInstance:
    """Return the instance whose STORED columns these are."""
    return StoredInstance(*(*row[:-1], from_digest(row[-1])))


def _range_inline(frames: Sequence[int], frame_number: int) -> tuple[int, int]:
    if not 1 <= frame_number <= len(frames) // 2:
        raise NotFound(f"There is no frame {frame_number}.")
    return frames[2 * frame_number - 2], frames[2 * frame_number - 1]


def _range_in(chunks: dict[int, bytes], frame_number: int) -> tuple[int, int]:
    chunk = chunks.get(layout_bytes.chunk_of(frame_number), b"")
    found = layout_bytes.range_in(chunk, frame_number) if frame_number > 0 else None
    if found is None:
        raise NotFound(f"There is no frame {frame_number}.")
    return found
