"""The content of a structured report as a tree of names and values, PS3.3 C.17.3 and PS3.16.

The tree is made for people to read; it is not checked against the report's template.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lenticular.dicom import tags
from lenticular.dicom.display_text import items, meaning, text, values
from lenticular.dicom.model import Dataset
from lenticular.dicom.pydicom_tables import uid_names

MAX_DEPTH = 100
_MOST_POINTS = 8

EVIDENCE = (
    tags.CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
    tags.PERTINENT_OTHER_EVIDENCE_SEQUENCE,
)  # of the current procedures, and pertinent other evidence


@dataclass(frozen=True, slots=True)
class ReferencedInstance:
    """An instance that a report refers to; its study and series if the report gives them."""

    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frame_numbers: str = ""


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item; references name it by its position (`1.2.3`)."""

    position: str
    value_type: str
    name: str
    value: str = ""
    relationship: str = ""
    reference: ReferencedInstance | None = None
    same_as: str = ""
    """The position of the item that it refers to, instead of a content."""
    children: tuple["ContentItem", ...] = field(default=())


def content_tree(dataset: Dataset) -> ContentItem:
    """Return the root of a report's content."""
    return _item(dataset, "1", _evidence(dataset), MAX_DEPTH)


def _item(
    dataset: Dataset, position: str, evidence: dict[str, ReferencedInstance], depth: int
) -> ContentItem:
    """Return a content item and its children."""
    same_as = ".".join(
        str(number) for number in values(dataset, tags.REFERENCED_CONTENT_ITEM_IDENTIFIER)
    )
    value_type = text(dataset, tags.VALUE_TYPE).upper()
    children = enumerate(items(dataset, tags.CONTENT_SEQUENCE) if depth else (), 1)
    return ContentItem(
        position=position,
        value_type=value_type,
        name=meaning(dataset, tags.CONCEPT_NAME_CODE_SEQUENCE),
        value=_value(dataset, value_type),
        relationship=text(dataset, tags.RELATIONSHIP_TYPE).upper(),
        reference=_reference(dataset, evidence),
        same_as=same_as,
        children=tuple(
            _item(child, f"{position}.{number}", evidence, depth - 1) for number, child in children
        ),
    )


_SIMPLE = {
    "TEXT": tags.TEXT_VALUE, "PNAME": tags.PERSON_NAME, "DATE": tags.DATE, "TIME": tags.TIME,
    "DATETIME": tags.DATE_TIME, "UIDREF": tags.UID,
}  # fmt: skip


def _value(dataset: Dataset, value_type: str) -> str:
    """Return the value of a content item as text."""
    if value_type in _SIMPLE:
        return text(dataset, _SIMPLE[value_type])
    readers = {
        "CODE": lambda: meaning(dataset, tags.CONCEPT_CODE_SEQUENCE),
        "NUM": lambda: _measured(dataset),
        "SCOORD": lambda: _points(dataset, 2),
        "SCOORD3D": lambda: _points(dataset, 3),
        "TCOORD": lambda: _times(dataset),
        **dict.fromkeys(("COMPOSITE", "IMAGE", "WAVEFORM"), lambda: _referenced(dataset)),
    }
    return readers[value_type]() if value_type in readers else ""


def _measured(dataset: Dataset) -> str:
    """Return a number with its unit, or the reason why there is none."""
    for measured in items(dataset, tags.MEASURED_VALUE_SEQUENCE)[:1]:
        unit = "".join(
            text(code, tags.CODE_VALUE)
            for code in items(measured, tags.MEASUREMENT_UNITS_CODE_SEQUENCE)[:1]
        )
        name = "" if unit == "1" else meaning(measured, tags.MEASUREMENT_UNITS_CODE_SEQUENCE)
        return f"{text(measured, tags.NUMERIC_VALUE)} {name}".strip()
    return meaning(dataset, tags.NUMERIC_VALUE_QUALIFIER_CODE_SEQUENCE)


def _points(dataset: Dataset, dimensions: int) -> str:
    """Return the coordinates of points as text."""
    numbers = [
        f"{each:g}" for each in values(dataset, tags.GRAPHIC_DATA) if isinstance(each, int | float)
    ]
    points = [
        f"({', '.join(numbers[at : at + dimensions])})" for at in range(0, len(numbers), dimensions)
    ]
    more = f" and {len(points) - _MOST_POINTS} more" if len(points) > _MOST_POINTS else ""
    graphic_type = text(dataset, tags.GRAPHIC_TYPE).lower()
    return f"{graphic_type} {' '.join(points[:_MOST_POINTS])}{more}".strip()


def _times(dataset: Dataset) -> str:
    """Return the times of a temporal range as text."""
    units = {
        tags.REFERENCED_SAMPLE_POSITIONS: "samples",
        tags.REFERENCED_TIME_OFFSETS: "s",
        tags.REFERENCED_DATE_TIME: "",
    }
    coordinates = (f"{text(dataset, tag)} {unit}" for tag, unit in units.items() if tag in dataset)
    return " ".join([text(dataset, tags.TEMPORAL_RANGE_TYPE).lower(), *coordinates]).strip()


def _referenced(dataset: Dataset) -> str:
    """Return the name of the SOP class of a referenced object."""
    for sop in items(dataset, tags.REFERENCED_SOP_SEQUENCE)[:1]:
        uid = text(sop, tags.REFERENCED_SOP_CLASS_UID)
        frames = text(sop, tags.REFERENCED_FRAME_NUMBER)
        name = uid_names().get(uid, uid).removesuffix(" Storage")
        return f"{name}, frame {frames}" if frames else name
    return ""


def _reference(
    dataset: Dataset, evidence: dict[str, ReferencedInstance]
) -> ReferencedInstance | None:
    """Return the instance that an item refers to."""
    for sop in items(dataset, tags.REFERENCED_SOP_SEQUENCE)[:1]:
        uid = text(sop, tags.REFERENCED_SOP_INSTANCE_UID)
        found = evidence.get(uid, ReferencedInstance(uid))
        frames = text(sop, tags.REFERENCED_FRAME_NUMBER).replace(" ", "")
        series = (found.study_instance_uid, found.series_instance_uid)
        return ReferencedInstance(uid, *series, frames) if uid else None
    return None


def _evidence(dataset: Dataset) -> dict[str, ReferencedInstance]:
    """Return the referenced instances by their SOP Instance UIDs (PS3.3 C.17.2.3)."""
    return {
        found.sop_instance_uid: found
        for tag in EVIDENCE
        for found in _listed_instances(dataset, tag)
    }


def _listed_instances(dataset: Dataset, tag: str) -> Iterator[ReferencedInstance]:
    """Yield the instances that a sequence of evidence lists."""
    for study in items(dataset, tag):
        for series in items(study, tags.REFERENCED_SERIES_SEQUENCE):
            for sop in items(series, tags.REFERENCED_SOP_SEQUENCE):
                uids = (
                    text(sop, tags.REFERENCED_SOP_INSTANCE_UID),
                    text(study, tags.STUDY_INSTANCE_UID),
                    text(series, tags.SERIES_INSTANCE_UID),
                )
                yield ReferencedInstance(*uids)
