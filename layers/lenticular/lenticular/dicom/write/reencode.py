"""Write the file of an instance in another transfer syntax, PS3.5 7 and PS3.10 7.1.

pydicom reads and writes the elements; the pixels never pass through it. Pixels are read and written
in pieces, so that a file of any size is rewritten in little memory. Before the first piece is
returned, our own reader compares the elements with those of the stored file.
"""

import io
import logging
import struct
import zlib
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom import config
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset as JsonDataset
from lenticular.dicom.read import part10
from lenticular.dicom.read.element_encoding import (
    EXPLICIT_LITTLE,
    ITEM_BYTES,
    SEQUENCE_END_BYTES,
    UNDEFINED,
)
from lenticular.dicom.read.vr_decode import little_endian
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.dicom.write.part10_file import file_head
from lenticular.dicom.write.read_back import ElementContent, differences, read_content
from lenticular.errors import InvalidInstance, Unacceptable

log = logging.getLogger(__name__)

# Values are written as they were read, also those that their VR does not allow, without warnings.
config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE

PIXEL_DATA = int(tags.PIXEL_DATA, 16)
# What pydicom raises for elements that it cannot make sense of.
_UNREADABLE = (
    *(ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError),
    *(RecursionError, EOFError, struct.error, InvalidInstance),
)

_MOST_NAMED = 5
"""Elements that a refusal names."""

# Elements that may differ from the stored file: those about the encoding of the pixels.
_MAY_CHANGE = frozenset(
    {
        tags.SPECIFIC_CHARACTER_SET,
        tags.SOP_INSTANCE_UID,
        tags.IMAGE_TYPE,
        tags.DERIVATION_DESCRIPTION,
        tags.SOURCE_IMAGE_SEQUENCE,
        tags.PHOTOMETRIC_INTERPRETATION,
        tags.NUMBER_OF_FRAMES,
        tags.PLANAR_CONFIGURATION,
        tags.BITS_STORED,
        tags.HIGH_BIT,
        tags.PIXEL_REPRESENTATION,
        tags.LOSSY_IMAGE_COMPRESSION,
        tags.LOSSY_IMAGE_COMPRESSION_RATIO,
        tags.LOSSY_IMAGE_COMPRESSION_METHOD,
        tags.EXTENDED_OFFSET_TABLE,
        tags.EXTENDED_OFFSET_TABLE_LENGTHS,
        tags.PIXEL_DATA,
    }
)


@dataclass(frozen=True, slots=True)
class StoredElements:
    """The elements of a stored file without its pixels, as pydicom and as our reader read them."""

    dataset: Dataset
    content: ElementContent


def read_elements(head: bytes, tail: bytes) -> StoredElements:
    """Return all elements but the pixels: those before them in the file, and those behind."""
    try:
        whole = head + tail
        start, encoding = part10.data_set_start(head)
        content = read_content(whole, start, encoding)
        stream = io.BytesIO(whole[start:])
        dataset = read_dataset(stream, not encoding.explicit, encoding.order == "<")
        _use_our_reading(dataset, content.dataset)
    except _UNREADABLE as error:
        raise _not_rewritable() from error
    return StoredElements(dataset, content)


@contextmanager
def refusing_what_cannot_be_written() -> Iterator[None]:
    """Raise Unacceptable in place of pydicom's errors for elements that cannot be written."""
    try:
        yield
    except _UNREADABLE as error:
        raise _not_rewritable() from error


def _use_our_reading(dataset: Dataset, read: JsonDataset) -> None:
    """Set the VR that we read where the file names none, and swap bytes as we do.

    pydicom leaves some VRs open and the bytes of private elements and words as they are.
    """
    elements = dataset._dict
    for tag, element in list(elements.items()):
        found = read.get(f"{tag:08X}", {})
        vr = found.get("vr")
        if vr == "SQ":
            items = dataset[tag].value
            for item, of_item in zip(items, found.get("Value", ()), strict=False):
                _use_our_reading(item, of_item)
        elif vr is not None and isinstance(element, RawDataElement) and element.value is not None:
            value = element.value
            if not element.is_little_endian and element.length != UNDEFINED:
                value = little_endian(element.VR or vr, value)
            elements[tag] = element._replace(
                VR=element.VR or vr, value=value, is_little_endian=True
            )


def rewritten(
    elements: StoredElements,
    sop_class_uid: str,
    transfer_syntax_uid: str,
    pixels: Iterable[bytes],
) -> Iterator[bytes]:
    """Return the file piece by piece; `pixels` is the whole element of the pixels, or nothing.

    It raises Unacceptable at the call if an element cannot be written as it was read.
    """
    dataset = elements.dataset
    try:
        head = file_head(sop_class_uid, str(dataset.SOPInstanceUID), transfer_syntax_uid)
        before, behind = _encoded(dataset[:PIXEL_DATA]), _encoded(dataset[PIXEL_DATA + 1 :])
        written = read_content(before + behind, 0, EXPLICIT_LITTLE)
    except _UNREADABLE as error:
        raise _not_rewritable(_unwritable(dataset)) from error
    if differing := differences(elements.content, written) - _MAY_CHANGE:
        log.error("elements would change in another transfer syntax: %s", sorted(differing))
        raise _not_rewritable(differing)
    return _file(head, _joined(before, pixels, behind), lookup(transfer_syntax_uid).deflated)


def in_utf_8(dataset: Dataset) -> None:
    """Write every text in Unicode, whatever its character set was (PS3.3 C.12.1.1.2)."""
    try:
        dataset.decode()
        for item in (dataset, *_items(dataset)):
            if item is dataset or "SpecificCharacterSet" in item:
                item.SpecificCharacterSet = "ISO_IR 192"
    except (*_UNREADABLE, LookupError) as error:
        raise Unacceptable("The texts of the instance cannot be read, so not recoded.") from error


def native_element(vr: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return the element of pixels that are not compressed (PS3.5 A.2)."""
    yield _head(vr, size + size % 2)
    written = 0
    for piece in pieces:
        written += len(piece)
        yield piece
    if written != size:
        # The length is sent already; only an aborted response shows the error to the client.
        raise RuntimeError(f"pixels of {written:,} bytes instead of {size:,}")
    yield b"\0" * (size % 2)


def encapsulated_element(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Return the element of compressed frames, a fragment each, without offsets (PS3.5 A.4)."""
    yield _head("OB", UNDEFINED) + ITEM_BYTES + bytes(4)
    for frame in frames:
        padding = len(frame) % 2
        yield ITEM_BYTES + (len(frame) + padding).to_bytes(4, "little") + frame + b"\0" * padding
    yield SEQUENCE_END_BYTES + bytes(4)


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Yield the items of all sequences."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items(item)


def _head(vr: str, length: int) -> bytes:
    """Return the header of the pixel element."""
    return struct.pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, vr.encode(), 0, length)


def _encoded(dataset: Dataset) -> bytes:
    """Return the elements as bytes."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def _joined(before: bytes, pixels: Iterable[bytes], behind: bytes) -> Iterator[bytes]:
    """Yield all elements in order."""
    yield before
    yield from pixels
    yield behind


def _file(head: bytes, elements: Iterator[bytes], deflated: bool) -> Iterator[bytes]:
    """Yield the file."""
    yield head
    if not deflated:
        yield from elements
        return
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for piece in elements:
        size += len(deflated_piece := deflater.compress(piece))
        yield deflated_piece
    last = deflater.flush()
    yield last + b"\0" * ((size + len(last)) % 2)  # PS3.5 A.5


def _unwritable(dataset: Dataset) -> set[str]:
    """Return the tags of the elements, at the root, that cannot be written."""
    found = set()
    for tag in list(dataset.keys()):
        try:
            _encoded(dataset[tag : tag + 1])
        except _UNREADABLE:
            found.add(f"{tag:08X}")
    return found


def _not_rewritable(elements: Collection[str] = ()) -> Unacceptable:
    """Return the error for an instance that cannot be written in another transfer syntax."""
    named = ", ".join(map(_name, sorted(elements)[:_MOST_NAMED]))
    which = f"Elements of the instance ({named})" if named else "Elements of the instance"
    return Unacceptable(
        f"{which} cannot be written in another transfer syntax without a change; retrieve the"
        " instance as it is stored."
    )


def _name(tag: str) -> str:
    """Return a tag as people write it, with its keyword."""
    keyword = keyword_for_tag(int(tag, 16))
    return f"({tag[:4]},{tag[4:]}) {keyword}".rstrip()
