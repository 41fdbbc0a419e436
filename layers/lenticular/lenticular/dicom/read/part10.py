"""A DICOM file, PS3.10 7: its head is read, and the positions of its large values noted.

It reads files as they occur: with or without preamble and File Meta Information, with a wrong or
missing transfer syntax, with padding behind. A file is refused if bytes are missing, if it is not a
data set, or if its identifiers cannot name it; the refusal says so in a sentence.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from lenticular.dicom import tags, transfer_syntaxes, uids
from lenticular.dicom.model import BULKDATA_BASE, Dataset, Layout, ParsedInstance, Target
from lenticular.dicom.pydicom_tables import uid_names
from lenticular.dicom.read import character_sets
from lenticular.dicom.read.deflate import inflated
from lenticular.dicom.read.element_encoding import (
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_BIG,
    IMPLICIT_LITTLE,
    Encoding,
    cut_off,
    encoding_of,
)
from lenticular.dicom.read.elements import ElementReader
from lenticular.dicom.read.frame_ranges import pixel_layout
from lenticular.dicom.read.vr_decode import VrCodec
from lenticular.errors import FailureReason, InvalidInstance

__all__ = ["data_set_start", "file_meta", "parse", "read_as_written", "target_of_beginning"]

_PREAMBLE = 128
_PREFIX = b"DICM"
_META = 0x0002
_MEDIA_STORAGE_SOP_CLASS = int(tags.MEDIA_STORAGE_SOP_CLASS_UID, 16)
_TRANSFER_SYNTAX = int(tags.TRANSFER_SYNTAX_UID, 16)
_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"

# Files that are often sent by mistake, by their first bytes.
_OTHER_FILES = {
    b"\x1f\x8b": "a gzip file; unpack it first",
    b"PK\x03\x04": "a zip file; unpack it first",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
}
_NAMES = {
    tags.STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    tags.SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
    tags.SOP_INSTANCE_UID: "SOP Instance UID (0008,0018)",
}


@dataclass(frozen=True, slots=True)
class _Head:
    """The File Meta Information, PS3.10 7.1, and the start of the data set."""

    start: int
    values: dict[int, str] = field(default_factory=dict)

    def uid(self, tag: int) -> str | None:
        """Return a UID of the head, None if it has none."""
        value = self.values.get(tag, "")
        return value if uids.is_valid(value) else None


def parse(data: memoryview | bytes) -> ParsedInstance:
    """Read the head of a file; raise InvalidInstance if it cannot be stored."""
    with memoryview(data) as view:
        head = _read_head(view)
        syntax_uid = head.uid(_TRANSFER_SYNTAX)
        if syntax_uid is not None and transfer_syntaxes.lookup(syntax_uid).deflated:
            with memoryview(inflated(view, head.start)) as whole:
                return _parse(whole, head, syntax_uid)
        return _parse(view, head, syntax_uid)


def file_meta(data: memoryview | bytes) -> Dataset:
    """Return the File Meta Information, PS3.10 7.1, of a file or of its beginning."""
    meta: Dataset = {}
    with memoryview(data) as view:
        for tag, codec, begin, end in _meta_elements(view, _start(view)):
            with suppress(ValueError):  # a damaged value is left out
                value = codec.encode(bytes(view[begin:end]), character_sets.DEFAULT)
                meta[f"{tag:08X}"] = {"vr": codec.vr} | (
                    {} if value is None else {codec.key: value}
                )
    return meta


def target_of_beginning(data: memoryview | bytes) -> Target | None:
    """Return the instance of a file, read from its beginning; None if that does not name it."""
    try:
        with memoryview(data) as view:
            head = _read_head(view)
            coding = _coding(view, head.start, head.uid(_TRANSFER_SYNTAX))
            reader = ElementReader(view, head.start, coding)
            with suppress(InvalidInstance):  # the beginning may end within an element
                reader.read()
            return Target(*(_identifier(reader.dataset, key) for key in _NAMES))
    except InvalidInstance:
        return None


def data_set_start(data: memoryview | bytes) -> tuple[int, Encoding]:
    """Return the start of the data set in a file or in its beginning, and its encoding."""
    with memoryview(data) as view:
        head = _read_head(view)
        return head.start, _coding(view, head.start, head.uid(_TRANSFER_SYNTAX))


def read_as_written(data: memoryview | bytes) -> Dataset:
    """Return the data set of a file, or of its beginning, with each text as the file has it.

    Several values are one string with its backslashes and padding; bulk data has an empty URI.
    """
    with memoryview(data) as view:
        head = _read_head(view)
        encoding = _coding(view, head.start, head.uid(_TRANSFER_SYNTAX))
        texts = encoding_of(encoding.order, encoding.explicit, as_written=True)
        reader = ElementReader(view, head.start, texts)
        reader.read()
    for bulk in reader.bulkdata:
        bulk.element["BulkDataURI"] = ""
    return reader.dataset


def _parse(view: memoryview, head: _Head, syntax_uid: str | None) -> ParsedInstance:
    """Read the data set of a file in this transfer syntax."""
    coding = _coding(view, head.start, syntax_uid)
    reader = ElementReader(view, head.start, coding)
    reader.read()
    dataset = reader.dataset
    sop_class_uid = _sop_class_uid(dataset, head)
    if uids.is_non_patient(sop_class_uid) and tags.STUDY_INSTANCE_UID not in dataset:
        name = uid_names().get(sop_class_uid, sop_class_uid)
        raise InvalidInstance(
            f"Objects that belong to no study are not stored: {name}.",
            FailureReason.SOP_CLASS_NOT_SUPPORTED,
        )
    study, series, instance = (_identifier(dataset, key) for key in _NAMES)
    if reader.has_open_sequence and tags.ROWS in dataset and reader.pixels is None:
        raise cut_off("a sequence before the pixel data", len(view) + 8, len(view))
    syntax_uid = syntax_uid or _uid_of(coding)
    layout = Layout(
        bulkdata={bulk.path: (bulk.offset, bulk.length, bulk.vr) for bulk in reader.bulkdata},
        pixels=pixel_layout(view, reader, transfer_syntaxes.lookup(syntax_uid)),
    )
    base = f"{BULKDATA_BASE}{Target(study, series, instance).path}/bulkdata/"
    for bulk in (*reader.bulkdata, reader.pixels):
        if bulk is not None:
            bulk.element["BulkDataURI"] = base + bulk.path
    return ParsedInstance(study, series, instance, sop_class_uid, syntax_uid, dataset, layout)


def _read_head(view: memoryview) -> _Head:
    """Read the File Meta Information and find where it ends."""
    start = position = _start(view)
    values = {}
    for tag, _, begin, position in _meta_elements(view, start):
        if tag in (_MEDIA_STORAGE_SOP_CLASS, _TRANSFER_SYNTAX):
            values[tag] = str(view[begin:position], "ascii", "replace").strip(" \0")
    if position == start == 0:
        _check_that_a_data_set_begins(view)
    return _Head(position, values)


def _meta_elements(view: memoryview, position: int) -> Iterator[tuple[int, VrCodec, int, int]]:
    """Yield tag, codec, begin and end of each element; the group length is often wrong."""
    while position + 8 <= len(view):
        tag, _ = EXPLICIT_LITTLE.tag_at(view, position)
        if tag >> 16 != _META:
            break
        codec, _, begin, length = EXPLICIT_LITTLE.explicit_header(view, position, len(view))
        position = begin + length
        if position > len(view):
            raise cut_off("the File Meta Information", position, len(view))
        yield tag, codec, begin, position


def _start(view: memoryview) -> int:
    """Return the position behind the prefix; the preamble, or both, may be missing."""
    if not view:
        raise InvalidInstance("The file is empty.")
    if view[_PREAMBLE : _PREAMBLE + 4] == _PREFIX:
        return _PREAMBLE + 4
    return 4 if view[:4] == _PREFIX else 0


def _check_that_a_data_set_begins(view: memoryview) -> None:
    """Refuse a file without File Meta Information that does not begin with the identifiers."""
    begin = bytes(view[:8])
    for magic, what in _OTHER_FILES.items():
        if begin.startswith(magic):
            raise InvalidInstance(f"This is not a DICOM file, but {what}.")
    if len(view) < 8 or begin[:2] not in (b"\x08\x00", b"\x00\x08"):
        raise InvalidInstance(
            "This is not a DICOM file: it has neither the prefix DICM nor a data set at its start."
        )


def _coding(view: memoryview, start: int, syntax_uid: str | None) -> Encoding:
    """Return the encoding of the data set, by its first element: the head may be wrong."""
    first = bytes(view[start : start + 8])
    declared = _declared(syntax_uid)
    is_big = first[:2] == b"\x00\x08" or (declared.order == ">" and first[:2] != b"\x08\x00")
    code = first[4:6]
    is_explicit = code in EXPLICIT_LITTLE.codecs_by_code or (
        declared.explicit and code.isalpha() and code.isupper()
    )
    if is_explicit:
        return EXPLICIT_BIG if is_big else EXPLICIT_LITTLE
    return IMPLICIT_BIG if is_big else IMPLICIT_LITTLE


def _declared(syntax_uid: str | None) -> Encoding:
    """Return the encoding of a transfer syntax."""
    if syntax_uid is None:
        return EXPLICIT_LITTLE
    syntax = transfer_syntaxes.lookup(syntax_uid)
    if syntax.big_endian:
        return EXPLICIT_BIG
    return IMPLICIT_LITTLE if syntax.implicit else EXPLICIT_LITTLE


def _uid_of(coding: Encoding) -> str:
    """Return a transfer syntax with this encoding."""
    if not coding.explicit:
        return transfer_syntaxes.IMPLICIT_VR_LITTLE_ENDIAN
    if coding.order == ">":
        return transfer_syntaxes.EXPLICIT_VR_BIG_ENDIAN
    return transfer_syntaxes.EXPLICIT_VR_LITTLE_ENDIAN


def _sop_class_uid(dataset: Dataset, head: _Head) -> str:
    """Return the SOP class, if need be from the File Meta Information; it may be empty."""
    in_head = head.uid(_MEDIA_STORAGE_SOP_CLASS)
    values = dataset.get(tags.SOP_CLASS_UID, {}).get("Value", [])
    if _MEDIA_STORAGE_DIRECTORY in (in_head, *values) or tags.DIRECTORY_RECORD_SEQUENCE in dataset:
        raise InvalidInstance(
            "A DICOMDIR is only an index; send the files that it lists.",
            FailureReason.SOP_CLASS_NOT_SUPPORTED,
        )
    stated = values[0] if len(values) == 1 else None
    if isinstance(stated, str) and (in_head is None or uids.is_valid(stated)):
        return stated if uids.problem_of(stated) is None else ""
    return in_head or ""


def _identifier(dataset: Dataset, key: str) -> str:
    """Return an identifier without which the instance cannot be filed."""
    values = dataset.get(key, {}).get("Value")
    if not values:
        raise InvalidInstance(f"The {_NAMES[key]} is missing or empty.")
    if len(values) > 1:
        raise InvalidInstance(f"The {_NAMES[key]} has more than one value.")
    identifier = str(values[0])
    if problem := uids.problem_of(identifier):
        raise InvalidInstance(f"The {_NAMES[key]} {problem}.")
    return identifier
