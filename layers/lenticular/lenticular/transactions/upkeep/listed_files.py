"""The files below `instances/` as the storage lists them, and what their keys say of them."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lenticular import errors
from lenticular.dicom.model import Target
from lenticular.dicom.read import part10
from lenticular.transactions.store.keys import target_of_key

if TYPE_CHECKING:
    from lenticular.services import Services

log = logging.getLogger(__name__)

INSTANCES = "instances/"
BEGINNING_BYTES = 256 * 1024
"""Bytes of a file in which nearly always its UIDs are."""

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
    """Return the files that were put there by hand under other names."""
    for key, _, changed in services.storage.keys(prefix):
        if target_of_key(key) is None:
            yield ListedFile(Target(""), key, changed)


def is_left_over(services: "Services", file: ListedFile) -> bool:
    """Return True if a file that no row names is not needed.

    Stores, deletes and crashes leave files whose keys name what is in them. A file that was
    put there by hand under another instance's name stays as long as its own instance has no row.
    """
    try:
        held = held_instance(services, file)
    except (TimeoutError, ConnectionError):
        raise
    except OSError as error:
        log.warning("%s cannot be read: %s", file.key, error)
        return False
    if held in (None, file.instance) or services.index.retrieval.find(held):
        return True
    log.warning("%s holds another instance than it is named for; a reindex adds it", file.key)
    return False


def is_misplaced(services: "Services", file: ListedFile) -> bool:
    """Return True if the file was put there by hand under the name of another instance."""
    return held_instance(services, file) not in (None, file.instance)


def held_instance(services: "Services", file: ListedFile) -> Target | None:
    """Return the instance in a file, not that of its key; None if it cannot be read."""
    try:
        beginning = services.storage.read(file.key, 0, BEGINNING_BYTES)
        if target := part10.target_of_beginning(beginning):
            return target
        with services.new_spool() as spool:
            for piece in services.storage.stream(file.key):
                spool.write(piece)
            return part10.parse(spool.view()).target
    except (FileNotFoundError, errors.InvalidInstance):
        return None


def study_folder(file: ListedFile) -> str:
    """Return the beginning of the keys of all files of the study."""
    return "/".join(file.key.split("/", 3)[:3]) + "/"


def ignore(count: int) -> None:
    """Show no progress."""
