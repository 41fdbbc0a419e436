"""From a dataset to rows: which of its values go into which columns of which level.

Everything here is computed before the database is locked, or once for a new study or series.
"""

import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from lenticular.dicom.attributes import (
    ANSWERED,
    LEVEL_TAGS,
    PATIENT_TAGS,
    SEARCHED,
    Attribute,
    Kind,
)
from lenticular.dicom.instance import Dataset, Level
from lenticular.dicom.matching import name_groups, normal_name, normal_number, normal_text
from lenticular.dicom.moments import date_bounds, datetime_bounds, time_bounds
from lenticular.index import layouts
from lenticular.index.records import NewInstance
from lenticular.index.schema import column_names

COMPRESSION_LEVEL = 1
"""Most of what zlib gains, at a third of the time of its default."""

LIST_MARK = "\\"
"""Stands before and after each element of a column with several: `\\CT\\PT\\`."""

PATIENT_ID = "00100020"
MODALITY = "00080060"
_TIMEZONE = "00080201"
_COMPUTED = frozenset({"ModalitiesInStudy", "SOPClassesInStudy"})

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class InstanceRows:
    """The rows of one instance, complete but for the ids of the rows they belong to."""

    new: NewInstance
    instance: Row
    document: Row
    frames: list[bytes]


def of_instance(new: NewInstance) -> InstanceRows:
    """The rows of an instance."""
    parsed = new.parsed
    dataset, pixels = parsed.dataset, parsed.layout.pixels
    layout, frames = layouts.encode(parsed.layout)
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
        "body": zlib.compress(orjson.dumps(dataset), COMPRESSION_LEVEL),
        **lines_of(Level.INSTANCE, dataset),
    }
    return InstanceRows(new, instance, document, frames)


def matching_values(level: Level, dataset: Dataset) -> Row:
    """The matching columns of a level; those that are counted come out empty."""
    values: Row = {}
    for attribute, tag, columns, convert in _CONVERTERS[level]:
        element = dataset.get(tag)
        if element is None or not element.get("Value"):
            for column in columns:
                values[column] = None
        elif attribute.kind is Kind.NAME:
            values.update(zip(columns, name_groups(element["Value"][0]), strict=True))
        elif attribute.kind is Kind.DATETIME:
            values[attribute.column] = _moment(element["Value"][0], dataset)
        elif len(attribute.path) > 1:
            values[attribute.column] = marked_list(_inside(element["Value"], attribute.path[1]))
        else:
            values[attribute.column] = convert(element["Value"])
    return values


def lines_of(level: Level, dataset: Dataset) -> dict[str, bytes]:
    """What is answered of a level, one encoded attribute a line: `answer` and `extra`."""
    return {
        "answer": _lines(dataset, _ANSWER_TAGS[level]),
        "extra": _lines(dataset, _EXTRA_TAGS[level]),
    }


def of_patient(dataset: Dataset) -> bytes:
    """The attributes of the patient as lines."""
    return _lines(dataset, sorted(PATIENT_TAGS))


def patient_id(dataset: Dataset) -> str:
    """PatientID as Orthanc identifies by it: leading spaces count, padding does not."""
    values = (dataset.get(PATIENT_ID) or {}).get("Value") or ()
    return LIST_MARK.join("" if value is None else str(value) for value in values).rstrip(" \0")


def marked_list(values: Iterable[Any]) -> str | None:
    """Several values as one column holds them, folded; None when there are none."""
    return marked(dict.fromkeys(filter(None, map(normal_text, values))))


def marked(elements: Collection[str]) -> str | None:
    """The elements, folded already, as one column holds them."""
    return LIST_MARK + LIST_MARK.join(elements) + LIST_MARK if elements else None


def elements_of(marked: str | None) -> list[str]:
    """The elements of such a column."""
    return marked[1:-1].split(LIST_MARK) if marked else []


def _lines(dataset: Dataset, tags: Iterable[str]) -> bytes:
    return b"\n".join(
        b'"%s":%s' % (tag.encode(), orjson.dumps(dataset[tag])) for tag in tags if tag in dataset
    )


def _inside(items: Sequence[Any], tag: str) -> list[Any]:
    """The values of an attribute in all items of a sequence."""
    elements = [item.get(tag) or {} for item in items if isinstance(item, dict)]
    return [value for element in elements for value in element.get("Value") or ()]


def _moment(value: Any, dataset: Dataset) -> str | None:
    offset = ((dataset.get(_TIMEZONE) or {}).get("Value") or [None])[0]
    bounds = datetime_bounds(str(value), str(offset) if offset else None)
    return bounds[0] if bounds else None


def _low(bounds: Callable[[str], tuple[str, str] | None]) -> Callable[[Sequence[Any]], str | None]:
    def convert(values: Sequence[Any]) -> str | None:
        found = bounds(str(values[0]))
        return found[0] if found else None

    return convert


def _first_text(values: Sequence[Any]) -> str | None:
    return None if values[0] is None else normal_text(values[0])


def _names(values: Sequence[Any]) -> str | None:
    """The groups of all names, each an element."""
    groups = [group for value in values for group in name_groups(value)]
    return marked_list(normal_name(group) for group in groups if group)


def _first_number(values: Sequence[Any]) -> int | None:
    return normal_number(values[0])


_CONVERT: dict[Kind, Callable[[Sequence[Any]], Any]] = {
    Kind.TEXT: _first_text,
    Kind.TEXTS: lambda values: marked_list(value for value in values if value is not None),
    Kind.NAME: _first_text,
    Kind.UID: lambda values: str(values[0] or "").strip(" \0") or None,
    Kind.UIDS: lambda values: marked_list(value for value in values if value is not None),
    Kind.DATE: _low(date_bounds),
    Kind.TIME: _low(time_bounds),
    Kind.DATETIME: _first_text,
    Kind.NUMBER: _first_number,
}


def _converter(attribute: Attribute) -> Callable[[Sequence[Any]], Any]:
    if attribute.vr == "PN":
        return _names
    if attribute.kind is Kind.UID:
        return lambda values: str(values[0] or "").strip(" \0")[:64] or None
    return _CONVERT[attribute.kind]


_CONVERTERS = {
    level: [
        (attribute, attribute.tag, column_names(attribute), _converter(attribute))
        for attribute in attributes
    ]
    for level, attributes in SEARCHED.items()
}
_ANSWER_TAGS = {level: sorted(tags) for level, tags in ANSWERED.items()}
_EXTRA_TAGS = {
    level: sorted(
        (LEVEL_TAGS[level] | (PATIENT_TAGS if level is Level.STUDY else frozenset())) - tags
    )
    for level, tags in ANSWERED.items()
}
