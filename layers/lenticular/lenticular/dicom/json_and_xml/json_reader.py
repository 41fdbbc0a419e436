"""Datasets that clients send in the DICOM JSON Model, PS3.18 Annex F, checked before use.

The result is a Dataset as everywhere in the system: tags in upper case and in order, a known VR for
each, at most one of Value, InlineBinary and BulkDataURI.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson

from lenticular.dicom import dictionary, tags
from lenticular.dicom.model import Dataset
from lenticular.dicom.read.elements import MAX_JSON_DEPTH
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN
from lenticular.errors import InvalidInstance, InvalidRequest, TooLarge

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_CONTENTS = ("Value", "InlineBinary", "BulkDataURI")
_FILE_META = "0002"

MAX_DATASETS = 100_000
"""Instances in one part of metadata."""
MAX_OBJECTS = 1_000_000
"""Objects and arrays in one part of metadata; an empty one takes 64 bytes of memory for its 2."""
MAX_VALUES = 4_000_000
"""Commas in one part of metadata."""


@dataclass(slots=True)
class Metadata:
    """One instance without its bulk data.

    `file_meta` has the elements of the File Meta Information; `discarded` are the tags of elements
    that a stored dataset cannot have (of messages, delimiters, padding, group lengths).
    """

    dataset: Dataset
    file_meta: Dataset = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)


def objects(document: bytes) -> list[Any]:
    """Return the objects of a JSON document: an array of them, or one (PS3.18 F.2.1)."""
    _check_structure(document)
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f"The metadata is not JSON: line {error.lineno}, column {error.colno}."
        ) from error
    if isinstance(found, list) and len(found) > MAX_DATASETS:
        raise TooLarge(f"The metadata has more than {MAX_DATASETS:,} instances.")
    return found if isinstance(found, list) else [found]


def _check_structure(document: bytes) -> None:
    """Refuse a document that would take far more memory than its size, before it is parsed."""
    if document.count(b"{") + document.count(b"[") > MAX_OBJECTS:
        raise TooLarge(f"The metadata has more than {MAX_OBJECTS:,} objects and arrays.")
    if document.count(b",") > MAX_VALUES:
        raise TooLarge(f"The metadata has more than {MAX_VALUES:,} values.")


def checked(found: Any) -> Metadata:
    """Return the object as metadata; raise InvalidInstance if it is not a dataset."""
    metadata = Metadata({})
    metadata.dataset = _dataset(found, metadata, 0)
    return metadata


def _dataset(found: Any, metadata: Metadata, depth: int) -> Dataset:
    """Return a checked dataset."""
    if not isinstance(found, dict):
        raise InvalidInstance("A dataset in DICOM JSON must be an object.")
    if depth > MAX_JSON_DEPTH:
        raise InvalidInstance(f"Sequences are nested deeper than {MAX_JSON_DEPTH}.")
    dataset: Dataset = {}
    for key, element in found.items():
        if not _TAG.fullmatch(key):
            raise InvalidInstance("A name in a dataset is not a tag of eight hexadecimal digits.")
        tag = key.upper()
        if tag in dataset:
            raise InvalidInstance(f"The attribute {tag} occurs twice.")
        content = _element(tag, element, metadata, depth)
        if depth == 0 and tag.startswith(_FILE_META):
            metadata.file_meta[tag] = content
        elif tag < "0003" or tag.startswith(("FFFC", "FFFE")) or tag.endswith("0000"):
            metadata.discarded.append(tag)
        elif tag == tags.AVAILABLE_TRANSFER_SYNTAX_UID and depth == 0:
            # It belongs to a response about the instance, not to the instance.
            metadata.file_meta[tag] = content
        else:
            dataset[tag] = content
    return dict(sorted(dataset.items()))


def _element(tag: str, element: Any, metadata: Metadata, depth: int) -> dict[str, Any]:
    """Return a checked element."""
    if not isinstance(element, dict):
        raise InvalidInstance(f"The attribute {tag} is not an object with a vr.")
    vr = element.get("vr") or dictionary.PUBLIC[int(tag, 16)]
    if not isinstance(vr, str) or vr not in LITTLE_ENDIAN:
        raise InvalidInstance(f"The attribute {tag} has no valid vr.")
    present = [name for name in _CONTENTS if element.get(name) not in (None, [], "")]
    if not present:
        return {"vr": vr}
    if len(present) > 1:
        raise InvalidInstance(f"The attribute {tag} has {' and '.join(present)}.")
    content = element[present[0]]
    if not isinstance(content, list if present[0] == "Value" else str):
        raise InvalidInstance(f"The {present[0]} of {tag} is of the wrong type.")
    if vr == "SQ" and present[0] == "Value":
        content = [_dataset(item or {}, metadata, depth + 1) for item in content]
    return {"vr": vr, present[0]: content}
