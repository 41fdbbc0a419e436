"""Make a DICOM file of metadata and bulk data, PS3.18 10.5.2.

The media type of the pixels decides the transfer syntax of the file. Attributes of the Image Pixel
Description Macro that the client left out are taken from the pixels; those that contradict the
pixels are corrected, and the stored file says so in its Original Attributes Sequence. The file is
read back before anybody hears that it is stored.
"""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedIOBase, BytesIO
from typing import Any, cast

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.dicom.read import part10
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM, lookup
from lenticular.dicom.write import read_back
from lenticular.dicom.write.element import WritableElement, file_size
from lenticular.dicom.write.part10_file import IMPLEMENTATION_VERSION_NAME, write_file
from lenticular.errors import FailureReason, InvalidInstance, WarningReason
from lenticular.storage.spool import Spool
from lenticular.transactions.store.match_bulkdata import (
    BulkDataReference,
    BulkPart,
    IncomingInstance,
)

log = logging.getLogger(__name__)

# Decoders need these; the other attributes may differ from the stream for good reasons.
_BINDING = frozenset({tags.SAMPLES_PER_PIXEL, tags.ROWS, tags.COLUMNS})


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """A correction of what was sent: its Warning Reason (PS3.18 I.2.1), and the original values."""

    reason: int = 0
    detail: str = ""
    original: Dataset = field(default_factory=dict)


@dataclass(slots=True)
class _Pixels:
    """Pixel data as it goes into the file: compressed frames, or one native value."""

    transfer_syntax_uid: str
    frames: list[BufferedIOBase] | None
    native: BufferedIOBase | None
    description: Dataset
    is_ours: bool = False  # we decoded the pixels, so all of the description binds


def compose(
    instance: IncomingInstance, new_spool: Callable[[], Spool]
) -> tuple[Spool, StoreWarning]:
    """Return the file and the warning about it.

    Raises InvalidInstance if the metadata and its bulk data do not fit together.
    """
    spool = new_spool()
    try:
        with ExitStack() as files:
            return spool, _compose(instance, spool, files)
    except BaseException:
        spool.close()
        raise


def _compose(instance: IncomingInstance, spool: Spool, files: ExitStack) -> StoreWarning:
    dataset = instance.metadata.dataset
    bulk, pixels = _bulk_data(instance, files)
    replaced = _describe_pixels(dataset, pixels) if pixels else {}
    replaced |= _describe_document(dataset, bulk)
    warning = _store_warning(instance, replaced)
    syntax = pixels.transfer_syntax_uid if pixels else EXPLICIT_VR_LITTLE_ENDIAN
    elements = write_file(spool.write, dataset, bulk, syntax, pixels.frames if pixels else None)
    _read_back(spool, elements, files)
    return warning


def _read_back(spool: Spool, elements: list[WritableElement], files: ExitStack) -> None:
    """Refuse the instance unless its file says what its metadata and bulk data say."""
    parsed = part10.parse(spool.view())
    file = None if spool.path is None else files.enter_context(spool.path.open("rb", 0))

    def read(offset: int, length: int) -> bytes:
        # A mapped file would count as memory of ours, page after page.
        if file is None:
            return spool.read(offset, length)
        file.seek(offset)
        return file.read(length)

    try:
        read_back.compare(elements, parsed, read)
    except read_back.NotAsWritten as error:
        log.error("a composed file of %s differs at %s", parsed.sop_instance_uid, error)
        raise InvalidInstance(
            f"The attribute {error} cannot be written as it was sent.",
            FailureReason.PROCESSING_FAILURE,
        ) from error


def _bulk_data(
    instance: IncomingInstance, files: ExitStack
) -> tuple[dict[str, BufferedIOBase], _Pixels | None]:
    """Return the bulk data by its URI, and the pixels."""
    bulk, pixels = {}, None
    for reference in instance.references.values():
        if not reference.is_pixels:
            bulk[reference.uri] = _open(reference.parts[0], files)
            continue
        pixels = _pixels(reference, instance, files)
        if pixels.native is not None:
            bulk[reference.uri] = pixels.native
    return bulk, pixels


def _open(part: BulkPart, files: ExitStack, start: int = 0) -> BufferedIOBase:
    """Return the part, from `start` on, as a file."""
    if part.spool.path is not None and not start:
        return files.enter_context(cast("BufferedIOBase", part.spool.path.open("rb")))
    return files.enter_context(BytesIO(part.spool.view()[start:]))


def _pixels(reference: BulkDataReference, instance: IncomingInstance, files: ExitStack) -> _Pixels:
    from lenticular.pixels.codecs import received_pixels

    parts = _in_order(reference)
    media_type = parts[0].media_type
    if any(part.media_type != media_type for part in parts):
        raise InvalidInstance("The parts of its pixels are of several media types.")
    if media_type in received_pixels.UNPACKED:
        return _unpacked(media_type, parts, files)
    syntax = parts[0].transfer_syntax_uid or instance.transfer_syntax_uid
    if media_type == OCTET_STREAM and not (syntax and lookup(syntax).encapsulated):
        return _native(parts, files)
    return _compressed(media_type, syntax, parts, files)


def _compressed(
    media_type: str, syntax: str | None, parts: list[BulkPart], files: ExitStack
) -> _Pixels:
    from lenticular.pixels.codecs import received_pixels

    beginning = _beginning(parts[0])
    if media_type == OCTET_STREAM:
        media_type = lookup(syntax or "").media_type.lower()
    described = media_type in received_pixels.media_types()
    if syntax is None or lookup(syntax).media_type.lower() != media_type:
        if not described:
            raise InvalidInstance(f"Pixels of type {media_type[:30]} cannot be stored.")
        syntax = received_pixels.syntax_of(media_type, beginning)
    description = received_pixels.description_of(media_type, syntax, beginning) if described else {}
    frames = [
        _open(part, files, received_pixels.codestream_start(_beginning(part))) for part in parts
    ]
    return _Pixels(syntax, frames, None, description)


def _beginning(part: BulkPart) -> bytes:
    from lenticular.pixels.codecs.codestream import SHOWN_BYTES

    return bytes(part.spool.view()[:SHOWN_BYTES])


def _in_order(reference: BulkDataReference) -> list[BulkPart]:
    parts = reference.parts
    if not any(part.frame_number for part in parts):
        return parts
    ordered = sorted(parts, key=lambda part: part.frame_number)
    if [part.frame_number for part in ordered] != list(range(1, len(ordered) + 1)):
        raise InvalidInstance("The frames of its pixels are not numbered from 1 without gaps.")
    return ordered


def _native(parts: list[BulkPart], files: ExitStack) -> _Pixels:
    if len(parts) == 1:
        return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, _open(parts[0], files), {})
    whole = BytesIO(b"".join(part.spool.view() for part in parts))
    return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, whole, {})


def _unpacked(media_type: str, parts: list[BulkPart], files: ExitStack) -> _Pixels:
    from lenticular.pixels.codecs.received_pixels import unpack

    pictures = [unpack(media_type, bytes(part.spool.view())) for part in parts]
    if any(picture.description != pictures[0].description for picture in pictures):
        raise InvalidInstance("The pictures of its frames are of several sizes or kinds.")
    whole = files.enter_context(BytesIO(b"".join(picture.pixels for picture in pictures)))
    described = pictures[0].description
    return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, whole, described, is_ours=True)


def _describe_pixels(dataset: Dataset, pixels: _Pixels) -> Dataset:
    """Complete the description by what the pixels say; return the attributes that had to change."""
    if pixels.is_ours and tags.BITS_ALLOCATED in pixels.description:
        (bits,) = pixels.description[tags.BITS_ALLOCATED]["Value"]
        dataset[tags.PIXEL_DATA]["vr"] = "OW" if bits > 8 else "OB"
    replaced = {}
    for tag, element in pixels.description.items():
        sent = dataset.get(tag, {})
        if not sent.get("Value"):
            dataset[tag] = element
        elif sent["Value"] != element["Value"] and (pixels.is_ours or tag in _BINDING):
            replaced[tag] = sent
            dataset[tag] = element
    return replaced


def _describe_document(dataset: Dataset, bulk: dict[str, BufferedIOBase]) -> Dataset:
    """Set the length of an encapsulated document without its padding (PS3.3 C.24.2).

    Returns the length that the client gave when it cannot be true.
    """
    document = dataset.get(tags.ENCAPSULATED_DOCUMENT, {})
    if "BulkDataURI" not in document and "InlineBinary" not in document:
        return {}
    size = _document_size(document, bulk)
    sent = dataset.get(tags.ENCAPSULATED_DOCUMENT_LENGTH, {})
    # The client may have padded the document itself.
    if sent.get("Value") in ([size], [size - 1 + size % 2]):
        return {}
    dataset[tags.ENCAPSULATED_DOCUMENT_LENGTH] = {"vr": "UL", "Value": [size]}
    return {tags.ENCAPSULATED_DOCUMENT_LENGTH: sent} if sent.get("Value") else {}


def _document_size(document: dict[str, Any], bulk: dict[str, BufferedIOBase]) -> int:
    if "BulkDataURI" in document:
        return file_size(bulk[document["BulkDataURI"]])
    text = "".join(document["InlineBinary"].split())
    return len(text) * 3 // 4 - text[-2:].count("=")


def _store_warning(instance: IncomingInstance, replaced: Dataset) -> StoreWarning:
    metadata = instance.metadata
    if replaced:
        original = _original_attributes(replaced)
        dataset = metadata.dataset
        earlier = dataset.get(tags.ORIGINAL_ATTRIBUTES_SEQUENCE, {}).get("Value", [])
        dataset[tags.ORIGINAL_ATTRIBUTES_SEQUENCE] = {"vr": "SQ", "Value": [*earlier, original]}
        detail = f"Corrected by the bulk data: {', '.join(replaced)}."
        return StoreWarning(WarningReason.COERCION_OF_DATA_ELEMENTS, detail, original)
    if metadata.discarded:
        detail = f"Not part of an instance: {', '.join(sorted(set(metadata.discarded)))}."
        return StoreWarning(WarningReason.ELEMENTS_DISCARDED, detail)
    return StoreWarning()


def _original_attributes(replaced: Dataset) -> Dataset:
    """Return an item of the Original Attributes Sequence, PS3.3 C.12.1.1.9."""
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f+0000")
    return {
        tags.MODIFIED_ATTRIBUTES_SEQUENCE: {"vr": "SQ", "Value": [dict(sorted(replaced.items()))]},
        tags.ATTRIBUTE_MODIFICATION_DATE_TIME: {"vr": "DT", "Value": [now]},
        tags.MODIFYING_SYSTEM: {"vr": "LO", "Value": [IMPLEMENTATION_VERSION_NAME]},
        tags.SOURCE_OF_PREVIOUS_VALUES: {"vr": "LO"},
        tags.REASON_FOR_THE_ATTRIBUTE_MODIFICATION: {"vr": "CS", "Value": ["CORRECT"]},
    }
