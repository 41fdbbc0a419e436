"""From a dataset to rows: which of its values go into which columns of which level.

Everything here is computed before the database is locked, or once for a new study or series.
"""

from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import orjson

from lenticular.dicom.integers import integer
from lenticular.dicom.match.matchers import name_groups, normal_text
from lenticular.dicom.match.temporal import date_bounds, datetime_bounds, time_bounds
from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.query_tags import QueryTags
from lenticular.dicom.search_attributes import (
    ANSWERED,
    LEVEL_TAGS,
    PATIENT_TAGS,
    SEARCHED,
    Attribute,
    MatchingKind,
)
from lenticular.dicom.tags import TIMEZONE_OFFSET_FROM_UTC
from lenticular.dicom.uids import MAX_IDENTIFIER_LENGTH
from lenticular.index.records import NewInstance
from lenticular.index.sql import document_bytes, layout_bytes
from lenticular.index.sql.schema import column_names

LIST_MARK = "\\"
"""Stands before and after each element of a column with several: `\\CT\\PT\\`."""

_NOTHING = (None, None)

Row = dict[str, Any]
Values = Sequence[Any]
Compared = tuple[Any, ...]
Convert = Callable[[Values, Dataset], Compared]
"""From the values of an attribute to its matching columns."""


@dataclass(frozen=True, slots=True)
class InstanceRows:
    """The rows of one instance, complete but for the ids of the rows they belong to."""

    new: NewInstance
    instance: Row
    document: Row
    frames: list[bytes]
    tag_values: list[Row]


def of_instance(new: NewInstance, tags: QueryTags) -> InstanceRows:
    """Return the rows of an instance."""
    parsed = new.parsed
    dataset, pixels = parsed.dataset, parsed.layout.pixels
    layout, frames = layout_bytes.encode(parsed.layout)
    instance = {
        **matching_values(Level.INSTANCE, dataset),
        "sop_instance_uid": parsed.sop_instance_uid,
        "sop_class_uid": parsed.sop_class_uid,
        "available_transfer_syntax_uid": parsed.transfer_syntax_uid,
        "storage_key": new.key,
        "size": new.size,
        "sha256": new.sha256,
        "frame_count": pixels.number_of_frames if pixels else 0,
    }
    document = {
        "layout": layout,
        "body": document_bytes.encode(dataset),
        **lines_of(Level.INSTANCE, dataset),
    }
    values = tag_values(Level.INSTANCE, dataset, tags)
    return InstanceRows(new, instance, document, frames, values)


def matching_values(level: Level, dataset: Dataset) -> Row:
    """Return the matching columns of a level; what is counted or computed is left to the caller."""
    row = _EMPTY[level].copy()
    for tag, columns, convert in _CONVERTERS[level]:
        element = dataset.get(tag)
        if element is not None and (values := element.get("Value")):
            row.update(zip(columns, convert(values, dataset), strict=True))
    return row


def lines_of(level: Level, dataset: Dataset, picked: Dataset | None = None) -> dict[str, bytes]:
    """Return the attributes of a level, one encoded attribute a line: `answer` and `extra`.

    `picked` is what a configuration adds to the latter.
    """
    extra = _lines(dataset, _EXTRA_TAGS[level])
    return {
        "answer": _lines(dataset, _ANSWER_TAGS[level]),
        "extra": b"\n".join(filter(None, (extra, _lines(picked, picked)))) if picked else extra,
    }


def tags_in(lines: bytes) -> frozenset[str]:
    """Return the tags of the attributes that lines have."""
    return frozenset(line[1:9].decode() for line in lines.split(b"\n"))


def extra_again(extra: bytes, level: Level, remaining_tags: Set[str], new: Dataset) -> bytes:
    """Return the lines with new ones; of the query tags only these remain."""
    remaining = {*remaining_tags, *_EXTRA_TAGS[level]}
    lines = [line for line in extra.split(b"\n") if line[1:9].decode() in remaining]
    return b"\n".join(filter(None, [*lines, _lines(new, new)]))


def tag_values(level: Level, dataset: Dataset, tags: QueryTags, **of_row: int) -> list[Row]:
    """Return the rows of query tag values; `of_row` names the row they belong to."""
    return [
        {"tag_id": tag.tag_id, "part": part, "value": value, **of_row}
        for tag, (part, value) in (tags.values(level, dataset) if tags else ())
    ]


def of_patient(dataset: Dataset) -> bytes:
    """Return the attributes of the patient as lines."""
    return _lines(dataset, sorted(PATIENT_TAGS))


def marked_list(values: Iterable[Any]) -> str | None:
    """Return several values in the form of one column, folded; None if there are none."""
    return marked(dict.fromkeys(filter(None, (normal_text(each) for each in values if each))))


def marked(elements: Collection[str]) -> str | None:
    """Return the elements, folded already, as one column holds them."""
    return LIST_MARK + LIST_MARK.join(elements) + LIST_MARK if elements else None


def elements_of(marked: str | None) -> list[str]:
    """Return the elements of such a column."""
    return marked[1:-1].split(LIST_MARK) if marked else []


def _lines(dataset: Dataset, tags: Iterable[str]) -> bytes:
    return b"\n".join(
        b'"%s":%s' % (tag.encode(), orjson.dumps(dataset[tag])) for tag in tags if tag in dataset
    )


def _inside(tag: str) -> Convert:
    """Return the values of an attribute in all items of a sequence."""

    def convert(items: Values, dataset: Dataset) -> Compared:
        elements = [item.get(tag) or {} for item in items if isinstance(item, dict)]
        return (marked_list(value for each in elements for value in each.get("Value") or ()),)

    return convert


def _first(normal: Callable[[str], Any]) -> Convert:
    """Return the first of the values, in the form in which it is compared."""
    return lambda values, _: (None if values[0] is None else normal(str(values[0])),)


def _start(bounds: Callable[[str], tuple[str, str] | None]) -> Convert:
    """Return the first instant that the value covers."""
    return _first(lambda value: (bounds(value) or _NOTHING)[0])


def _moment(values: Values, dataset: Dataset) -> Compared:
    offsets = (dataset.get(TIMEZONE_OFFSET_FROM_UTC) or {}).get("Value") or [""]
    return ((datetime_bounds(str(values[0]), str(offsets[0])) or _NOTHING)[0],)


def _list(values: Values, _: Dataset) -> Compared:
    return (marked_list(values),)


def _names(values: Values, _: Dataset) -> Compared:
    """Return the groups of all names, each an element."""
    return (marked_list(group for value in values for group in name_groups(value)),)


_CONVERT: dict[MatchingKind, Convert] = {
    MatchingKind.TEXT: _first(normal_text),
    MatchingKind.TEXTS: _list,
    MatchingKind.NAME: lambda values, _: name_groups(values[0]),
    MatchingKind.UID: _first(lambda value: value.strip(" \0")[:MAX_IDENTIFIER_LENGTH] or None),
    MatchingKind.UIDS: _list,
    MatchingKind.DATE: _start(date_bounds),
    MatchingKind.TIME: _start(time_bounds),
    MatchingKind.DATETIME: _moment,
    MatchingKind.NUMBER: _first(integer),
}


def _converter(attribute: Attribute) -> Convert:
    if len(attribute.path) > 1:
        return _inside(attribute.path[1])
    return (
        _names
        if attribute.kind is MatchingKind.TEXTS and attribute.vr == "PN"
        else _CONVERT[attribute.kind]
    )


_CONVERTERS = {
    level: [(each.tag, column_names(each), _converter(each)) for each in attributes]
    for level, attributes in SEARCHED.items()
}
_EMPTY: dict[Level, Row] = {
    level: dict.fromkeys(column for each in attributes for column in column_names(each))
    for level, attributes in SEARCHED.items()
}
_ANSWER_TAGS = {level: sorted(tags) for level, tags in ANSWERED.items()}
_EXTRA_TAGS = {
    level: sorted(
        (LEVEL_TAGS[level] | (PATIENT_TAGS if level is Level.STUDY else frozenset())) - tags
    )
    for level, tags in ANSWERED.items()
}
