"""Gathered metadata and bulk data become a DICOM file, PS3.18 10.5.2.

Which transfer syntax the file has is told by the media type of its pixels. Attributes of the Image
Pixel Description Macro that were left out are taken from the pixels; those that contradict them
are corrected, and the stored file says so in its Original Attributes Sequence.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BufferedIOBase, BytesIO
from typing import cast

from lenticular.dicom.model import Dataset
from lenticular.dicom.tags import (
    ATTRIBUTE_MODIFICATION_DATE_TIME,
    BITS_ALLOCATED,
    COLUMNS,
    MODIFIED_ATTRIBUTES_SEQUENCE,
    MODIFYING_SYSTEM,
    ORIGINAL_ATTRIBUTES_SEQUENCE,
    PIXEL_DATA,
    REASON_FOR_THE_ATTRIBUTE_MODIFICATION,
    ROWS,
    SAMPLES_PER_PIXEL,
    SOURCE_OF_PREVIOUS_VALUES,
)
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, OCTET_STREAM, lookup
from lenticular.dicom.write.part10_file import IMPLEMENTATION_VERSION_NAME, write_file
from lenticular.errors import InvalidInstance
from lenticular.storage.spool import Spool
from lenticular.transactions.store.match_bulkdata import BulkDataReference, BulkPart, Gathered

COERCED = 0xB000
DISCARDED = 0xB006

# What decoders go by; the rest of the description may differ from the stream for good reasons.
_BINDING = frozenset({SAMPLES_PER_PIXEL, ROWS, COLUMNS})


@dataclass(frozen=True, slots=True)
class StoreWarning:
    """What was changed of what was sent: a Warning Reason (PS3.18 I.2.1), and the originals."""

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
    is_ours: bool = False  # whether we made the pixels, so that all of the description binds


def compose(gathered: Gathered, new_spool: Callable[[], Spool]) -> tuple[Spool, StoreWarning]:
    """The file, and what has to be said of it; InvalidInstance when none can be made."""
    opened: list[BufferedIOBase] = []
    spool = new_spool()
    try:
        dataset = gathered.metadata.dataset
        bulk = {}
        pixels = None
        for reference in gathered.references.values():
            if reference.is_pixels:
                pixels = _pixels(reference, gathered, opened)
                if pixels.native is not None:
                    bulk[reference.uri] = pixels.native
            else:
                bulk[reference.uri] = _open(reference.parts[0], opened)
        remark = _store_warning(gathered, _described(dataset, pixels) if pixels else {})
        syntax = pixels.transfer_syntax_uid if pixels else EXPLICIT_VR_LITTLE_ENDIAN
        ordered = dict(sorted(dataset.items()))
        write_file(spool.write, ordered, bulk, syntax, pixels.frames if pixels else None)
    except BaseException:
        spool.close()
        raise
    finally:
        for file in opened:
            file.close()
    return spool, remark


def _open(part: BulkPart, opened: list[BufferedIOBase], start: int = 0) -> BufferedIOBase:
    """The part as a file to read; pydicom reads from where it stands."""
    if part.spool.path is not None and not start:
        file = cast("BufferedIOBase", part.spool.path.open("rb"))
    else:
        file = BytesIO(part.spool.view()[start:])
    opened.append(file)
    return file


def _pixels(
    reference: BulkDataReference, gathered: Gathered, opened: list[BufferedIOBase]
) -> _Pixels:
    from lenticular.pixels.codecs import uploaded_image

    parts = _in_order(reference)
    kind = parts[0].media_type
    if any(part.media_type != kind for part in parts):
        raise InvalidInstance("The parts of its pixels are of several media types.")
    if kind in uploaded_image.UNPACKED:
        return _unpacked(kind, parts, opened)
    named = parts[0].transfer_syntax_uid or gathered.transfer_syntax_uid
    if kind == OCTET_STREAM and not (named and lookup(named).encapsulated):
        return _native(parts, opened)
    beginning = bytes(parts[0].spool.view()[: uploaded_image.SHOWN_BYTES])
    if kind == OCTET_STREAM:
        kind = lookup(named or "").media_type.lower()
    known = kind in uploaded_image.media_types()
    if named is None or lookup(named).media_type.lower() != kind:
        if not known:
            raise InvalidInstance(f"Pixels of type {kind[:30]} cannot be stored.")
        named = uploaded_image.syntax_of(kind, beginning)
    description = uploaded_image.description_of(kind, named, beginning) if known else {}
    frames = []
    for part in parts:
        start = uploaded_image.codestream_start(
            bytes(part.spool.view()[: uploaded_image.SHOWN_BYTES])
        )
        frames.append(_open(part, opened, start))
    return _Pixels(named, frames, None, description)


def _in_order(reference: BulkDataReference) -> list[BulkPart]:
    parts = reference.parts
    if not any(part.frame_number for part in parts):
        return parts
    ordered = sorted(parts, key=lambda part: part.frame_number)
    if [part.frame_number for part in ordered] != list(range(1, len(ordered) + 1)):
        raise InvalidInstance("The frames of its pixels are not numbered from 1 without gaps.")
    return ordered


def _native(parts: list[BulkPart], opened: list[BufferedIOBase]) -> _Pixels:
    if len(parts) == 1:
        return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, _open(parts[0], opened), {})
    whole = BytesIO(b"".join(part.spool.view() for part in parts))
    return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, whole, {})


def _unpacked(kind: str, parts: list[BulkPart], opened: list[BufferedIOBase]) -> _Pixels:
    from lenticular.pixels.codecs.uploaded_image import unpack

    pictures = [unpack(kind, bytes(part.spool.view())) for part in parts]
    if any(picture.description != pictures[0].description for picture in pictures):
        raise InvalidInstance("The pictures of its frames are of several sizes or kinds.")
    whole = BytesIO(b"".join(picture.pixels for picture in pictures))
    opened.append(whole)
    described = pictures[0].description
    return _Pixels(EXPLICIT_VR_LITTLE_ENDIAN, None, whole, described, is_ours=True)


def _described(dataset: Dataset, pixels: _Pixels) -> Dataset:
    """Complete the description by what the pixels say; the attributes that had to change."""
    if pixels.is_ours and BITS_ALLOCATED in pixels.description:
        (bits,) = pixels.description[BITS_ALLOCATED]["Value"]
        dataset[PIXEL_DATA]["vr"] = "OW" if bits > 8 else "OB"
    replaced = {}
    for tag, element in pixels.description.items():
        sent = dataset.get(tag, {})
        if not sent.get("Value"):
            dataset[tag] = element
        elif sent["Value"] != element["Value"] and (pixels.is_ours or tag in _BINDING):
            replaced[tag] = sent
            dataset[tag] = element
    return replaced


def _store_warning(gathered: Gathered, replaced: Dataset) -> StoreWarning:
    metadata = gathered.metadata
    if replaced:
        original = _original_attributes(replaced)
        dataset = metadata.dataset
        earlier = dataset.get(ORIGINAL_ATTRIBUTES_SEQUENCE, {}).get("Value", [])
        dataset[ORIGINAL_ATTRIBUTES_SEQUENCE] = {"vr": "SQ", "Value": [*earlier, original]}
        tags = ", ".join(replaced)
        return StoreWarning(COERCED, f"Corrected by the pixels: {tags}.", original)
    if metadata.discarded:
        tags = ", ".join(sorted(set(metadata.discarded)))
        return StoreWarning(DISCARDED, f"Not part of an instance: {tags}.")
    return StoreWarning()


def _original_attributes(replaced: Dataset) -> Dataset:
    """An item of the Original Attributes Sequence, PS3.3 C.12.1.1.9."""
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f+0000")
    return {
        MODIFIED_ATTRIBUTES_SEQUENCE: {"vr": "SQ", "Value": [dict(sorted(replaced.items()))]},
        ATTRIBUTE_MODIFICATION_DATE_TIME: {"vr": "DT", "Value": [now]},
        MODIFYING_SYSTEM: {"vr": "LO", "Value": [IMPLEMENTATION_VERSION_NAME]},
        SOURCE_OF_PREVIOUS_VALUES: {"vr": "LO"},
        REASON_FOR_THE_ATTRIBUTE_MODIFICATION: {"vr": "CS", "Value": ["CORRECT"]},
    }
