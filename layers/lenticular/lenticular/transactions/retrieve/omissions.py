"""Answers of many: what can be had comes, and what cannot is named (PS3.18 10.4.3, status 206).

A damaged instance, frame or value, and one whose file is gone, is left out of the answer and added
to its `Omissions`. When nothing can be had, the answer is the error of the first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from os.path import commonpath
from typing import TypeVar

from lenticular.dicom.model import Target
from lenticular.errors import DamagedRow, LenticularError, NotFound, NotRenderable, Unacceptable
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import instances as retrieve
from lenticular.transactions.retrieve.byte_source import FileGone

Made = TypeVar("Made")
Candidate = tuple[str, Callable[[], Made]]
"""The name of a part of the answer, such as `instance 1.2.3`, and the function that makes it."""

REASONS = (DamagedRow, NotFound, NotRenderable, Unacceptable)
"""The errors that concern one part of an answer and not all of it."""

MOST_NAMED = 10
"""Parts that are named one by one, so that no answer is all of headers."""


class Omissions:
    """The parts that an answer leaves out, each with its error, until the answer begins."""

    def __init__(self) -> None:
        self._errors: dict[str, LenticularError] = {}
        self._warnings: list[str] = []
        self._status_is_sent = False

    def __bool__(self) -> bool:
        return bool(self._errors)

    def __contains__(self, name: str) -> bool:
        return name in self._errors

    def add(self, name: str, error: LenticularError) -> None:
        """Leave a part out; once the status is sent, raise its error instead.

        That breaks the connection, so the client knows that the response is incomplete.
        """
        if self._status_is_sent:
            raise error
        self._errors[name] = error

    def warn(self, sentence: str) -> None:
        """Add a warning about a part that is in the response, which is complete all the same."""
        self._warnings.append(sentence)

    def omit(self, instance: StoredInstance, error: LenticularError) -> None:
        """Leave out an instance."""
        self.add(name_of(instance), error)

    def status_is_sent(self) -> None:
        """Record that the response has begun: nothing can be left out any more."""
        self._status_is_sent = True

    def raise_first(self) -> None:
        """Raise the error of the first part, since nothing at all can be had."""
        for error in self._errors.values():
            raise error

    def sentences(self) -> list[str]:
        """Return a sentence for each part that is left out, then the warnings.

        Of many, the last sentence counts those that are not named.
        """
        named = [
            f"The {name} is left out: {error.detail}"
            for name, error in islice(self._errors.items(), MOST_NAMED)
        ]
        if others := len(self._errors) - len(named):
            named.append(f"{others:,} more are left out.")
        warnings = self._warnings[:MOST_NAMED]
        if others := len(self._warnings) - len(warnings):
            warnings.append(f"That is so of {others:,} more.")
        return named + warnings


def obtainable(candidates: Iterable[Candidate[Made]], omissions: Omissions) -> Iterator[Made]:
    """Yield the parts that can be made; raise the first error when none can."""
    count = 0
    for name, make in candidates:
        try:
            made = make()
        except REASONS as error:
            omissions.add(name, error)
        else:
            count += 1
            yield made
    if not count:
        omissions.raise_first()


def find_present(services: Services, target: Target, omissions: Omissions) -> list[StoredInstance]:
    """Return the instances of the target whose files are there; at least one.

    Of a single instance nothing is checked: reading it says as much.
    """
    instances = retrieve.find(services, target)
    if target.sop_instance_uid is not None:
        return instances
    if _gone(services, instances):  # perhaps replaced or deleted since they were found
        instances = retrieve.find(services, target)
    present = leave_out_gone(services, instances, omissions)
    if not present:
        omissions.raise_first()
    return present


def leave_out_gone(
    services: Services, instances: Sequence[StoredInstance], omissions: Omissions
) -> list[StoredInstance]:
    """Return the instances whose files are there, and name the others."""
    gone = _gone(services, instances)
    for instance in instances if gone else ():
        if instance.key in gone:
            detail = f"The file of instance {instance.sop_instance_uid} is gone."
            omissions.omit(instance, FileGone(detail))
    return [instance for instance in instances if instance.key not in gone]


def name_of(instance: StoredInstance) -> str:
    """Return what a warning calls an instance."""
    return f"instance {instance.sop_instance_uid}"


def _gone(services: Services, instances: Sequence[StoredInstance]) -> set[str]:
    """Return the keys of the files that are missing or cut short, by listing their folders.

    A listing names a thousand files at a time, so it costs little beside reading them.
    """
    sizes: dict[str, int] = {}
    for folder in _folders(instances):
        sizes.update((key, size) for key, size, _ in services.storage.keys(folder + "/"))
    return {each.key for each in instances if sizes.get(each.key, -1) < each.size}


def _folders(instances: Sequence[StoredInstance]) -> Iterator[str]:
    """Yield the folder that all files of a study have in common, or those of a series."""
    studies: dict[str, set[str]] = {}
    for instance in instances:
        folder = instance.key.rpartition("/")[0]
        studies.setdefault("/".join(folder.split("/", 3)[:3]), set()).add(folder)
    for folders in studies.values():
        yield commonpath(folders)
