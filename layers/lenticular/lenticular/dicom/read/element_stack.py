"""The stack of the element reader: data sets and sequences that are being read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lenticular.dicom.model import Dataset
from lenticular.dicom.read.character_sets import CharacterSet
from lenticular.dicom.read.element_encoding import Encoding

_FAR = 100


@dataclass(slots=True)
class OpenDataset:
    """A data set that is being read: the file's, or an item of a sequence."""

    dataset: Dataset
    coding: Encoding
    character_set: CharacterSet
    position: int
    end: int
    sequence: "OpenSequence | None" = None
    is_delimited: bool = False
    is_ordered: bool = True
    last_key: str = "0003"  # so that an element that cannot be in a data set is never in order

    def datasets_outwards(self) -> Iterator[Dataset]:
        """Yield the data set and those around it, as far as an element can refer to them."""
        level = self
        yield level.dataset
        for _ in range(_FAR):
            if level.sequence is None:
                return
            level = level.sequence.level
            yield level.dataset

    def path(self, key: str) -> str:
        """Return the path of an element: tag, item index from 0, tag, and so on."""
        level, parts = self, [key]
        while level.sequence is not None:
            sequence = level.sequence
            parts += [str(len(sequence.items) - 1), sequence.key]
            level = sequence.level
        return "/".join(reversed(parts))

    def sort(self) -> None:
        """Sort the elements by tag (PS3.18 F.2.2) if they came in another order."""
        if not self.is_ordered:
            ordered = sorted(self.dataset.items())
            self.dataset.clear()
            self.dataset.update(ordered)


@dataclass(slots=True)
class OpenSequence:
    """A sequence whose items are being read; `end` is its own or its parent's."""

    key: str
    element: dict[str, Any]
    level: OpenDataset
    coding: Encoding
    start: int
    end: int
    is_delimited: bool
    depth: int  # how many sequences are open, this one included
    bulkdata_before: int
    items: list[Dataset] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OpenBulk:
    """A value outside the dataset: its element, its path, and its position."""

    element: dict[str, Any]
    path: str
    offset: int
    length: int
    vr: str
