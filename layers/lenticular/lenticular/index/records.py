"""Input and output of the index: plain frozen data."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lenticular.dicom.model import Dataset, Layout, Level, ParsedInstance, Target

__all__ = [
    "Added",
    "Change",
    "Level",
    "LocatedInstance",
    "NewInstance",
    "OrthancResource",
    "Outcome",
    "Removed",
    "Statistics",
    "StoredInstance",
]


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance whose file is already safely stored under `key`.

    `lost_key` is the key that its row names if there is no whole file under it: then the row of
    the same bytes gets the new key.
    """

    parsed: ParsedInstance
    key: str
    size: int
    sha256: bytes
    lost_key: str | None = None


class Outcome(StrEnum):
    """The outcome of adding an instance."""

    STORED = "stored"
    ALREADY_STORED = "already stored"  # the very same bytes; nothing changed
    REPLACED = "replaced"  # other bytes, with the setting `replace`
    REFUSED_DUPLICATE = "refused duplicate"  # other bytes, without it


@dataclass(frozen=True, slots=True)
class Added:
    """The result for one NewInstance: outcome, Orthanc ids of the four levels, a file to remove.

    `obsolete_key` is the key of the file to delete: the new file if the instance was already
    stored or was refused, the old one if it was replaced or lost.
    `is_of_other_patient` is True if the study belongs to another Patient ID than the instance.
    """

    outcome: Outcome
    orthanc_ids: dict[Level, str]
    obsolete_key: str | None = None
    is_of_other_patient: bool = False


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance as retrieval needs it."""

    row_id: int
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    number_of_frames: int
    key: str
    size: int
    sha256: bytes
    orthanc_id: str

    @property
    def target(self) -> Target:
        """The study, series and instance that it is."""
        return Target(self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class LocatedInstance:
    """One instance, and where its frames and bulk data lie in its file.

    The frames of an encapsulated object with many of them are not in `layout.pixels.frames`;
    ask `RetrievalReader.frame_ranges`.
    """

    instance: StoredInstance
    layout: Layout


@dataclass(frozen=True, slots=True)
class Removed:
    """A deletion: the files to remove, and the closest ancestor that still exists."""

    keys: tuple[str, ...]
    remaining_ancestor: tuple[Level, str] | None  # level and Orthanc id


@dataclass(frozen=True, slots=True)
class OrthancResource:
    """A patient, study, series or instance as Orthanc's REST browses it.

    `attributes` are those of its level, `patient_attributes` those that a study carries of its
    patient. `child_ids` are Orthanc ids in the order of arrival.
    """

    level: Level
    row_id: int
    orthanc_id: str
    parent_id: str | None
    attributes: Dataset
    created: datetime
    last_update: datetime
    is_stable: bool
    child_ids: tuple[str, ...] = ()
    series_count: int = 0
    instance_count: int = 0
    size: int = 0
    patient_attributes: Dataset = field(default_factory=dict)
    instance: StoredInstance | None = None
    index_in_series: int | None = None
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the change feed; sequence numbers grow in the order of commits."""

    sequence: int
    kind: str
    level: Level
    orthanc_id: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts and sizes of everything stored."""

    patients: int
    studies: int
    series: int
    instances: int
    size: int
