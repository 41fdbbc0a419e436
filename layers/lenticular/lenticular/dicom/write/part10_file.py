"""A DICOM file, PS3.10 7, made of a dataset in the DICOM JSON Model and its bulk data.

The file is Explicit VR Little Endian and UTF-8. The same dataset makes the same bytes.
"""

from binascii import Error as Base64Error
from collections.abc import Callable, Mapping, Sequence
from io import BufferedIOBase
from typing import Any

from lenticular.dicom import tags, uids
from lenticular.dicom.model import Dataset
from lenticular.dicom.write.element import Encapsulated, WritableElement
from lenticular.dicom.write.vr_encode import check_size, inline_bytes, is_text, value_bytes
from lenticular.errors import InvalidInstance

# Made once for this software (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID = "2.25.226370112839523219226219571408264127833"
IMPLEMENTATION_VERSION_NAME = "LENTICULAR"

_UTF8 = b"ISO_IR 192"
_PREAMBLE = bytes(128) + b"DICM"
_NAMES = {
    tags.STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    tags.SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
    tags.SOP_INSTANCE_UID: "SOP Instance UID (0008,0018)",
    tags.SOP_CLASS_UID: "SOP Class UID (0008,0016)",
}

Bulk = Mapping[str, BufferedIOBase]
"""Bulk data by its BulkDataURI."""


def identifier(dataset: Dataset, tag: str) -> str:
    """Return an identifier without which the instance cannot be stored."""
    value = (dataset.get(tag, {}).get("Value") or [None])[0]
    if not isinstance(value, str) or not value:
        raise InvalidInstance(f"The metadata has no {_NAMES[tag]}.")
    if problem := uids.problem_of(value):
        raise InvalidInstance(f"The {_NAMES[tag]} {problem}.")
    return value


def write_file(
    write: Callable[[bytes], object],
    dataset: Dataset,
    bulk: Bulk,
    transfer_syntax_uid: str,
    frames: Sequence[BufferedIOBase] | None = None,
) -> list[WritableElement]:
    """Write the file piece by piece, and return the elements of its data set.

    `frames` are compressed ones, for its Pixel Data. The syntax is one of those that encode the
    data set in Explicit VR Little Endian.
    """
    for tag in _NAMES:
        identifier(dataset, tag)
    elements = _Encoder(bulk, frames).root(dataset)
    sop_class_uid, sop_instance_uid = (
        identifier(dataset, tag) for tag in (tags.SOP_CLASS_UID, tags.SOP_INSTANCE_UID)
    )
    write(file_head(sop_class_uid, sop_instance_uid, transfer_syntax_uid))
    for element in elements:
        for piece in element.pieces():
            write(piece)
    return elements


def file_head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Return everything before the data set (PS3.10 7.1)."""
    uids_by_tag = {
        tags.MEDIA_STORAGE_SOP_CLASS_UID: sop_class_uid,
        tags.MEDIA_STORAGE_SOP_INSTANCE_UID: sop_instance_uid,
        tags.TRANSFER_SYNTAX_UID: transfer_syntax_uid,
        tags.IMPLEMENTATION_CLASS_UID: IMPLEMENTATION_CLASS_UID,
    }
    elements = [
        WritableElement(tags.FILE_META_INFORMATION_VERSION, "OB", b"\0\1"),
        *(WritableElement(tag, "UI", uid.encode()) for tag, uid in uids_by_tag.items()),
        # Without a number, so that the same request makes the same bytes after an upgrade, too.
        WritableElement(
            tags.IMPLEMENTATION_VERSION_NAME, "SH", IMPLEMENTATION_VERSION_NAME.encode()
        ),
    ]
    length = sum(element.written_size for element in elements).to_bytes(4, "little")
    group = (WritableElement(tags.FILE_META_INFORMATION_GROUP_LENGTH, "UL", length), *elements)
    return _PREAMBLE + b"".join(piece for element in group for piece in element.pieces())


class _Encoder:
    """Encodes the values of a dataset, and checks them on the way."""

    def __init__(self, bulk: Bulk, frames: Sequence[BufferedIOBase] | None) -> None:
        self._bulk = bulk
        self._frames = frames
        self._is_ascii = True

    def root(self, dataset: Dataset) -> list[WritableElement]:
        """Return the elements of the data set in the order of their tags."""
        frames = self._frames
        without = (tags.SPECIFIC_CHARACTER_SET, "" if frames is None else tags.PIXEL_DATA)
        elements = list(self._elements(dataset, without))
        if frames is not None:
            elements.append(WritableElement(tags.PIXEL_DATA, "OB", Encapsulated(frames)))
        if tags.SPECIFIC_CHARACTER_SET in dataset or not self._is_ascii:
            elements.append(WritableElement(tags.SPECIFIC_CHARACTER_SET, "CS", _UTF8))
        return sorted(elements, key=lambda element: element.tag)

    def _elements(
        self, dataset: Dataset, without: Sequence[str] = (tags.SPECIFIC_CHARACTER_SET,)
    ) -> tuple[WritableElement, ...]:
        return tuple(
            self._element(tag, element)
            for tag, element in sorted(dataset.items())
            if tag not in without
        )

    def _element(self, tag: str, element: dict[str, Any]) -> WritableElement:
        """Return an element in written form."""
        vr = element["vr"]
        if vr == "SQ" and "Value" in element:
            return WritableElement(tag, vr, tuple(map(self._elements, element["Value"])))
        if "BulkDataURI" in element:
            return self._bulk_element(tag, vr, element["BulkDataURI"])
        try:
            if "InlineBinary" in element:
                raw = inline_bytes(vr, element["InlineBinary"])
            else:
                raw = value_bytes(vr, element["Value"]) if "Value" in element else b""
        except (Base64Error, ValueError, TypeError) as error:
            raise InvalidInstance(f"A value of {tag} is not a valid {vr}.") from error
        if is_text(vr) and not raw.isascii():
            self._is_ascii = False
        return WritableElement(tag, vr, raw)

    def _bulk_element(self, tag: str, vr: str, uri: str) -> WritableElement:
        """Return an element whose value is bulk data."""
        element = WritableElement(tag, vr, self._bulk[uri])
        try:
            check_size(vr, element.size)
        except ValueError as error:
            raise InvalidInstance(
                f"The bulk data of {tag} is not a valid {vr}: {error}."
            ) from error
        if is_text(vr) and not all(piece.isascii() for piece in element.value_pieces()):
            self._is_ascii = False
        return element
