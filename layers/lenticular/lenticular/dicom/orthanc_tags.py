"""A dataset as Orthanc's REST represents it: tags, simplified-tags and MainDicomTags.

Three styles of one content, each a function of the dataset in the DICOM JSON Model (PS3.18
Annex F): `full` (tag → Name, Type, Value), `short` (tag → value) and `simplified` (name → value).
Values are strings as in the file, sequences are lists, binary and overlong values are null.
"""

import base64
import struct
from collections.abc import Callable, Iterable, Set
from functools import lru_cache
from typing import Any, Protocol

from lenticular.dicom import pydicom_tables, tags
from lenticular.dicom.model import Dataset, Level

MAXIMUM_LENGTH = 256
"""Orthanc's limit: a string of more bytes than this (in UTF-8) is `TooLong`."""


class Style(Protocol):
    """`full`, `short` or `simplified`."""

    def __call__(self, dataset: Dataset, untruncated: Set[str] = ..., /) -> dict[str, Any]:
        """Return the dataset in this style, strings in the untruncated tags in full length."""


MAIN_DICOM_TAGS: dict[Level, tuple[str, ...]] = {
    Level.PATIENT: (
        tags.PATIENT_NAME,
        tags.PATIENT_ID,
        tags.PATIENT_BIRTH_DATE,
        tags.PATIENT_SEX,
        tags.OTHER_PATIENT_IDS,
    ),
    Level.STUDY: (
        *(
            tags.STUDY_DATE,
            tags.STUDY_TIME,
            tags.ACCESSION_NUMBER,
            tags.INSTITUTION_NAME,
            tags.REFERRING_PHYSICIAN_NAME,
            tags.STUDY_DESCRIPTION,
        ),
        *(
            tags.STUDY_INSTANCE_UID,
            tags.STUDY_ID,
            tags.REQUESTING_PHYSICIAN,
            tags.REQUESTED_PROCEDURE_DESCRIPTION,
        ),
    ),
    Level.SERIES: (
        *(
            tags.SERIES_DATE,
            tags.SERIES_TIME,
            tags.MODALITY,
            tags.MANUFACTURER,
            tags.STATION_NAME,
            tags.SERIES_DESCRIPTION,
            tags.OPERATORS_NAME,
        ),
        *(
            tags.CONTRAST_BOLUS_AGENT,
            tags.BODY_PART_EXAMINED,
            tags.SEQUENCE_NAME,
            tags.PROTOCOL_NAME,
            tags.CARDIAC_NUMBER_OF_IMAGES,
            tags.ACQUISITION_DEVICE_PROCESSING_DESCRIPTION,
        ),
        *(
            tags.SERIES_INSTANCE_UID,
            tags.SERIES_NUMBER,
            tags.IMAGE_ORIENTATION_PATIENT,
            tags.NUMBER_OF_TEMPORAL_POSITIONS,
            tags.IMAGES_IN_ACQUISITION,
            tags.PERFORMED_PROCEDURE_STEP_DESCRIPTION,
        ),
        *(tags.NUMBER_OF_SLICES, tags.NUMBER_OF_TIME_SLICES, tags.SERIES_TYPE),
    ),
    Level.INSTANCE: (
        *(
            tags.INSTANCE_CREATION_DATE,
            tags.INSTANCE_CREATION_TIME,
            tags.SOP_INSTANCE_UID,
            tags.ACQUISITION_NUMBER,
            tags.INSTANCE_NUMBER,
            tags.IMAGE_POSITION_PATIENT,
            tags.IMAGE_ORIENTATION_PATIENT,
        ),
        *(
            tags.TEMPORAL_POSITION_IDENTIFIER,
            tags.IMAGE_COMMENTS,
            tags.NUMBER_OF_FRAMES,
            tags.IMAGE_INDEX,
        ),
    ),
}
"""The main tags of each level in Orthanc 1.10 (its release 1.11 made the list configurable)."""

# Attributes that retired after Orthanc 1.10, or that it names without its dictionary.
_NOT_RETIRED = frozenset(
    {0x00101000, 0x00380004, 0x00701807, 0x00701808, 0x30040010, 0x30040012}
    | {0x30060085, 0x30060088, 0x3008002B, 0x30100090}
)
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMERIC = frozenset({"AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
_ODD = frozenset("13579BDF")  # the last digit of a private group
# A letter takes at most four bytes, so a text this short need not be encoded to be measured.
_SURELY_SHORT = MAXIMUM_LENGTH // 4
_UNKNOWN_NAME = "Unknown Tag & Data"


def full(dataset: Dataset, untruncated: Set[str] = frozenset()) -> dict[str, Any]:
    """Return tag → Name, Type, Value and, for a private element, PrivateCreator.

    A string in one of the `untruncated` tags is shown however long it is.
    """
    described: dict[str, Any] = {}
    for tag, element in dataset.items():
        creator = _creator(tag, dataset) if tag[3] in _ODD else None
        value = _value(tag, element, full, untruncated)
        entry = {"Name": name_of(tag, creator), "Type": _type(element, value), "Value": value}
        if creator is not None:
            entry["PrivateCreator"] = creator
        described[orthanc_tag(tag)] = entry
    return described


def short(dataset: Dataset, untruncated: Set[str] = frozenset()) -> dict[str, Any]:
    """Return tag → value."""
    return {
        orthanc_tag(tag): _value(tag, element, short, untruncated)
        for tag, element in dataset.items()
    }


def simplified(dataset: Dataset, untruncated: Set[str] = frozenset()) -> dict[str, Any]:
    """Return name → value; of several elements with one name the last counts, as in Orthanc."""
    return {
        name_of(tag, _creator(tag, dataset) if tag[3] in _ODD else None): _value(
            tag, element, simplified, untruncated
        )
        for tag, element in dataset.items()
    }


def main_dicom_tags(level: Level, attributes: Dataset, style: Style = simplified) -> dict[str, Any]:
    """Return the MainDicomTags of a patient, study, series or instance, without null values."""
    chosen = {tag: attributes[tag] for tag in MAIN_DICOM_TAGS[level] if tag in attributes}
    return {name: value for name, value in style(chosen).items() if value is not None}


def shared(datasets: Iterable[Dataset]) -> Dataset:
    """Return the elements with the same value in every dataset, without sequences and binaries."""
    common: Dataset | None = None
    for dataset in datasets:
        if common is None:
            common = {tag: element for tag, element in dataset.items() if _is_plain(element)}
        else:
            common = {tag: value for tag, value in common.items() if dataset.get(tag) == value}
    return common or {}


@lru_cache(maxsize=16_384)
def orthanc_tag(tag: str) -> str:
    """Return `0020000D` as Orthanc writes it: `0020,000d`."""
    return f"{tag[:4]},{tag[4:]}".lower()


@lru_cache(maxsize=16_384)
def name_of(tag: str, creator: str | None = None) -> str:
    """Return Orthanc's name for an element: the keyword, with `RETIRED_` if it is retired."""
    number = int(tag, 16)
    if number >> 16 & 1:
        return _private_name(number, creator)
    try:
        entry = pydicom_tables.entry(number)
    except KeyError:
        return "GenericGroupLength" if tag.endswith("0000") else _UNKNOWN_NAME
    retired = "retired" in entry.retired.lower() and number not in _NOT_RETIRED
    return ("RETIRED_" if retired else "") + (entry.keyword or _UNKNOWN_NAME)


def _private_name(number: int, creator: str | None) -> str:
    """Return the vendor's description in camel case: close to the names of Orthanc's dictionary."""
    if 0x10 <= number & 0xFFFF <= 0xFF:
        return "PrivateCreator"
    try:
        _, _, description, _ = pydicom_tables.private_entry(number, creator or "")
    except KeyError:
        return _UNKNOWN_NAME
    spaced = "".join(letter if letter.isalnum() else " " for letter in description)
    name = "".join(word[0].upper() + word[1:] for word in spaced.split())
    return _UNKNOWN_NAME if name in ("", "Unknown") else name


def _creator(tag: str, dataset: Dataset) -> str | None:
    """Return the creator of a private element (PS3.5 7.8.1); None for creators themselves."""
    block = dataset.get(f"{tag[:4]}00{tag[4:6]}") if tag[4:6] != "00" else None
    values = block.get("Value") if block is not None else None
    creator = str(values[0]) if values else ""
    return creator if 0 < len(creator) <= pydicom_tables.LONGEST_CREATOR else None


def _value(tag: str, element: dict[str, Any], style: Style, untruncated: Set[str]) -> Any:
    """Return a string, a list of items, or None for a value that is binary or too long."""
    vr = element["vr"]
    values = element.get("Value")
    if vr == "SQ":
        return [style(item or {}) for item in values or ()]
    if not values:
        return _value_elsewhere(tag, vr, element)
    text = values[0]
    if len(values) > 1 or type(text) is not str or vr == "AT":
        text = _joined(vr, values)
    if len(text) <= _SURELY_SHORT or tag in untruncated:
        return text
    return None if _is_too_long(text) else text


def _value_elsewhere(tag: str, vr: str, element: dict[str, Any]) -> str | None:
    """Return the value of an element that is empty, binary, or stored outside the dataset."""
    if vr == "UN" and "InlineBinary" in element:
        return _text_in_unknown(tag, element)
    is_text = vr not in _BINARY and vr not in _NUMERIC and "BulkDataURI" not in element
    return "" if is_text else None


def _type(element: dict[str, Any], value: Any) -> str:
    """Return Orthanc's name for the type of a value, or for the reason why it has none."""
    if isinstance(value, str):
        return "String"
    if isinstance(value, list):
        return "Sequence"
    is_long = "Value" in element or "BulkDataURI" in element
    return "TooLong" if is_long and element["vr"] not in _BINARY else "Null"


def _text_in_unknown(tag: str, element: dict[str, Any]) -> str | None:
    """Return the string in an element of unknown VR that the dictionary knows to be a string."""
    try:
        vr = pydicom_tables.entry(int(tag, 16)).vr[:2]
    except KeyError:
        return None
    if vr in _BINARY or vr in _NUMERIC or vr == "SQ":
        return None
    text = base64.b64decode(element["InlineBinary"]).decode("utf-8", "replace").rstrip("\0 ")
    return None if _is_too_long(text) else text


def _joined(vr: str, values: list[Any]) -> str:
    """Return the values as in the file, with a backslash between them."""
    text = _TEXT_OF.get(vr, str)
    return "\\".join(["" if value is None else text(value) for value in values])


def _name_text(value: Any) -> str:
    """Return a person name, its component groups separated by `=` (PS3.5 6.2.1.1)."""
    if not isinstance(value, dict):
        return str(value)
    groups = (value.get(group, "") for group in ("Alphabetic", "Ideographic", "Phonetic"))
    return "=".join(groups).rstrip("=")


def _tag_text(value: Any) -> str:
    """Return a tag as Orthanc writes it."""
    return orthanc_tag(str(value))


def _double_text(value: Any) -> str:
    """Return a 64 bit number as text."""
    return format(value, ".17g") if isinstance(value, int | float) else str(value)


def _float_text(value: Any) -> str:
    """Return a 32 bit number with the digits that it has as a 64 bit number."""
    if not isinstance(value, int | float):
        return str(value)
    try:
        return _double_text(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return _double_text(value)


_TEXT_OF: dict[str, Callable[[Any], str]] = {
    "AT": _tag_text,
    "FD": _double_text,
    "FL": _float_text,
    "PN": _name_text,
}


def _is_too_long(text: str) -> bool:
    """Return True if a string is above Orthanc's limit."""
    return len(text.encode("utf-8", "replace")) > MAXIMUM_LENGTH


def _is_plain(element: dict[str, Any]) -> bool:
    """Return True if an element is neither a sequence nor binary."""
    return element["vr"] != "SQ" and not ("InlineBinary" in element or "BulkDataURI" in element)
