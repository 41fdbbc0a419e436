"""Match parts of bulk data with the metadata that names them, PS3.18 10.5.1.4.

A part belongs to every instance with a BulkDataURI that equals its Content-Location. An instance
is complete as soon as its last part is there. A
BulkDataURI is looked for in the request and nowhere else.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import urljoin

from lenticular.dicom import tags
from lenticular.dicom.integers import first_integer
from lenticular.dicom.json_and_xml.json_reader import Metadata
from lenticular.dicom.model import Dataset, Target
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, lookup
from lenticular.dicom.uids import problem_of
from lenticular.errors import FailureReason, InvalidInstance, TooLarge
from lenticular.limits import Limits
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import StoreResult

MAX_WAITING_FILES = 256
"""Large parts that wait for the rest of their instance, each an open file."""

LACKS_BULK_DATA = "A BulkDataURI is the Content-Location of no part."
LACKS_FRAMES = "Fewer parts than Number of Frames came for its pixels."

_FRAME = re.compile(r"(.+)/frames/([0-9]{1,9})")


@dataclass(slots=True, eq=False)
class BulkPart:
    """A received part of bulk data; several instances may use one."""

    media_type: str
    transfer_syntax_uid: str | None
    spool: Spool
    users: int = 0
    frame_number: int = 0

    @property
    def is_one_frame(self) -> bool:
        """True if the part, as pixels, is one frame: by its name, or by its media type."""
        syntax = lookup(self.transfer_syntax_uid or EXPLICIT_VR_LITTLE_ENDIAN)
        is_picture = self.media_type.startswith("image/") and self.media_type != "image/gif"
        return is_picture or self.frame_number > 0 or (syntax.encapsulated and not syntax.is_video)


@dataclass(slots=True)
class BulkDataReference:
    """A BulkDataURI, or several of the same text, of one instance."""

    uri: str
    is_pixels: bool
    frames: int
    parts: list[BulkPart] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """True if all parts are there: pictures come one for each frame, all else in one."""
        if not self.parts:
            return False
        by_frame = self.is_pixels and self.parts[0].is_one_frame
        return len(self.parts) >= (self.frames if by_frame else 1)


@dataclass(slots=True, eq=False)
class IncomingInstance:
    """An instance whose metadata has come, and its bulk data as far as that has come."""

    metadata: Metadata
    transfer_syntax_uid: str | None
    references: dict[str, BulkDataReference]
    number: int
    incomplete: int


class BulkDataMatcher:
    """Matches parts with instances; `base` is the URL that relative URIs are relative to."""

    def __init__(self, base: str, limits: Limits) -> None:
        self._base, self._limits = base, limits
        self._waiting: dict[str, dict[int, IncomingInstance]] = {}
        self._incomplete: dict[int, IncomingInstance] = {}
        self._unclaimed: dict[str, list[BulkPart]] = {}
        self._finished: deque[IncomingInstance] = deque()
        self._files = self._bytes = self._number = 0

    def add_metadata(self, metadata: Metadata, transfer_syntax_uid: str | None) -> None:
        """Add an instance; its bulk data may have come already."""
        references = self._references(metadata)
        number, incomplete = self._number, len(references)
        instance = IncomingInstance(metadata, transfer_syntax_uid, references, number, incomplete)
        self._number += 1
        self._incomplete[instance.number] = instance
        for key in instance.references:
            self._waiting.setdefault(key, {})[instance.number] = instance
        for key in list(instance.references):
            for part in self._unclaimed.pop(key, []):
                self._assign(part, key)
        self._complete(instance)

    def add_bulk_data(self, part: BulkPart, location: str) -> None:
        """Add a part of bulk data to the instances that name it."""
        key = self._key(location)
        frame = _FRAME.fullmatch(key)
        if key not in self._waiting and frame is not None:
            # Retrieval names the frames of pixel data like this (PS3.18 10.4).
            key, part.frame_number = frame[1], int(frame[2])
        self._count(part, 1)
        if key in self._waiting:
            self._assign(part, key)
            return
        self._unclaimed.setdefault(key, []).append(part)
        if sum(map(len, self._unclaimed.values())) > self._limits.unclaimed_parts:
            raise TooLarge("Send the metadata before the bulk data that it names.")

    def _assign(self, part: BulkPart, key: str) -> None:
        users = list(self._waiting.get(key, {}).values())
        part.users += len(users)
        for instance in users:
            reference = instance.references[key]
            was_complete = reference.is_complete
            reference.parts.append(part)
            instance.incomplete -= reference.is_complete and not was_complete
            self._complete(instance)

    def complete(self) -> Iterator[IncomingInstance]:
        """Return the instances that have become complete; release each of them."""
        while self._finished:
            yield self._finished.popleft()

    def release(self, instance: IncomingInstance) -> None:
        """Close the parts of an instance, unless another instance uses them, too."""
        for reference in instance.references.values():
            for part in reference.parts:
                part.users -= 1
                if part.users == 0:
                    self._close(part)
            reference.parts = []

    def leftovers(self) -> Iterator[StoreResult]:
        """Return a refusal for everything that could not be used, once all parts have come."""
        for instance in self._incomplete.values():
            begun = any(r.parts and not r.is_complete for r in instance.references.values())
            what = LACKS_FRAMES if begun else LACKS_BULK_DATA
            yield refused(instance.metadata.dataset, what)
        for part in chain.from_iterable(self._unclaimed.values()):
            detail = f"No metadata names a part of type {part.media_type[:20]}."
            yield StoreResult(None, failure_reason=FailureReason.CANNOT_UNDERSTAND, detail=detail)

    def close(self) -> None:
        """Close all parts that wait."""
        for instance in [*self._incomplete.values(), *self._finished]:
            self.release(instance)
        for part in chain.from_iterable(self._unclaimed.values()):
            self._close(part)
        self._incomplete, self._unclaimed = {}, {}
        self._finished.clear()

    def _complete(self, instance: IncomingInstance) -> None:
        """Record that an instance is complete, if it is."""
        if instance.incomplete or self._incomplete.pop(instance.number, None) is None:
            return
        self._finished.append(instance)
        for key in instance.references:
            users = self._waiting[key]
            del users[instance.number]
            if not users:
                del self._waiting[key]

    def _close(self, part: BulkPart) -> None:
        self._count(part, -1)
        part.spool.close()

    def _count(self, part: BulkPart, sign: int) -> None:
        """Count the waiting parts; raise TooLarge if they are too many."""
        if part.spool.path is not None:
            self._files += sign
        else:
            self._bytes += sign * part.spool.size
        is_too_much = self._files > MAX_WAITING_FILES or self._bytes > self._limits.waiting_bytes
        if sign > 0 and is_too_much:
            raise TooLarge("Too much bulk data waits; send that of one instance together.")

    def _references(self, metadata: Metadata) -> dict[str, BulkDataReference]:
        frames = _number_of_frames(metadata.dataset)
        found: dict[str, BulkDataReference] = {}
        todo = [metadata.dataset]
        while todo:
            dataset = todo.pop()
            for tag, element in dataset.items():
                if "BulkDataURI" in element:
                    uri = element["BulkDataURI"]
                    is_pixels = dataset is metadata.dataset and tag == tags.PIXEL_DATA
                    reference = found.setdefault(
                        self._key(uri), BulkDataReference(uri, False, frames)
                    )
                    reference.is_pixels |= is_pixels
                    element["BulkDataURI"] = reference.uri
                elif element["vr"] == "SQ":
                    todo += element.get("Value", [])
        return found

    def _key(self, uri: str) -> str:
        """Return the absolute form of a URI, the same for all its spellings."""
        try:
            return urljoin(self._base, uri.strip().strip("<>"))
        except ValueError:
            return uri


def refused(dataset: Any, detail: str) -> StoreResult:
    """Return a refusal of an instance of which there is only metadata."""
    uids = [
        _uid(dataset, tag)
        for tag in (tags.STUDY_INSTANCE_UID, tags.SERIES_INSTANCE_UID, tags.SOP_INSTANCE_UID)
    ]
    sop_class_uid = _uid(dataset, tags.SOP_CLASS_UID)
    target = Target(*uids) if all(uids) and sop_class_uid else None
    return StoreResult(
        None, sop_class_uid, target, failure_reason=FailureReason.CANNOT_UNDERSTAND, detail=detail
    )


def _uid(dataset: Any, tag: str) -> str:
    """Return the UID with this tag, an empty string when the dataset has none."""
    element = dataset.get(tag) if isinstance(dataset, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    value = values[0] if isinstance(values, list) and values else ""
    return value if isinstance(value, str) and problem_of(value) is None else ""


def _number_of_frames(dataset: Dataset) -> int:
    if not dataset.get(tags.NUMBER_OF_FRAMES, {}).get("Value"):
        return 1
    number = first_integer(dataset, tags.NUMBER_OF_FRAMES)
    if number is None:
        raise InvalidInstance("The Number of Frames (0028,0008) is not a number.")
    return max(number, 1)
