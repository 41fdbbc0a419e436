"""Values as text for people: names, dates, times and codes of a dataset in DICOM JSON."""

import re
import unicodedata
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset


def values(dataset: Dataset, tag: str) -> list[Any]:
    """Return the values of an attribute, without empty ones."""
    found = dataset.get(tag, {}).get("Value")
    return [each for each in found if each is not None] if isinstance(found, list) else []


def text(dataset: Dataset, tag: str) -> str:
    """Return the values of an attribute as text, empty if it has none."""
    vr = str(dataset.get(tag, {}).get("vr", ""))
    return ", ".join(shown for value in values(dataset, tag) if (shown := legible(value, vr)))


def items(dataset: Dataset, tag: str) -> list[Dataset]:
    """Return the items of a sequence."""
    return [each for each in values(dataset, tag) if isinstance(each, dict)]


def meaning(dataset: Dataset, tag: str) -> str:
    """Return the meaning of the first code of a sequence, or the code itself if it has none."""
    for code in items(dataset, tag)[:1]:
        names = (
            text(code, name)
            for name in (
                tags.CODE_MEANING,
                tags.CODE_VALUE,
                tags.LONG_CODE_VALUE,
                tags.URN_CODE_VALUE,
            )
        )
        return next(filter(None, names), "")
    return ""


def legible(value: Any, vr: str) -> str:
    """Return one value as text for people."""
    if vr == "PN":
        return name(value)
    if isinstance(value, float):
        return f"{value:.10g}"
    shown = str(value).strip()
    return {"DA": date, "TM": time, "DT": date_time}.get(vr, str)(shown)


def name(value: Any) -> str:
    """Return `Doe^Jane^^Dr` as `Dr Jane Doe`; another group than the alphabetic one without it.

    In the letters of East Asia the family comes first.
    """
    if not isinstance(value, dict):
        return str(value)
    group = next((str(found) for found in value.values() if found), "")
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "", "")[:5]
    parts = (prefix, given, middle, family, suffix)
    if any(unicodedata.east_asian_width(letter) in "WF" for letter in family):
        parts = (family, given, middle, prefix, suffix)
    return " ".join(part.strip() for part in parts if part.strip())


def date(value: str) -> str:
    """Return `20240229` as `2024-02-29`."""
    return re.sub(r"^(\d{4})[.]?(\d{2})[.]?(\d{2})$", r"\1-\2-\3", value)


def time(value: str) -> str:
    """Return `101112.5` as `10:11:12`."""
    return re.sub(r"^(\d{2}):?(\d{2})(?::?(\d{2}))?(\.\d*)?$", _time, value)


def date_time(value: str) -> str:
    """Return `20240229101112.5+0100` as `2024-02-29 10:11:12 +0100`."""
    match = re.fullmatch(r"(\d{8})(\d{4,6}(?:\.\d*)?)?([+-]\d{4})?", value)
    if match is None:
        return value
    parts = (date(match[1]), time(match[2] or ""), match[3] or "")
    return " ".join(part for part in parts if part)


def _time(match: re.Match[str]) -> str:
    return ":".join(part for part in match.groups()[:3] if part)
