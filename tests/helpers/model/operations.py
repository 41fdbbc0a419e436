"""What processes and people do, and what each answer says about the instances it concerns."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lenticular.dicom.model import Target
from lenticular.errors import Conflict, NotFound
from lenticular.index.records import Outcome
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import delete
from lenticular.transactions.ingest.drop_bucket import INCOMING, take
from lenticular.transactions.ingest.drop_folder import DropFolder
from lenticular.transactions.store.store import StoreResult, store
from lenticular.transactions.upkeep.stability import mark_stable
from lenticular.transactions.upkeep.sweep_and_reindex import reindex, sweep
from tests.helpers.model.contents import Content, Junk, file_of
from tests.helpers.model.world import World

DUPLICATE = 0x0111


@dataclass(frozen=True)
class Stored:
    """An instance was stored, perhaps: what the answer says. None is that nobody knows."""

    content: Content
    outcome: Outcome | None = None


@dataclass(frozen=True)
class SafelyStored(Stored):
    """These bytes of an instance were stored, or had been before."""


@dataclass(frozen=True)
class Deleted:
    """An instance was deleted, perhaps. None is that nobody knows."""

    target: Target
    found: bool | None = None


@dataclass(frozen=True)
class Reindexed:
    """An instance without a row may have got one, of one of these contents."""

    target: Target
    digests: frozenset[bytes]


Change = Stored | Deleted | Reindexed


def covers(target: Target, instance: Target) -> bool:
    """Whether the instance is, or belongs to, the target."""
    series, sop = target.series_instance_uid, target.sop_instance_uid
    return (
        target.study_instance_uid == instance.study_instance_uid
        and series in (None, instance.series_instance_uid)
        and sop in (None, instance.sop_instance_uid)
    )


class Operation:
    """Something that a process does."""

    def run(self, world: World, services: Services) -> Any:
        """Do it; the answer."""
        raise NotImplementedError

    def changes(self, known: Sequence[Target], answer: Any | None) -> list[Change]:
        """What the answer says of instances; without one nobody knows what happened."""
        return []


@dataclass(frozen=True)
class Store(Operation):
    """Store some files with one request."""

    contents: tuple[Content, ...]

    def run(self, world: World, services: Services) -> list[StoreResult]:
        spools = [Spool() for _ in self.contents]
        for spool, content in zip(spools, self.contents, strict=True):
            spool.write(content.data)
        return store(services, spools)

    def changes(self, known: Sequence[Target], answer: Any | None) -> list[Change]:
        if answer is None:
            return [Stored(content) for content in self.contents]
        return [
            Stored(content, _outcome(result))
            for content, result in zip(self.contents, answer, strict=True)
        ]


def _outcome(result: StoreResult) -> Outcome | None:
    if result.outcome is None and not result.is_temporary:
        assert result.failure_reason == DUPLICATE, result
        return Outcome.REFUSED_DUPLICATE
    return result.outcome


@dataclass(frozen=True)
class Delete(Operation):
    """Delete a study, a series or an instance, or several of them."""

    targets: tuple[Target, ...]

    def run(self, world: World, services: Services) -> bool:
        try:
            delete(services, *self.targets)
        except NotFound:
            return False
        return True

    def changes(self, known: Sequence[Target], answer: Any | None) -> list[Change]:
        concerned = [one for one in known if any(covers(each, one) for each in self.targets)]
        return [Deleted(target, answer) for target in concerned]


@dataclass(frozen=True)
class Drop(Operation):
    """A person puts a file, or a zip of files, into the drop folder, over what is there."""

    name: str
    items: tuple[Content | Junk, ...]

    def run(self, world: World, services: Services) -> bool:
        world.drop(self.name, file_of(self.items))
        return True


@dataclass(frozen=True)
class TakeDrops(Operation):
    """Take all that lies in the drop folder."""

    def run(self, world: World, services: Services) -> bool:
        if services.bucket is None:
            DropFolder(services, quiet_seconds=0).turn()
            return True
        for key in [key for key, _, _ in services.bucket.keys(INCOMING)]:
            # What it cannot take now it takes when its event comes again.
            with suppress(OSError):
                take(services, services.bucket, key)
        return True


@dataclass(frozen=True)
class Sweep(Operation):
    """Remove the files without a row that are older than everything that happens meanwhile."""

    def run(self, world: World, services: Services) -> bool:
        with suppress(Conflict):  # the index is empty, and may be lost
            sweep(services, older_than_seconds=time.time() - world.now)
        return True


@dataclass(frozen=True)
class Reindex(Operation):
    """Make rows for the files that have none."""

    def run(self, world: World, services: Services) -> bool:
        reindex(services)
        return True


@dataclass(frozen=True)
class MarkStable(Operation):
    """Say what is stable."""

    def run(self, world: World, services: Services) -> bool:
        mark_stable(services)
        return True
