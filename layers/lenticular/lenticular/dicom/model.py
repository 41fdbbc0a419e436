"""The data of one instance after its head was read: plain data, used in every layer.

A dataset is the DICOM JSON Model (PS3.18 Annex F) as a plain dict everywhere in this system:
`{"00100020": {"vr": "LO", "Value": ["X"]}}`, tags in upper-case hexadecimal, in ascending order,
without the File Meta Information. It is read from the file once, when the instance is stored.
"""

from array import array
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote

Dataset = dict[str, dict[str, Any]]

BULKDATA_BASE = "@/"
"""A BulkDataURI in a stored dataset starts with this in place of the service's base URL:
`@/studies/{study}/series/{series}/instances/{sop}/bulkdata/{path}`."""


class Level(StrEnum):
    """The levels of the hierarchy; values are those of Orthanc's REST."""

    PATIENT = "Patient"
    STUDY = "Study"
    SERIES = "Series"
    INSTANCE = "Instance"

    @property
    def depth(self) -> int:
        """The number of levels above it."""
        return LEVELS.index(self)

    @property
    def above(self) -> "Level":
        """The level above it."""
        return LEVELS[self.depth - 1]

    @property
    def below(self) -> "Level":
        """The level below it."""
        return LEVELS[self.depth + 1]


LEVELS = tuple(Level)
"""All levels, from patients down to instances."""

DICOMWEB_LEVELS = LEVELS[1:]
"""The levels that have paths in DICOMweb."""


@dataclass(frozen=True, slots=True)
class Target:
    """A study, series or instance, as a DICOMweb path names it."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def path(self) -> str:
        """The path in DICOMweb (PS3.18 10.1): `studies/…/series/…/instances/…`, URL-encoded."""
        names = ("studies", "series", "instances")
        uids = (self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)
        pairs = zip(names, uids, strict=True)
        return "/".join(f"{name}/{quote(uid, safe='')}" for name, uid in pairs if uid is not None)


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """The position of the pixels in the (inflated) file.

    `tag` is 7FE00010, 7FE00008 or 7FE00009. Native: frame i starts `i * frame_bits` bits after
    `offset`, and `word_bytes` is the size of the words to swap in a big-endian file (2, 4 or 8;
    1: none). Encapsulated: the value begins with the item of the Basic Offset Table and ends before
    the delimiter; frame i is the run of fragment items (headers included) at `frames[2 * i]` of
    length `frames[2 * i + 1]`; `frames` is empty when no rule of PS3.5 A.4 separates the frames.
    """

    tag: str
    vr: str
    encapsulated: bool
    offset: int
    length: int
    number_of_frames: int
    frame_bits: int = 0
    word_bytes: int = 1
    frames: "array[int]" = field(default_factory=lambda: array("Q"))


@dataclass(frozen=True, slots=True)
class Layout:
    """The positions of values in the (inflated) file that are too large for the dataset.

    `bulkdata` maps the path in a BulkDataURI (`00420011`, `54000100/0/54001010`: tag, item index
    from 0, tag) to offset, length and VR. Pixels are not in it.
    """

    bulkdata: dict[str, tuple[int, int, str]]
    pixels: PixelLayout | None = None


@dataclass(frozen=True, slots=True)
class ParsedInstance:
    """The head of a stored file: its dataset in JSON and the positions of its large values."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    dataset: Dataset
    layout: Layout

    @property
    def target(self) -> Target:
        """The study, series and instance that the dataset names."""
        return Target(self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)
