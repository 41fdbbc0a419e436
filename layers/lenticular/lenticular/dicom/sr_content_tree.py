"""The content of a structured report as a tree of names and values, PS3.3 C.17.3 and PS3.16.

What is read here is what a person wants to read; nothing is judged by the report's template.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from lenticular.dicom.display_text import items, meaning, text, values
from lenticular.dicom.model import Dataset
from lenticular.dicom.pydicom_tables import uid_names

MAX_DEPTH = 100
_MOST_POINTS = 8

CONTENT = "0040A730"
EVIDENCE = ("0040A375", "0040A385")  # of the current procedures, and pertinent other evidence


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance that a report points to; its study and series where the report tells them."""

    sop_instance_uid: str
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frame_numbers: str = ""


@dataclass(frozen=True, slots=True)
class ContentItem:
    """One content item; its position (`1.2.3`) is what references by identifier name."""

    position: str
    value_type: str
    name: str
    value: str = ""
    relationship: str = ""
    reference: Reference | None = None
    same_as: str = ""
    """The position of the item that it refers to in place of having a content."""
    children: tuple["ContentItem", ...] = field(default=())


def content_tree(dataset: Dataset) -> ContentItem:
    """The root of a report's content."""
    return _item(dataset, "1", _evidence(dataset), MAX_DEPTH)


def _item(
    dataset: Dataset, position: str, evidence: dict[str, Reference], depth: int
) -> ContentItem:
    same_as = ".".join(str(number) for number in values(dataset, "0040DB73"))
    value_type = text(dataset, "0040A040").upper()
    children = enumerate(items(dataset, CONTENT) if depth else (), 1)
    return ContentItem(
        position=position,
        value_type=value_type,
        name=meaning(dataset, "0040A043"),
        value=_value(dataset, value_type),
        relationship=text(dataset, "0040A010").upper(),
        reference=_reference(dataset, evidence),
        same_as=same_as,
        children=tuple(
            _item(child, f"{position}.{place}", evidence, depth - 1) for place, child in children
        ),
    )


_SIMPLE = {
    "TEXT": "0040A160", "PNAME": "0040A123", "DATE": "0040A121", "TIME": "0040A122",
    "DATETIME": "0040A120", "UIDREF": "0040A124",
}  # fmt: skip


def _value(dataset: Dataset, value_type: str) -> str:
    if value_type in _SIMPLE:
        return text(dataset, _SIMPLE[value_type])
    readers = {
        "CODE": lambda: meaning(dataset, "0040A168"),
        "NUM": lambda: _measured(dataset),
        "SCOORD": lambda: _points(dataset, 2),
        "SCOORD3D": lambda: _points(dataset, 3),
        "TCOORD": lambda: _moments(dataset),
        **dict.fromkeys(("COMPOSITE", "IMAGE", "WAVEFORM"), lambda: _referenced(dataset)),
    }
    return readers[value_type]() if value_type in readers else ""


def _measured(dataset: Dataset) -> str:
    """A number with its unit, or why there is none."""
    for measured in items(dataset, "0040A300")[:1]:
        unit = "".join(text(code, "00080100") for code in items(measured, "004008EA")[:1])
        name = "" if unit == "1" else meaning(measured, "004008EA")
        return f"{text(measured, '0040A30A')} {name}".strip()
    return meaning(dataset, "0040A301")


def _points(dataset: Dataset, dimensions: int) -> str:
    numbers = [f"{each:g}" for each in values(dataset, "00700022") if isinstance(each, int | float)]
    points = [
        f"({', '.join(numbers[at : at + dimensions])})" for at in range(0, len(numbers), dimensions)
    ]
    more = f" and {len(points) - _MOST_POINTS} more" if len(points) > _MOST_POINTS else ""
    return f"{text(dataset, '00700023').lower()} {' '.join(points[:_MOST_POINTS])}{more}".strip()


def _moments(dataset: Dataset) -> str:
    units = {"0040A132": "samples", "0040A138": "s", "0040A13A": ""}
    places = (f"{text(dataset, tag)} {unit}" for tag, unit in units.items() if tag in dataset)
    return " ".join([text(dataset, "0040A130").lower(), *places]).strip()


def _referenced(dataset: Dataset) -> str:
    """What kind of object is referenced."""
    for sop in items(dataset, "00081199")[:1]:
        uid = text(sop, "00081150")
        frames = text(sop, "00081160")
        name = uid_names().get(uid, uid).removesuffix(" Storage")
        return f"{name}, frame {frames}" if frames else name
    return ""


def _reference(dataset: Dataset, evidence: dict[str, Reference]) -> Reference | None:
    for sop in items(dataset, "00081199")[:1]:
        uid = text(sop, "00081155")
        known = evidence.get(uid, Reference(uid))
        frames = text(sop, "00081160").replace(" ", "")
        place = (known.study_instance_uid, known.series_instance_uid)
        return Reference(uid, *place, frames) if uid else None
    return None


def _evidence(dataset: Dataset) -> dict[str, Reference]:
    """Where the referenced instances are, by their SOP Instance UIDs (PS3.3 C.17.2.3)."""
    return {found.sop_instance_uid: found for tag in EVIDENCE for found in _places(dataset, tag)}


def _places(dataset: Dataset, tag: str) -> Iterator[Reference]:
    for study in items(dataset, tag):
        for series in items(study, "00081115"):
            for sop in items(series, "00081199"):
                uids = (text(sop, "00081155"), text(study, "0020000D"), text(series, "0020000E"))
                yield Reference(*uids)
