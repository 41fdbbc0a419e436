"""Maintain: what keeps files and index in step, called by hand, by a schedule or by a deployment.

`sweep` removes files that no row names, `reindex` makes rows for the instances that have none: the
first after a crash, the second after a loss of the index. `spread`, the first of the three digits
that spread the studies over the storage, limits them to a part of it. `index_query_tags` reads what
query tags search for out of the documents of the index, of what was stored before they were
configured, and removes what is left of those that are configured no more. All can be stopped at
any moment and called again.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from lenticular import errors
from lenticular.dicom.model import ParsedInstance, Target
from lenticular.dicom.read import part10
from lenticular.index.records import NewInstance, Outcome
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import remove_rows_without_file
from lenticular.transactions.render import rendition_cache
from lenticular.transactions.store.keys import new_key, target_of_key

log = logging.getLogger(__name__)

INSTANCES = "instances/"
UNREFERENCED_SECONDS = 24 * 3600
BATCH_INSTANCES = 64
FILES_AT_ONCE = 20
"""How many files sweep removes while those who store wait."""

UNKNOWN = Target("")
"""The series of files with other names than ours: sweep leaves them alone, reindex copies them."""


@dataclass(frozen=True, slots=True)
class Swept:
    """How many files were looked at and removed, and whether that was all of them."""

    looked_at: int
    removed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Reindexed:
    """How many files were looked at, filed and unreadable, and whether that was all of them."""

    looked_at: int
    filed: int
    unreadable: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Indexed:
    """How many studies were looked through, and whether nothing is left to be done."""

    studies: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the storage, and what its key says of it (see `store/keys.py`)."""

    series: Target
    sop_instance_uid: str
    key: str
    time: float


def never() -> bool:
    """The answer of those who have time."""
    return False


def sweep(
    services: Services,
    spread: str = "",
    older_than_seconds: float = UNREFERENCED_SECONDS,
    should_stop: Callable[[], bool] = never,
) -> Swept:
    """Remove files that no row names and that are too old to belong to a store in progress."""
    latest = time.time() - older_than_seconds
    looked_at = removed = 0
    _require_index(services)
    for files in _series(services, INSTANCES + spread):
        if should_stop():
            return Swept(looked_at, removed, complete=False)
        looked_at += len(files)
        if files[0].series == UNKNOWN:
            continue
        # The files were listed before the rows are read, so no row can come too late.
        named = {instance.key for instance in services.index.retrieval.find(files[0].series)}
        obsolete = [file.key for file in files if file.key not in named and file.time < latest]
        removed += _remove_unnamed(services, files[0].series, obsolete)
    log.info("swept", extra={"counts": {"swept": removed}})
    return Swept(looked_at, removed, complete=True)


def reindex(
    services: Services, spread: str = "", should_stop: Callable[[], bool] = never
) -> Reindexed:
    """File every instance that has no row, from its file alone, in the order of arrival."""
    looked_at = filed = unreadable = 0
    for study in _studies_by_age(services, INSTANCES + spread):
        for files in _series(services, study):
            looked_at += len(files)
            for batch in _batches(_without_row(services, files)):
                if should_stop():
                    return Reindexed(looked_at, filed, unreadable, complete=False)
                instances = _add(services, batch)
                filed += len(instances) - _remove_gone(services, instances)
                unreadable += len(batch) - len(instances)
    log.info("reindexed", extra={"counts": {"reindexed": filed}})
    return Reindexed(looked_at, filed, unreadable, complete=True)


def index_query_tags(services: Services, should_stop: Callable[[], bool] = never) -> Indexed:
    """Go on with what is to be done for query tags.

    Not complete without a stop when others may still store as they were configured before: then
    there is one more look when an hour has passed.
    """
    looked_through = 0
    while not should_stop():
        taken = services.index.query_tag_registry.advance()
        if taken is None:
            break
        looked_through += taken
    complete = not services.index.query_tag_registry.has_pending()
    if looked_through:
        log.info("indexed", extra={"counts": {"indexed": looked_through}})
    return Indexed(looked_through, complete)


def _remove_unnamed(services: Services, series: Target, keys: list[str]) -> int:
    """Remove the files that no row names, even if a reindex adds rows at the same time."""
    removed = 0
    for start in range(0, len(keys), FILES_AT_ONCE):
        some = keys[start : start + FILES_AT_ONCE]
        rendition_cache.evict(services, some)
        writer = services.index.writer
        removed += writer.remove_unnamed_files(series, some, services.storage.delete)
    return removed


def _add(services: Services, batch: list[_File]) -> list[NewInstance]:
    """Add rows for the files that can be read; what was copied is kept once."""
    read = [(file, new) for file in batch if (new := _read(services, file))]
    instances = [new for _, new in read]
    added = services.index.writer.add(instances)
    for (file, new), answer in zip(read, added, strict=True):
        if file.key == new.key:
            continue
        if answer.obsolete_key == new.key:
            services.storage.delete(new.key)
        if answer.outcome is not Outcome.KEPT:
            services.storage.delete(file.key)
    return instances


def _remove_gone(services: Services, instances: list[NewInstance]) -> int:
    """Take back the rows of files that a delete or a sweep has removed since they were read."""
    return remove_rows_without_file(
        services, [(_target(instance.parsed), instance.key) for instance in instances]
    )


def _target(parsed: ParsedInstance) -> Target:
    return Target(parsed.study_instance_uid, parsed.series_instance_uid, parsed.sop_instance_uid)


def _require_index(services: Services) -> None:
    """Refuse to take an index that was lost, or the wrong one, for leave to remove everything."""
    if services.index.retrieval.statistics().instances == 0 and next(
        services.storage.keys(INSTANCES), None
    ):
        raise errors.Conflict("The index is empty and the storage is not: reindex, then sweep.")


def _studies_by_age(services: Services, prefix: str) -> list[str]:
    """The prefixes of all studies, that with the oldest file first."""
    oldest: dict[str, float] = {}
    for key, _, changed in services.storage.keys(prefix):
        study = "/".join(key.split("/", 3)[:3]) + "/"
        oldest[study] = min(changed, oldest.get(study, changed))
    return sorted(oldest, key=lambda study: (oldest[study], study))


def _series(services: Services, prefix: str) -> Iterator[list[_File]]:
    """The files of each series together; keys are listed in order, so they are neighbours."""
    for _, files in groupby(_files(services, prefix), key=lambda file: file.series):
        yield list(files)


def _files(services: Services, prefix: str) -> Iterator[_File]:
    for key, _, changed in services.storage.keys(prefix):
        target = target_of_key(key)
        if target is None or target.sop_instance_uid is None:
            yield _File(UNKNOWN, key, key, changed)
        else:
            series = Target(target.study_instance_uid, target.series_instance_uid)
            yield _File(series, target.sop_instance_uid, key, changed)


def _without_row(services: Services, files: list[_File]) -> list[_File]:
    """One file for each instance without a row: the oldest, or the newest if new ones replace."""
    filed = {
        instance.sop_instance_uid for instance in services.index.retrieval.find(files[0].series)
    }
    chosen: dict[str, _File] = {}
    in_order = sorted(files, key=lambda file: (file.time, file.key))
    for file in reversed(in_order) if not services.settings.replace else in_order:
        if file.sop_instance_uid not in filed:
            chosen[file.sop_instance_uid] = file
    return sorted(chosen.values(), key=lambda file: (file.time, file.key))


def _batches(files: list[_File]) -> Iterator[list[_File]]:
    for start in range(0, len(files), BATCH_INSTANCES):
        yield files[start : start + BATCH_INSTANCES]


def _read(services: Services, file: _File) -> NewInstance | None:
    """The head of a stored file; None when it is none of ours or was deleted meanwhile."""
    with services.new_spool() as spool:
        try:
            _fill(services, file, spool)
            parsed, sha256, size = part10.parse(spool.view()), spool.sha256(), spool.size
        except (FileNotFoundError, errors.InvalidInstance) as error:
            log.warning("%s cannot be filed: %s", file.key, error)
            return None
        if _is_key_of(file, parsed):
            return NewInstance(parsed, file.key, size, sha256)
        # Sweep and reindex look for rows by what a key says, so the key has to say it.
        key = new_key(_target(parsed), sha256)
        log.warning("%s is kept under its own UIDs: %s", file.key, key)
        services.storage.put(key, spool)
        return NewInstance(parsed, key, size, sha256)


def _is_key_of(file: _File, parsed: ParsedInstance) -> bool:
    target = _target(parsed)
    series = Target(target.study_instance_uid, target.series_instance_uid)
    return (series, target.sop_instance_uid) == (file.series, file.sop_instance_uid)


def _fill(services: Services, file: _File, spool: Spool) -> None:
    for piece in services.storage.stream(file.key):
        spool.write(piece)
