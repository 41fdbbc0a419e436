"""The Native DICOM Model in XML, PS3.19 A.1, read into the DICOM JSON Model.

Expat reads it event by event, so depth costs no recursion. A document type declaration is refused,
and with it entities, their expansion, and everything outside the document.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from lenticular.dicom.integers import LARGEST_EXACT
from lenticular.dicom.json_and_xml.xml_writer import NAME_COMPONENTS, NAME_GROUPS
from lenticular.dicom.model import Dataset
from lenticular.dicom.read.character_sets import CharacterSet
from lenticular.dicom.read.elements import MAX_JSON_DEPTH
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN, binary
from lenticular.errors import InvalidInstance

MAX_VALUES_LEFT_OUT = 16
"""The most empty values that a gap in the numbering may mean."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity"}
_INTEGER_RANGES = {
    "US": (0, 2**16), "SS": (-(2**15), 2**15), "UL": (0, 2**32), "SL": (-(2**31), 2**31),
    "UV": (0, 2**64), "SV": (-(2**63), 2**63),
}  # fmt: skip


class _Utf8(CharacterSet):
    """The character set of text that is Unicode already: escape sequences have no meaning."""

    def __init__(self) -> None:
        super().__init__(())

    def decode(self, raw: bytes) -> str:
        return raw.decode()

    def decode_name(self, raw: bytes) -> str:
        return raw.decode()


UTF8 = _Utf8()


@dataclass(slots=True)
class _Attribute:
    """An element whose content is being read."""

    tag: str
    vr: str
    creator: str | None
    element: dict[str, Any]
    values: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Items:
    """A dataset that is being read, and its private elements whose block is not chosen yet."""

    dataset: Dataset
    private: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


def from_xml(document: bytes) -> Dataset:
    """Return the dataset of a document; raise InvalidInstance if it is not a Native DICOM Model."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        # Expat says what and where; a ValueError comes from an encoding that it cannot have.
        what = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else "encoding"
        line = parser.ErrorLineNumber
        raise InvalidInstance(f"The XML is not well-formed: {what}, line {line}.") from error
    return reader.dataset


def _refuse_document_type(*_: object) -> None:
    """Refuse a document type declaration."""
    raise InvalidInstance("The XML has a document type declaration; send it without one.")


class _Reader:
    """Builds the dataset from the parser's events."""

    def __init__(self) -> None:
        self.dataset: Dataset = {}
        self._levels: list[_Items] = []
        self._attributes: list[_Attribute] = []
        self._texts: list[str] | None = None
        self._name: dict[str, list[str]] | None = None
        self._group: list[str] | None = None
        self._path: list[str] = []
        self._starts: dict[str, Callable[[dict[str, str]], None]] = {
            "DicomAttribute": self._start_attribute,
            "Item": self._start_item,
            "Value": self._number,
            "PersonName": self._start_person_name,
            "BulkData": self._bulk_data,
        }
        self._ends: dict[str, Callable[[str], None]] = {
            "DicomAttribute": self._end_attribute,
            "Item": self._end_dataset,
            "NativeDicomModel": self._end_dataset,
            "PersonName": self._end_person_name,
            "Value": self._end_value,
            "InlineBinary": self._end_inline_binary,
        }

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element of XML."""
        name = name.rpartition(" ")[2]
        parent = self._path[-1] if self._path else ""
        if parent not in _PARENTS.get(name, ()):
            raise InvalidInstance(f"{_shown(name)} is not expected in {parent or 'the document'}.")
        self._path.append(name)
        if name == "NativeDicomModel":
            self._levels.append(_Items(self.dataset))
        elif name in NAME_GROUPS:
            assert self._name is not None
            self._group = self._name.setdefault(name, [])
        elif name in _WITH_TEXT:
            self._texts = []
        if name in self._starts:
            self._starts[name](attributes)

    def end(self, name: str) -> None:
        """End an element of XML."""
        name = self._path.pop()
        text, self._texts = "".join(self._texts or ()), None
        if name in self._ends:
            self._ends[name](text)
        elif name in NAME_COMPONENTS:
            self._component(NAME_COMPONENTS.index(name), text)

    def text(self, text: str) -> None:
        """Add text to the element; text between elements is ignored."""
        if self._texts is not None:
            self._texts.append(text)

    def _start_attribute(self, attributes: dict[str, str]) -> None:
        tag, vr = attributes.get("tag", ""), attributes.get("vr", "")
        if not _TAG.fullmatch(tag):
            raise InvalidInstance("A DicomAttribute has no tag of eight hexadecimal digits.")
        if vr not in LITTLE_ENDIAN:
            raise InvalidInstance(f"The attribute {_shown(tag)} has no valid vr.")
        tag, element = tag.upper(), {"vr": vr}
        level, creator = self._levels[-1], attributes.get("privateCreator") or None
        if creator is not None and tag[4:6] == "00" and tag[3] in "13579BDF":
            level.private.append((creator, tag, element))
        elif tag in level.dataset:
            raise InvalidInstance(f"The attribute {tag} occurs twice.")
        else:
            level.dataset[tag] = element
        self._attributes.append(_Attribute(tag, vr, creator, element))

    def _end_attribute(self, _: str) -> None:
        attribute = self._attributes.pop()
        values: list[Any] | None = attribute.values
        if values and attribute.vr not in ("SQ", "PN"):
            try:
                values = values_of(attribute.vr, values)
            except ValueError as error:
                what = f"A value of {attribute.tag} is not a valid {attribute.vr}."
                raise InvalidInstance(what) from error
        if values:
            attribute.element["Value"] = values

    def _start_item(self, attributes: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        if attribute.vr != "SQ":
            raise InvalidInstance(f"The attribute {attribute.tag} has items, but is not an SQ.")
        if len(self._levels) > MAX_JSON_DEPTH:
            raise InvalidInstance(f"Sequences are nested deeper than {MAX_JSON_DEPTH}.")
        self._number(attributes)
        item: Dataset = {}
        attribute.values.append(item)
        self._levels.append(_Items(item))

    def _end_dataset(self, _: str) -> None:
        level = self._levels.pop()
        for creator, tag, element in level.private:
            _put_private(level.dataset, creator, tag, element)
        ordered = sorted(level.dataset.items())
        level.dataset.clear()
        level.dataset.update(ordered)

    def _number(self, attributes: dict[str, str]) -> None:
        """Fill up with empty values to where the next one belongs."""
        attribute = self._attributes[-1]
        text = attributes.get("number", "")
        if text == str(len(attribute.values) + 1):
            return
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        empty = number - len(attribute.values) - 1
        if not 0 <= empty <= MAX_VALUES_LEFT_OUT:
            raise InvalidInstance(f"The values of {attribute.tag} are not numbered in order.")
        attribute.values += [_EMPTY.get(attribute.vr, "")] * empty

    def _start_person_name(self, attributes: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        if attribute.vr != "PN":
            raise InvalidInstance(f"The attribute {attribute.tag} has a name, but is not a PN.")
        self._number(attributes)
        self._name = {}

    def _component(self, index: int, text: str) -> None:
        assert self._group is not None
        self._group += [""] * (index + 1 - len(self._group))
        self._group[index] = text

    def _end_person_name(self, _: str) -> None:
        groups = {name: "^".join(group) for name, group in (self._name or {}).items()}
        value = {name: groups[name] for name in NAME_GROUPS if groups.get(name)}
        self._attributes[-1].values.append(value or None)
        self._name = self._group = None

    def _end_value(self, text: str) -> None:
        attribute = self._attributes[-1]
        if attribute.vr in ("SQ", "PN") or LITTLE_ENDIAN[attribute.vr].key != "Value":
            raise InvalidInstance(f"The attribute {attribute.tag} cannot have a Value.")
        attribute.values.append(text)

    def _end_inline_binary(self, text: str) -> None:
        attribute = self._attributes[-1]
        try:
            raw = b64decode("".join(text.split()), validate=True)
            key, value = inline_binary(attribute.vr, raw)
        except (Base64Error, ValueError) as error:
            raise InvalidInstance(f"The InlineBinary of {attribute.tag} is damaged.") from error
        if value is not None:
            attribute.element[key] = value

    def _bulk_data(self, attributes: dict[str, str]) -> None:
        attribute = self._attributes[-1]
        uri, uuid = attributes.get("uri", ""), attributes.get("uuid", "")
        if not uri and _UUID.fullmatch(uuid):
            uri = f"urn:uuid:{uuid}"
        if not uri:
            raise InvalidInstance(f"The BulkData of {attribute.tag} has neither uri nor uuid.")
        attribute.element["BulkDataURI"] = uri


_WITH_TEXT = frozenset({"Value", "InlineBinary", *NAME_COMPONENTS})
# The empty values for a gap in the numbering.
_EMPTY: dict[str, Any] = {"SQ": {}, "PN": None}
_IN_ATTRIBUTE = ("DicomAttribute",)
# The elements that each element may contain.
_PARENTS: dict[str, tuple[str, ...]] = {
    "NativeDicomModel": ("",),
    "DicomAttribute": ("NativeDicomModel", "Item"),
    **dict.fromkeys(("Item", "Value", "PersonName", "InlineBinary", "BulkData"), _IN_ATTRIBUTE),
    **dict.fromkeys(NAME_GROUPS, ("PersonName",)),
    **dict.fromkeys(NAME_COMPONENTS, NAME_GROUPS),
}


def values_of(vr: str, texts: list[str]) -> list[Any] | None:
    """Return the JSON of values in text, None if all are empty; raise ValueError for a bad one."""
    if vr in _INTEGER_RANGES:
        return [_integer(vr, text) for text in texts]
    if vr in ("FL", "FD"):
        return [_float(text) for text in texts]
    if vr == "AT":
        if not all(map(_TAG.fullmatch, texts)):
            raise ValueError("not a tag")
        return [text.upper() for text in texts]
    values: list[Any] | None = LITTLE_ENDIAN[vr].encode("\\".join(texts).encode(), UTF8)
    return values


def inline_binary(vr: str, raw: bytes) -> tuple[str, Any]:
    """Return key and content of an element whose value is bytes (of text: in UTF-8)."""
    codec = LITTLE_ENDIAN[vr]
    if vr == "SQ":
        raise ValueError("a sequence cannot be given as bytes")
    return codec.key, codec.encode(raw, UTF8) if codec.key == "Value" else binary(raw, UTF8)


def _integer(vr: str, text: str) -> int | str | None:
    if not text.strip():
        return None
    number = int(text)
    least, end = _INTEGER_RANGES[vr]
    if not least <= number < end:
        raise ValueError("out of range")
    return number if abs(number) <= LARGEST_EXACT else str(number)


def _float(text: str) -> float | str | None:
    text = text.strip()
    if not text:
        return None
    sign, name = ("-", text[1:]) if text[0] == "-" else ("", text.lstrip("+"))
    if name.lower() in _NOT_FINITE:
        special = _NOT_FINITE[name.lower()]
        return special if special == "NaN" else sign + special
    return float(text)


def _put_private(dataset: Dataset, creator: str, tag: str, element: dict[str, Any]) -> None:
    """Put an element into the block of its creator, or into a new one (PS3.5 7.8.1)."""
    key = f"{tag[:4]}{_block(dataset, creator, tag[:4])}{tag[6:]}"
    if key in dataset:
        raise InvalidInstance(f"The attribute {tag} of one private creator occurs twice.")
    dataset[key] = element


def _block(dataset: Dataset, creator: str, group: str) -> str:
    """Return two digits of the first block of this creator; reserve one if there is none."""
    free = None
    for number in range(0x10, 0x100):
        reserved = dataset.get(f"{group}00{number:02X}")
        if reserved is not None and reserved.get("Value") == [creator]:
            return f"{number:02X}"
        if reserved is None and free is None:
            free = f"{number:02X}"
    if free is None:
        raise InvalidInstance(f"The group {group} has no block left for a private creator.")
    dataset[f"{group}00{free}"] = {"vr": "LO", "Value": [creator]}
    return free


def _shown(name: str) -> str:
    return "".join(c for c in name[:32] if c.isascii() and c.isprintable())
