"""Results of a search: which columns to read, and how their lines become one result.

The attributes of a level lie encoded beside its row, one a line, so that a result is a merge of
lines (PS3.18 F.2.2 wants them in ascending order of tags) and nothing is encoded again, but for
attributes of an instance that only its document has.
"""

from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, LargeBinary, String, Table, and_, cast, func, literal, select

from lenticular.dicom.model import DICOMWEB_LEVELS, Level
from lenticular.dicom.query_tags import NO_TAGS, QueryTags
from lenticular.dicom.search_attributes import ALWAYS, ANSWERED, LEVEL_TAGS
from lenticular.dicom.tags import (
    AVAILABLE_TRANSFER_SYNTAX_UID,
    MODALITIES_IN_STUDY,
    NUMBER_OF_SERIES_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_INSTANCES,
    NUMBER_OF_STUDY_RELATED_SERIES,
    SERIES_INSTANCE_UID,
    SOP_CLASSES_IN_STUDY,
    STUDY_INSTANCE_UID,
)
from lenticular.index.sql import document_bytes
from lenticular.index.sql.dialect import Dialect
from lenticular.index.sql.schema import (
    documents,
    instances,
    series,
    series_attributes,
    studies,
    study_attributes,
)
from lenticular.index.write.rows import elements_of

_EMPTY = {
    level: {tag.encode(): f'"{tag}":{{"vr":"{vr}"}}'.encode() for tag, vr in attributes}
    for level, attributes in ALWAYS.items()
}
"""Answers of attributes that are answered even without a value."""


_ATTRIBUTES: dict[Level, tuple[Table, ColumnElement[bool]]] = {
    Level.STUDY: (study_attributes, study_attributes.c.study_row_id == studies.c.row_id),
    Level.SERIES: (series_attributes, series_attributes.c.series_row_id == series.c.row_id),
    Level.INSTANCE: (
        documents,
        and_(
            documents.c.series_row_id == series.c.row_id,
            documents.c.instance_row_id == instances.c.row_id,
        ),
    ),
}
"""Beside the rows of a level: the table of what is answered, and how to join it."""
_STUDY_TAGS = LEVEL_TAGS[Level.PATIENT] | LEVEL_TAGS[Level.STUDY]

Lines = Callable[[Any], Iterable[bytes]]
"""Takes a column's value apart into encoded attributes."""

Step = tuple[ColumnElement[Any], Lines]

_OURS = frozenset({b"00080056", b"00081190"})
"""InstanceAvailability and RetrieveURL, which the service computes and never reads from a file."""


@dataclass(frozen=True, slots=True)
class _Computed:
    """An attribute that is in no file; some are only answered when asked for."""

    level: Level
    tag: str
    column: ColumnElement[Any]
    lines: Lines
    by_default: bool = True


@dataclass(frozen=True, slots=True)
class _LevelProjection:
    """The attributes wanted of one level: the usual ones, further tags, or everything."""

    level: Level
    usual: bool
    tags: frozenset[str]
    everything: bool
    query_tags: QueryTags

    def wants(self, computed: _Computed) -> bool:
        asked_for = computed.tag in self.tags or self.everything
        usual = self.usual and computed.by_default
        return computed.level is self.level and (asked_for or usual)

    def steps(self) -> Iterator[Step]:
        """Return the columns to read, and how to read the attributes from each."""
        columns, answered = _ATTRIBUTES[self.level][0].c, ANSWERED[self.level]
        beyond = self.tags - answered
        in_document = self.level is Level.INSTANCE and not beyond <= LEVEL_TAGS[Level.INSTANCE]
        if in_document or (self.everything and self.level is Level.INSTANCE):
            wanted = None if self.everything else beyond
            yield columns.body, _from_document(wanted, self.query_tags)
        elif beyond or self.everything:
            beyond = self.query_tags.with_creators(beyond)
            yield columns.extra, _split if self.everything else _chosen(beyond)
        if self.usual or self.everything:
            yield columns.answer, _split
        elif self.tags & answered:
            yield columns.answer, _chosen(self.tags)


@dataclass(frozen=True, slots=True)
class Projection:
    """The columns that a search reads, and how they become results."""

    columns: tuple[ColumnElement[Any], ...]
    tables: tuple[tuple[Table, ColumnElement[bool]], ...]
    _lines: tuple[Lines, ...]
    _empty: dict[bytes, bytes]

    @classmethod
    def of(
        cls,
        level: Level,
        in_path: Set[Level],
        included: frozenset[str],
        include_all: bool,
        query_tags: QueryTags,
    ) -> "Projection":
        """Return the projection for results of a level, without the levels that the path names."""
        steps: list[Step] = []
        computed: list[Step] = []
        empty: dict[bytes, bytes] = {}
        for part in _parts(level, in_path, included, include_all, query_tags):
            steps += part.steps()
            computed += [(c.column, c.lines) for c in _COMPUTED if part.wants(c)]
            if part.usual:
                empty |= _EMPTY[part.level]
            else:  # the unique key all the same, as with C-FIND (PS3.4 C.4.1.1.3.2)
                steps.append(_UNIQUE_KEYS[part.level])
        # Computed attributes replace stored ones, and these those of an instance's document.
        steps.sort(key=lambda step: step[0] is not documents.c.body)
        steps += computed
        columns = tuple(column for column, _ in steps)
        return cls(
            columns,
            tuple(t for t in _ATTRIBUTES.values() if any(c.table is t[0] for c in columns)),
            tuple(lines for _, lines in steps),
            empty,
        )

    def attributes(self, row: Iterable[Any]) -> list[bytes]:
        """Return the encoded attributes of a result; of one at several levels, the lowest's."""
        merged = self._empty.copy()
        for lines, value in zip(self._lines, row, strict=True):
            for line in lines(value):
                merged[line[1:9]] = line
        for tag in _OURS & merged.keys():
            del merged[tag]
        return sorted(merged.values())


def _parts(
    level: Level,
    in_path: Set[Level],
    included: frozenset[str],
    include_all: bool,
    query_tags: QueryTags,
) -> Iterator[_LevelProjection]:
    levels = DICOMWEB_LEVELS[: level.depth]
    # An instance answers with what it has itself.
    extended = query_tags if level is not Level.INSTANCE else NO_TAGS
    for each in levels:
        yield _LevelProjection(
            each,
            usual=each not in in_path,
            tags=frozenset(
                tag for tag in included if level_of(tag) is each or extended.keeps(each, tag)
            ),
            everything=include_all and each is level,
            query_tags=query_tags,
        )


def level_of(tag: str) -> Level:
    """Return the level whose row holds an attribute."""
    for computed in _COMPUTED:
        if computed.tag == tag:
            return computed.level
    if tag in _STUDY_TAGS:
        return Level.STUDY
    return Level.SERIES if tag in LEVEL_TAGS[Level.SERIES] else Level.INSTANCE


def offset_from_utc(level: Level, dialect: Dialect) -> ColumnElement[Any]:
    """Select the Timezone Offset From UTC of a row, out of its attributes."""
    attributes, beside = _ATTRIBUTES[level]
    start = literal(b'"00080201":{"vr":"SH","Value":["', LargeBinary)
    position = func.nullif(dialect.position(attributes.c.answer, start), 0)
    offset = func.substr(attributes.c.answer, position + func.length(start), len("+0100"))
    return select(cast(offset, String(5))).where(beside).scalar_subquery()


def _split(lines: bytes) -> list[bytes]:
    return lines.split(b"\n") if lines else []


def _chosen(tags: Set[str]) -> Lines:
    keys = {tag.encode() for tag in tags}
    return lambda lines: [line for line in _split(lines) if line[1:9] in keys]


def _from_document(tags: Set[str] | None, query_tags: QueryTags) -> Lines:
    def lines(body: bytes) -> list[bytes]:
        dataset = document_bytes.decode(body)
        chosen = dataset if tags is None else query_tags.chosen(tags, dataset)
        return [b'"%s":%s' % (tag.encode(), orjson.dumps(each)) for tag, each in chosen.items()]

    return lines


def _number(tag: str) -> Lines:
    start = f'"{tag}":{{"vr":"IS","Value":['.encode()
    return lambda value: (b"%s%d]}" % (start, value),)


def _text(tag: str, vr: str) -> Lines:
    start = f'"{tag}":{{"vr":"{vr}","Value":["'.encode()
    return lambda value: (start + value.encode() + b'"]}',)


def _modalities(marked: str | None) -> tuple[bytes, ...]:
    # Left out rather than empty: viewers stumble over a ModalitiesInStudy without a value.
    values = sorted(element.upper() for element in elements_of(marked))
    return (b'"00080061":{"vr":"CS","Value":%s}' % orjson.dumps(values),) if values else ()


def _sop_classes(marked: str | None) -> tuple[bytes, ...]:
    return (b'"00080062":{"vr":"UI","Value":%s}' % orjson.dumps(elements_of(marked)),)


_UNIQUE_KEYS = {
    Level.STUDY: (studies.c.study_instance_uid, _text(STUDY_INSTANCE_UID, "UI")),
    Level.SERIES: (series.c.series_instance_uid, _text(SERIES_INSTANCE_UID, "UI")),
}
_COMPUTED = (
    _Computed(Level.STUDY, MODALITIES_IN_STUDY, studies.c.modalities_in_study, _modalities),
    _Computed(
        Level.STUDY, SOP_CLASSES_IN_STUDY, studies.c.sop_classes_in_study, _sop_classes, False
    ),
    _Computed(
        *(
            Level.STUDY,
            NUMBER_OF_STUDY_RELATED_SERIES,
            studies.c.number_of_study_related_series,
            _number(NUMBER_OF_STUDY_RELATED_SERIES),
        )
    ),
    _Computed(
        *(
            Level.STUDY,
            NUMBER_OF_STUDY_RELATED_INSTANCES,
            studies.c.number_of_study_related_instances,
        ),
        lines=_number(NUMBER_OF_STUDY_RELATED_INSTANCES),
    ),
    _Computed(
        *(
            Level.SERIES,
            NUMBER_OF_SERIES_RELATED_INSTANCES,
            series.c.number_of_series_related_instances,
        ),
        lines=_number(NUMBER_OF_SERIES_RELATED_INSTANCES),
    ),
    _Computed(
        *(Level.INSTANCE, AVAILABLE_TRANSFER_SYNTAX_UID, instances.c.available_transfer_syntax_uid),
        lines=_text(AVAILABLE_TRANSFER_SYNTAX_UID, "UI"),
        by_default=False,
    ),
)
