"""The files below `instances/` as the storage lists them, and what their keys say of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular.dicom.model import Target
from lenticular.transactions.store.keys import target_of_key

if TYPE_CHECKING:
    from lenticular.services import Services

INSTANCES = "instances/"

Progress = Callable[[int], object]
"""Called with the number of files or rows that were looked at since the last call."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file of the storage, and the instance that its key names (see `store/keys.py`)."""

    instance: Target
    key: str
    time: float

    @property
    def series(self) -> Target:
        """The series of the instance."""
        return Target(self.instance.study_instance_uid, self.instance.series_instance_uid)


def listed_files(services: "Services", prefix: str) -> Iterator[ListedFile]:
    """Return the files with keys of ours, those of a series one after the other."""
    for key, _, changed in services.storage.keys(prefix):
        target = target_of_key(key)
        if target is not None:
            yield ListedFile(target, key, changed)


def foreign_files(services: "Services", prefix: str) -> Iterator[ListedFile]:
    """Return the files that somebody put there under other names."""
    for key, _, changed in services.storage.keys(prefix):
        if target_of_key(key) is None:
            yield ListedFile(Target(""), key, changed)


def study_folder(file: ListedFile) -> str:
    """Return the beginning of the keys of all files of the study."""
    return "/".join(file.key.split("/", 3)[:3]) + "/"


def ignore(count: int) -> None:
    """Show no progress."""
