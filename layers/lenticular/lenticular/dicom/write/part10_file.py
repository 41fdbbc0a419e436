"""A DICOM file, PS3.10 7, made of a dataset in the DICOM JSON Model and its bulk data.

pydicom writes the structure. Values are handed to it as bytes, for it refuses some that every
archive keeps; bulk data of binary VRs streams through it, however large it is.
"""

from array import array
from binascii import Error as Base64Error
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import SEEK_END, BufferedIOBase
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

from lenticular.dicom import tags, uids
from lenticular.dicom.model import Dataset
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN
from lenticular.dicom.write.vr_encode import inline_bytes, padded, value_bytes
from lenticular.errors import InvalidInstance

if TYPE_CHECKING:
    import pydicom
    from pydicom.filebase import WriteableBuffer

# Made once for this software, as PS3.5 B.2 has it.
IMPLEMENTATION_CLASS_UID = "2.25.226370112839523219226219571408264127833"
IMPLEMENTATION_VERSION_NAME = "LENTICULAR"

_UTF8 = b"ISO_IR 192"
_STREAMED = frozenset({"OB", "OD", "OF", "OL", "OV", "OW"})
_LONGEST_SHORT = 0xFFFE
_LARGEST_OFFSET = 0xFFFFFFFE
_PIECE = 1024 * 1024
_PIXELS_BEGIN = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"
_ITEM = b"\xfe\xff\x00\xe0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_NAMES = {
    tags.STUDY_INSTANCE_UID: "Study Instance UID (0020,000D)",
    tags.SERIES_INSTANCE_UID: "Series Instance UID (0020,000E)",
    tags.SOP_INSTANCE_UID: "SOP Instance UID (0008,0018)",
    tags.SOP_CLASS_UID: "SOP Class UID (0008,0016)",
}

Bulk = Mapping[str, BufferedIOBase]
"""Bulk data by its BulkDataURI."""


def identifier(dataset: Dataset, tag: str) -> str:
    """A UID without which the instance cannot be filed."""
    value = (dataset.get(tag, {}).get("Value") or [None])[0]
    if not isinstance(value, str) or not uids.is_valid(value):
        raise InvalidInstance(f"The metadata has no valid {_NAMES[tag]}.")
    return value


def write_file(
    write: Callable[[bytes], object],
    dataset: Dataset,
    bulk: Bulk,
    transfer_syntax_uid: str,
    frames: Sequence[BufferedIOBase] | None = None,
) -> None:
    """Write the file piece by piece; `frames` are compressed ones, for its Pixel Data.

    The syntax is one of those that encode the data set in Explicit VR Little Endian.
    """
    from pydicom.filebase import DicomIO
    from pydicom.filewriter import write_dataset, write_file_meta_info

    meta = _file_meta(dataset, transfer_syntax_uid)
    before, after = _Encoder(bulk).root(dataset, split=frames is not None)
    target = DicomIO(cast("WriteableBuffer", _Target(write)))
    target.is_implicit_VR, target.is_little_endian = False, True
    target.write(bytes(128) + b"DICM")
    write_file_meta_info(target, meta)
    write_dataset(target, before)
    for piece in _encapsulated(frames) if frames is not None else ():
        write(piece)
    write_dataset(target, after)


def _file_meta(dataset: Dataset, transfer_syntax_uid: str) -> "pydicom.FileMetaDataset":
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    for tag in _NAMES:
        identifier(dataset, tag)
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(identifier(dataset, tags.SOP_CLASS_UID))
    meta.MediaStorageSOPInstanceUID = UID(identifier(dataset, tags.SOP_INSTANCE_UID))
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    name_writer(meta)
    return meta


def name_writer(meta: "pydicom.FileMetaDataset") -> None:
    """Say who wrote the file (PS3.10 7.1)."""
    from pydicom.uid import UID

    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    # Without a number, so that the same request makes the same bytes after an upgrade, too.
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME


class _Target:
    """What pydicom needs of a file, for a function that takes pieces in order."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._position = 0

    def write(self, piece: bytes) -> int:
        self._write(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def seek(self, *_: int) -> int:
        raise OSError("what is written is written")


class _Encoder:
    """Makes pydicom's datasets of ours; checks values on the way."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self._is_ascii = True

    def root(self, dataset: Dataset, *, split: bool) -> tuple["pydicom.Dataset", "pydicom.Dataset"]:
        """The data set; to be split is what is before the Pixel Data, and behind them."""
        elements = self._elements(dataset, without=tags.PIXEL_DATA if split else "")
        if tags.SPECIFIC_CHARACTER_SET in dataset or not self._is_ascii:
            elements.append(_raw(tags.SPECIFIC_CHARACTER_SET, "CS", _UTF8))
        last = int(tags.PIXEL_DATA, 16)
        before = [element for element in elements if element.tag <= last]
        return _pydicom(before), _pydicom([each for each in elements if each.tag > last])

    def _elements(self, dataset: Dataset, without: str = "") -> list[Any]:
        return [
            self._element(tag, element)
            for tag, element in dataset.items()
            if tag not in (without, tags.SPECIFIC_CHARACTER_SET)
        ]

    def _element(self, tag: str, element: dict[str, Any]) -> Any:
        from pydicom.dataelem import DataElement

        vr = element["vr"]
        if vr == "SQ" and "Value" in element:
            items = [_pydicom(self._elements(item)) for item in element["Value"]]
            return DataElement(int(tag, 16), vr, items)
        if "BulkDataURI" in element and vr in _STREAMED:
            return DataElement(int(tag, 16), vr, self._bulk[element["BulkDataURI"]])
        return _raw(tag, vr, self._bytes(tag, element))

    def _bytes(self, tag: str, element: dict[str, Any]) -> bytes:
        vr = element["vr"]
        if "BulkDataURI" in element:
            return padded(vr, self._bulk[element["BulkDataURI"]].read())
        try:
            if "InlineBinary" in element:
                return inline_bytes(vr, element["InlineBinary"])
            raw = value_bytes(vr, element["Value"]) if "Value" in element else b""
        except (Base64Error, ValueError, TypeError) as error:
            raise InvalidInstance(f"A value of {tag} is no {vr}.") from error
        if vr not in ("AT", "FL", "FD") and not raw.isascii():
            self._is_ascii = False
        return raw


def _raw(tag: str, vr: str, raw: bytes) -> Any:
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import BaseTag

    if len(raw) > _LONGEST_SHORT and not LITTLE_ENDIAN[vr].has_long_header:
        vr = "UN"  # PS3.5 6.2.2: no header of this VR holds such a length
    return RawDataElement(BaseTag(int(tag, 16)), vr, len(raw), raw, 0, False, True)


def _encapsulated(frames: Sequence[BufferedIOBase]) -> Iterator[bytes]:
    """The element with the frames, PS3.5 A.4, each in one fragment.

    pydicom has this too (encapsulate_buffer), but takes half a minute for 500 frames.
    """
    sizes = [_size(frame) for frame in frames]
    offsets = list(accumulate((8 + size + size % 2 for size in sizes), initial=0))[:-1]
    table = array("I", offsets).tobytes() if offsets and offsets[-1] < _LARGEST_OFFSET else b""
    yield _PIXELS_BEGIN
    yield _ITEM + len(table).to_bytes(4, "little") + table
    for frame, size in zip(frames, sizes, strict=True):
        yield _ITEM + (size + size % 2).to_bytes(4, "little")
        while piece := frame.read(_PIECE):
            yield piece
        if size % 2:
            yield b"\0"
    yield _SEQUENCE_END


def _size(frame: BufferedIOBase) -> int:
    size = frame.seek(0, SEEK_END)
    frame.seek(0)
    if size >= _LARGEST_OFFSET:
        raise InvalidInstance("A frame of 4 GB or more cannot be written (PS3.5 A.4).")
    return size


def _pydicom(elements: list[Any]) -> "pydicom.Dataset":
    """A dataset that pydicom takes for one that was read as it is to be written."""
    from pydicom import Dataset as Pydicom

    dataset = Pydicom({element.tag: element for element in elements})
    dataset.set_original_encoding(False, True, dataset._character_set)
    return dataset
