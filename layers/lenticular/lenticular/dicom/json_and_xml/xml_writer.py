"""The Native DICOM Model in XML, PS3.19 A.1, written from a dataset in the DICOM JSON Model.

Nothing is lost between the two; docs/decisions/0017 lists the choices that XML leaves open.
`xml_reader.py` is the inverse. Neither recurses, however deep sequences are nested.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from lenticular.dicom import pydicom_tables
from lenticular.dicom.model import Dataset

NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
NAME_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
NAME_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")

_BEGIN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
)
_END = "</NativeDicomModel>"
# Characters that an XML 1.0 document cannot hold, not even as a reference.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# A parser makes a line feed of each carriage return that is not written as a reference. (The
# standard library's xml.sax.saxutils escapes too, but imports half of its HTTP client.)
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTES = _IN_TEXT | str.maketrans({'"': "&quot;", "\n": "&#10;", "\t": "&#9;"})


def to_xml(dataset: Dataset) -> bytes:
    """Return one dataset as a document in UTF-8."""
    pieces = [_BEGIN]
    # Sequences within sequences wait here; the last one is being written.
    waiting = [_elements(dataset, pieces.append)]
    while waiting:
        nested = next(waiting[-1], None)
        if nested is None:
            waiting.pop()
        else:
            waiting.append(_elements(nested, pieces.append))
    pieces.append(_END)
    return "".join(pieces).encode()


def _elements(dataset: Dataset, write: Callable[[str], None]) -> Iterator[Dataset]:
    """Write the elements; yield an item when its own elements have to be written."""
    creators = _creators(dataset)
    for tag, element in dataset.items():
        vr = element["vr"]
        write(_private_start(tag, vr, creators) if tag[3] in "13579BDF" else _start(tag, vr))
        if vr == "SQ" and "Value" in element:
            for number, item in enumerate(element["Value"], 1):
                write(f'<Item number="{number}">')
                yield item or {}
                write("</Item>")
        else:
            write(_content(vr, element))
        write("</DicomAttribute>")


def _content(vr: str, element: dict[str, Any]) -> str:
    """Return the inner XML of an element that is not a sequence."""
    if "Value" in element:
        values = element["Value"]
        text = _names(values) if vr == "PN" else _values(values)
        return _as_bytes(vr, values) if _FORBIDDEN.search(text) else text
    if "InlineBinary" in element:
        return f"<InlineBinary>{element['InlineBinary']}</InlineBinary>"
    if "BulkDataURI" in element:
        return f'<BulkData uri="{element["BulkDataURI"].translate(_IN_ATTRIBUTES)}"/>'
    return ""


def _values(values: list[Any]) -> str:
    """Return values as XML."""
    return "".join(
        [
            f'<Value number="{number}"/>'
            if value is None
            else f'<Value number="{number}">{_text(value)}</Value>'
            for number, value in enumerate(values, 1)
        ]
    )


def _text(value: str | float) -> str:
    return value.translate(_IN_TEXT) if isinstance(value, str) else repr(value)


def _names(values: list[dict[str, str] | None]) -> str:
    """Return person names as XML."""
    return "".join(
        [
            f'<PersonName number="{number}">{_groups(value)}</PersonName>'
            for number, value in enumerate(values, 1)
        ]
    )


def _groups(value: dict[str, str] | None) -> str:
    return "".join(
        f"<{group}>{_components(value[group])}</{group}>"
        for group in NAME_GROUPS
        if value and group in value
    )


def _components(text: str) -> str:
    """Return the components of a group; the last one even if empty, so that no `^` is lost."""
    components = text.split("^", len(NAME_COMPONENTS) - 1)
    last = len(components) - 1
    return "".join(
        f"<{name}>{component.translate(_IN_TEXT)}</{name}>"
        for index, (name, component) in enumerate(zip(NAME_COMPONENTS, components, strict=False))
        if component or index == last
    )


def _as_bytes(vr: str, values: list[Any]) -> str:
    """Return a value with characters that XML forbids, as the bytes that it has in a UTF-8 file."""
    texts = map(_name_text, values) if vr == "PN" else map(str, _without_none(values))
    raw = "\\".join(texts).encode()
    return f"<InlineBinary>{b64encode(raw).decode('ascii')}</InlineBinary>"


def _name_text(value: dict[str, str] | None) -> str:
    groups = [(value or {}).get(group, "") for group in NAME_GROUPS]
    return "=".join(groups).rstrip("=")


def _without_none(values: list[Any]) -> list[Any]:
    return ["" if value is None else value for value in values]


def _creators(dataset: Dataset) -> dict[str, tuple[str, bool]]:
    """Return the creator of each private block, `00291` + `0`, and if it has no other block."""
    creators: dict[str, tuple[str, bool]] = {}
    known = set()
    for tag, element in dataset.items():
        if tag[3] in "13579BDF" and tag[4:6] == "00" and tag[6] != "0":
            creator = (element.get("Value") or [None])[0]
            if isinstance(creator, str) and not _FORBIDDEN.search(creator):
                block = tag[:4] + tag[6:]
                creators[block] = (creator, (tag[:4], creator) not in known)
                known.add((tag[:4], creator))
    return creators


def _private_start(tag: str, vr: str, creators: dict[str, tuple[str, bool]]) -> str:
    """Return the start tag of a private element, with its private creator, not the block number."""
    creator, is_first = creators.get(tag[:6], ("", False))
    if not creator:
        return _start(tag, vr)
    shown = f"{tag[:4]}00{tag[6:]}" if is_first else tag
    name = creator.translate(_IN_ATTRIBUTES)
    return f'<DicomAttribute tag="{shown}" vr="{vr}" privateCreator="{name}">'


@lru_cache(maxsize=16_384)
def _start(tag: str, vr: str) -> str:
    """Return the start tag of an element."""
    try:
        keyword = pydicom_tables.entry(int(tag, 16)).keyword
    except KeyError:
        keyword = ""
    named = f' keyword="{keyword}"' if keyword else ""
    return f'<DicomAttribute tag="{tag}" vr="{vr}"{named}>'
