"""The file of an instance in another transfer syntax, PS3.5 7 and PS3.10 7.1.

pydicom reads and writes the elements; the pixels never pass through it. What is large is given
and taken as pieces, so that a file of any size is rewritten in little memory.
"""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID

from lenticular.dicom.read import part10
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.dicom.write.part10_file import name_writer
from lenticular.errors import InvalidInstance, Unacceptable

PIXEL_DATA = 0x7FE00010
_UNDEFINED = 0xFFFFFFFF
_ITEM = struct.Struct("<HHI")
# What pydicom raises for elements that it cannot make sense of.
_UNREADABLE = (
    *(ValueError, TypeError, KeyError, AttributeError, NotImplementedError, OSError),
    *(RecursionError, EOFError, struct.error, InvalidInstance),
)


def read_elements(head: bytes, tail: bytes) -> Dataset:
    """All elements but the pixels: what stands before them in the file, and what behind."""
    try:
        start, coding = part10.data_set_start(head)
        stream = io.BytesIO(head[start:] + tail)
        return read_dataset(stream, not coding.explicit, coding.order == "<")
    except _UNREADABLE as error:
        raise _not_rewritable() from error


def rewritten(
    dataset: Dataset, sop_class_uid: str, transfer_syntax_uid: str, pixels: Iterable[bytes]
) -> Iterator[bytes]:
    """The file piece by piece; `pixels` is the whole element of the pixels, or nothing.

    Raises Unacceptable at the call when an element cannot be written.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    name_writer(meta)
    try:
        head = _encoded_meta(meta)
        before, behind = _encoded(dataset[:PIXEL_DATA]), _encoded(dataset[PIXEL_DATA + 1 :])
    except _UNREADABLE as error:
        raise _not_rewritable() from error
    return _file(head, _joined(before, pixels, behind), lookup(transfer_syntax_uid).deflated)


def in_utf_8(dataset: Dataset) -> None:
    """Write every text in Unicode, whatever it was written in (PS3.3 C.12.1.1.2)."""
    try:
        dataset.decode()
        for item in (dataset, *_items(dataset)):
            if item is dataset or "SpecificCharacterSet" in item:
                item.SpecificCharacterSet = "ISO_IR 192"
    except (*_UNREADABLE, LookupError) as error:
        raise Unacceptable("The texts of the instance cannot be read, so not recoded.") from error


def native_element(vr: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The element of pixels that are not compressed (PS3.5 A.2)."""
    yield _head(vr, size + size % 2)
    yield from pieces
    yield b"\0" * (size % 2)


def encapsulated_element(frames: Iterable[bytes]) -> Iterator[bytes]:
    """The element of compressed frames, a fragment each, without offsets (PS3.5 A.4)."""
    yield _head("OB", _UNDEFINED) + _ITEM.pack(0xFFFE, 0xE000, 0)
    for frame in frames:
        padding = len(frame) % 2
        yield _ITEM.pack(0xFFFE, 0xE000, len(frame) + padding) + frame + b"\0" * padding
    yield _ITEM.pack(0xFFFE, 0xE0DD, 0)


def _items(dataset: Dataset) -> Iterator[Dataset]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items(item)


def _head(vr: str, length: int) -> bytes:
    return struct.pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, vr.encode(), 0, length)


def _encoded_meta(meta: FileMetaDataset) -> bytes:
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    return b"\0" * 128 + b"DICM" + bytes(buffer.getvalue())


def _encoded(dataset: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def _joined(before: bytes, pixels: Iterable[bytes], behind: bytes) -> Iterator[bytes]:
    yield before
    yield from pixels
    yield behind


def _file(head: bytes, elements: Iterator[bytes], deflated: bool) -> Iterator[bytes]:
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


def _not_rewritable() -> Unacceptable:
    return Unacceptable(
        "Elements of the instance cannot be written in another transfer syntax; retrieve it as it"
        " is stored."
    )
