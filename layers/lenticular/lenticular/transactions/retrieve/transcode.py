"""An instance in another transfer syntax than it is stored in, PS3.18 8.7.3.5 and PS3.5 8.

Only what can be is read and made frame by frame. Where values change (lossy compression), the
instance becomes another one: it gets a new SOP Instance UID and says what it was made of (PS3.3
C.7.6.1.1.5 and C.12.4).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from lenticular.dicom import tags
from lenticular.dicom.model import PixelLayout
from lenticular.dicom.read.element_encoding import LONGEST_LENGTH, SEQUENCE_END_BYTES, Encoding
from lenticular.dicom.read.part10 import data_set_start
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from lenticular.dicom.write import reencode
from lenticular.dicom.write.lossy_derivation import mark_lossy
from lenticular.dicom.write.reencode import StoredElements, refusing_what_cannot_be_written
from lenticular.errors import Unacceptable
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.pixels.codecs import compress
from lenticular.pixels.codecs.convert_frame import bits_needed, require
from lenticular.pixels.codecs.decode import DecodedFrame, decode
from lenticular.pixels.codecs.to_native import packed, uncompressed
from lenticular.pixels.image_pixel import PixelDescription, describe
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.retrieve.byte_source import ByteSource, layout_content, little_endian
from lenticular.transactions.retrieve.frames import frame_syntax, require_frames, stored_frames
from lenticular.transactions.retrieve.instances import dataset_of, locate

_HEAD = 4096
_MOST_ELEMENT_BYTES = 256 * 1024 * 1024
"""Bytes of the elements beside the pixels; they are in memory while they are rewritten."""


Edit = Callable[[Dataset], None]
"""Changes the elements of an instance that goes out uncompressed."""


@dataclass(frozen=True, slots=True)
class Transcoded:
    """The file of an instance in another transfer syntax; making it begins with `pieces`."""

    transfer_syntax_uid: str
    pieces: Callable[[], Iterator[bytes]]


def transcode(
    services: Services,
    instance: StoredInstance,
    transfer_syntax_uid: str,
    edit: Edit | None = None,
) -> Transcoded:
    """Return the instance in another transfer syntax; `edit` may change its elements.

    What has no pixels to compress goes out uncompressed.
    """
    located = locate(services, instance.target)
    pixels = located.layout.pixels
    _require_few_elements(located)
    if pixels is None or pixels.tag != tags.PIXEL_DATA:
        if lookup(transfer_syntax_uid).encapsulated:
            transfer_syntax_uid = EXPLICIT_VR_LITTLE_ENDIAN
        make = partial(_without_pixels, services, located, transfer_syntax_uid, edit)
    elif lookup(transfer_syntax_uid).encapsulated:
        require_frames(located)
        make = partial(_compressed, services, located, pixels, transfer_syntax_uid)
    else:
        make = partial(_native, services, located, pixels, transfer_syntax_uid, edit)
    return Transcoded(transfer_syntax_uid, make)


def _require_few_elements(located: LocatedInstance) -> None:
    pixels = located.layout.pixels
    size = located.instance.size - (pixels.length if pixels is not None else 0)
    if size > _MOST_ELEMENT_BYTES:
        raise Unacceptable(
            f"The instance has {size:,} bytes of elements beside its pixels, too many to be"
            " converted; retrieve it as it is stored."
        )


def _without_pixels(
    services: Services, located: LocatedInstance, syntax: str, edit: Edit | None
) -> Iterator[bytes]:
    whole = layout_content(services, located.instance)
    elements = reencode.read_elements(whole.read(), b"")
    if edit is not None:
        with refusing_what_cannot_be_written():
            edit(elements.dataset)
    return _file(located, elements, syntax, ())


def _file(
    located: LocatedInstance, elements: StoredElements, syntax: str, pixels: Iterable[bytes]
) -> Iterator[bytes]:
    return reencode.rewritten(elements, located.instance.sop_class_uid, syntax, pixels)


def _elements_around(whole: ByteSource, pixels: PixelLayout) -> StoredElements:
    """Return the elements before the pixels and behind them."""
    _, coding = data_set_start(whole.read(0, min(_HEAD, whole.size)))
    head = whole.read(0, pixels.offset - _header_size(coding))
    tail = whole.read(pixels.offset + pixels.length)
    if pixels.encapsulated and tail.startswith(SEQUENCE_END_BYTES):
        tail = tail[8:]
    elements = reencode.read_elements(head, tail if tail.strip(b"\0") else b"")
    for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if keyword in elements.dataset:
            delattr(elements.dataset, keyword)
    return elements


def _header_size(coding: Encoding) -> int:
    return 12 if coding.explicit else 8


def _native(
    services: Services,
    located: LocatedInstance,
    pixels: PixelLayout,
    syntax: str,
    edit: Edit | None,
) -> Iterator[bytes]:
    whole = layout_content(services, located.instance)
    elements = _elements_around(whole, pixels)
    if edit is not None:
        with refusing_what_cannot_be_written():
            edit(elements.dataset)
    if not pixels.encapsulated:
        value = little_endian(whole, pixels.offset, pixels.length, pixels.word_bytes)
        element = reencode.native_element(pixels.vr, value.size, _opened_later(value))
        return _file(located, elements, syntax, element)
    require_frames(located)
    _state_frames(elements.dataset, pixels)
    description = _description(services, located)
    bits = description.samples * description.bits_allocated
    size = (bits * pixels.number_of_frames + 7) // 8
    if size > LONGEST_LENGTH:
        raise Unacceptable("Uncompressed, the pixels do not fit a file; retrieve them as stored.")
    frames = _decoded(services, located, description)
    first = next(frames)
    changed: dict[str, Any] = {}
    if first.samples.dtype.kind == "i":
        changed["PixelRepresentation"] = 1  # JPEG 2000 may know better than the attribute
    if first.samples.ndim == 3:
        changed["PhotometricInterpretation"] = first.colour_space
        changed["PlanarConfiguration"] = int(description.planar)
    if frame_syntax(services, located) in compress.LOSSY:
        changed["LossyImageCompression"] = "01"
    _change(elements.dataset, changed)
    samples = chain([first], frames)
    data = packed((uncompressed(frame, description) for frame in samples), bits)
    vr = "OW" if description.bits_allocated > 8 else "OB"
    return _file(located, elements, syntax, reencode.native_element(vr, size, data))


def _compressed(
    services: Services, located: LocatedInstance, pixels: PixelLayout, syntax: str
) -> Iterator[bytes]:
    elements = _elements_around(layout_content(services, located.instance), pixels)
    _state_frames(elements.dataset, pixels)
    description = _description(services, located)
    require(syntax, description)
    frames = _decoded(services, located, description)
    beginning = next(frames)
    bits = bits_needed(beginning, description)
    compressed = (compress.compress(frame, syntax, bits) for frame in chain([beginning], frames))
    first = next(compressed)
    changed = {
        "PhotometricInterpretation": first.photometric_interpretation,
        "BitsStored": bits,
        "HighBit": bits - 1,
    }
    if description.samples_per_pixel > 1:
        changed["PlanarConfiguration"] = 0
    _change(elements.dataset, changed)
    data: Iterator[bytes] = (frame.data for frame in chain([first], compressed))
    if syntax in compress.LOSSY:
        # The elements say how much is lost, so all frames are made before the first byte goes out.
        spool = services.new_spool()
        sizes = _spooled(spool, data)
        original = description.samples * description.bits_allocated / 8 * len(sizes)
        _derive(located, elements.dataset, syntax, original / spool.size)
        data = _taken(spool, sizes)
    return _file(located, elements, syntax, reencode.encapsulated_element(data))


def _opened_later(source: ByteSource) -> Iterator[bytes]:
    """Yield all bytes; the file is opened with the first, which a HEAD never asks for."""
    yield from source.all()


def _state_frames(dataset: Dataset, pixels: PixelLayout) -> None:
    """Set Number of Frames to the number of frames that are written."""
    if pixels.number_of_frames > 1 or "NumberOfFrames" in dataset:
        _change(dataset, {"NumberOfFrames": pixels.number_of_frames})


def _description(services: Services, located: LocatedInstance) -> PixelDescription:
    return describe(dataset_of(services, located), tags.PIXEL_DATA)


def _decoded(
    services: Services, located: LocatedInstance, description: PixelDescription
) -> Iterator[DecodedFrame]:
    pixels = located.layout.pixels
    if pixels is None:
        return
    syntax = frame_syntax(services, located)
    numbers = range(1, pixels.number_of_frames + 1)
    for frame in stored_frames(services, located, numbers):
        yield decode(frame.load().read(), syntax, description)


def _change(dataset: Dataset, attributes: Mapping[str, Any]) -> None:
    """Write these attributes, by keyword, which say how the pixels are encoded now."""
    with refusing_what_cannot_be_written():
        for keyword, value in attributes.items():
            # Assigned by name, pydicom would first read the old value, which may be damaged.
            dataset[keyword] = DataElement(keyword, dictionary_VR(keyword), value)


def _derive(located: LocatedInstance, dataset: Dataset, syntax: str, ratio: float) -> None:
    method = compress.LOSSY[syntax]
    with refusing_what_cannot_be_written():
        mark_lossy(dataset, located.instance.sop_class_uid, syntax, method, ratio)


def _spooled(spool: Spool, frames: Iterable[bytes]) -> list[int]:
    """Write the frames into the spool and return their sizes."""
    sizes = []
    for frame in frames:
        spool.write(frame)
        sizes.append(len(frame))
    return sizes


def _taken(spool: Spool, sizes: list[int]) -> Iterator[bytes]:
    position = 0
    with spool:
        for size in sizes:
            yield spool.read(position, size)
            position += size
