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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from lenticular import errors
from lenticular.dicom.model import Target
from lenticular.dicom.read import part10
from lenticular.index.records import NewInstance, Outcome
from lenticular.services import Services
from lenticular.storage.protocol import Archived
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import remove_rows_without_file
from lenticular.transactions.render import rendition_cache
from lenticular.transactions.store.keys import new_key, target_of_key
from lenticular.transactions.upkeep.listed_files import (
    INSTANCES,
    ListedFile,
    Progress,
    foreign_files,
    ignore,
    is_left_over,
    is_misplaced,
    listed_files,
    study_folder,
)

log = logging.getLogger(__name__)

UNREFERENCED_SECONDS = 24 * 3600
BATCH_INSTANCES = 64
KEYS_AT_ONCE = 500
"""Files that sweep looks for at once among all rows."""

FILES_AT_ONCE = 20
"""Files that sweep removes while stores wait."""


@dataclass(frozen=True, slots=True)
class Swept:
    """Counts of a sweep; `complete` if it saw all files."""

    looked_at: int
    removed: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Reindexed:
    """Counts of a reindex; `complete` if it saw all files."""

    looked_at: int
    filed: int
    unreadable: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Indexed:
    """Studies scanned for query tags; `complete` if nothing is left."""

    studies: int
    complete: bool


@dataclass(frozen=True, slots=True)
class _Unfiled:
    """A file that was read; `copied_from` is where it lay, if its key told other UIDs."""

    new: NewInstance
    copied_from: str | None = None
    has_row: bool = False


def never() -> bool:
    """Return False, the answer of those who have time."""
    return False


def sweep(
    services: Services,
    spread: str = "",
    older_than_seconds: float = UNREFERENCED_SECONDS,
    should_stop: Callable[[], bool] = never,
    progress: Progress = ignore,
) -> Swept:
    """Remove files that no row names and that are too old to belong to a store in progress."""
    latest = time.time() - older_than_seconds
    looked_at = removed = 0
    complete = True
    unnamed: list[ListedFile] = []
    _require_index(services)
    for files in _series(services, INSTANCES + spread):
        if should_stop():
            complete = False
            break
        looked_at += len(files)
        progress(len(files))
        # The files were listed before the rows are read, so no row can come too late.
        named = {instance.key for instance in services.index.retrieval.find(files[0].series)}
        unnamed += [file for file in files if file.key not in named and file.time < latest]
        if len(unnamed) >= KEYS_AT_ONCE:
            removed += _remove_unnamed(services, unnamed)
            unnamed = []
    removed += _remove_unnamed(services, unnamed)
    if removed:
        log.info("swept", extra={"counts": {"swept": removed}})
    return Swept(looked_at, removed, complete)


def reindex(
    services: Services,
    spread: str = "",
    should_stop: Callable[[], bool] = never,
    progress: Progress = ignore,
) -> Reindexed:
    """Add every instance that has no row, from its file alone, in the order of arrival."""
    looked_at = filed = unreadable = 0
    complete = True
    for seen, batch in _unfiled(services, INSTANCES + spread):
        if should_stop():
            complete = False
            break
        added, unread = _add(services, batch)
        looked_at += seen
        filed += added
        unreadable += unread
        progress(seen)
    log.info("reindexed", extra={"counts": {"reindexed": filed}})
    return Reindexed(looked_at, filed, unreadable, complete)


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


def _remove_unnamed(services: Services, files: list[ListedFile]) -> int:
    """Remove the files that no row names, even if a reindex adds rows at the same time."""
    # A row of another series may name a file: earlier releases filed files of any name.
    named = services.index.retrieval.named_keys([file.key for file in files])
    left = [file for file in files if file.key not in named and is_left_over(services, file)]
    removed = 0
    for series, of_series in groupby(left, key=lambda file: file.series):
        keys = [file.key for file in of_series]
        for start in range(0, len(keys), FILES_AT_ONCE):
            some = keys[start : start + FILES_AT_ONCE]
            rendition_cache.evict(services, some)
            writer = services.index.writer
            removed += writer.remove_unnamed_files(series, some, services.storage.delete)
    return removed


def _unfiled(services: Services, prefix: str) -> Iterator[tuple[int, list[list[ListedFile]]]]:
    """Yield the files without a row, some at a time, and how many files were looked at for them."""
    for folder in _studies_by_age(services, prefix):
        files = list(listed_files(services, folder))
        batches = list(_batches(_without_row(services, files)))
        yield len(files), batches[0] if batches else []
        yield from ((0, batch) for batch in batches[1:])
    strange = [[file] for file in foreign_files(services, prefix)]
    yield from ((len(batch), batch) for batch in _batches(strange))


def add_files(services: Services, files: list[ListedFile]) -> tuple[int, int]:
    """Add rows for files without one; return how many, and how many cannot be read."""
    filed = unreadable = 0
    ours = [file for file in files if target_of_key(file.key)]
    foreign = [[file] for file in files if not target_of_key(file.key)]
    for batch in _batches(_by_age(services, ours) + foreign):
        added, unread = _add(services, batch)
        filed += added
        unreadable += unread
    return filed, unreadable


def _add(services: Services, batch: list[list[ListedFile]]) -> tuple[int, int]:
    read = [_read_candidates(services, files) for files in batch]
    instances = [unfiled for group in read for unfiled in group]
    return _file(services, instances), sum(not group for group in read)


def _file(services: Services, read: list[_Unfiled]) -> int:
    """Add rows for files; return how many there are now that were not there before."""
    instances = [unfiled for unfiled in read if not unfiled.has_row]
    added = services.index.writer.add([unfiled.new for unfiled in instances])
    new = 0
    for unfiled, answer in zip(instances, added, strict=True):
        new += answer.outcome is Outcome.STORED
        if unfiled.copied_from is None:
            continue
        if answer.obsolete_key == unfiled.new.key:
            services.storage.delete(unfiled.new.key)
        if answer.outcome is not Outcome.REFUSED_DUPLICATE:
            # The same bytes are safe under a key of ours.
            services.storage.delete(unfiled.copied_from)
    return new - _remove_gone(services, [unfiled.new for unfiled in instances])


def _remove_gone(services: Services, instances: list[NewInstance]) -> int:
    """Remove the rows of files that a delete or a sweep has removed since they were read."""
    return remove_rows_without_file(
        services, [(instance.parsed.target, instance.key) for instance in instances]
    )


def has_lost_index(services: Services) -> bool:
    """Return True if there are files and the index knows of none."""
    return services.index.retrieval.statistics().instances == 0 and any(
        True for _ in services.storage.keys(INSTANCES)
    )


def _require_index(services: Services) -> None:
    """Refuse to take an index that was lost, or the wrong one, for leave to remove everything."""
    if has_lost_index(services):
        raise errors.Conflict("The index is empty and the storage is not: reindex, then sweep.")


def _studies_by_age(services: Services, prefix: str) -> list[str]:
    """Return the folders of all studies; first the one whose oldest instance is the oldest.

    The attributes of a patient are those of its oldest instance (`index/write/inherited.py`).
    """
    ages: dict[str, tuple[float, str]] = {}
    for folder, files in groupby(listed_files(services, prefix), key=study_folder):
        # Leftovers of replaced instances are no candidates, so they make no study older.
        ages[folder] = _age(_by_age(services, files)[0][0])
    return sorted(ages, key=lambda folder: ages[folder])


def _series(services: Services, prefix: str) -> Iterator[list[ListedFile]]:
    """Yield the files of each series together; keys are listed in order, so they are neighbours."""
    for _, files in groupby(listed_files(services, prefix), key=lambda file: file.series):
        yield list(files)


def _without_row(services: Services, files: list[ListedFile]) -> list[list[ListedFile]]:
    """Return the files of each instance of a study without a row, the oldest instance first.

    Behind them come the files that somebody put there under the name of an instance with a row.
    """
    if not files:  # deleted since the studies were listed
        return []
    study = Target(files[0].instance.study_instance_uid)
    rows = services.index.retrieval.find(study)
    filed, named = {row.target for row in rows}, {row.key for row in rows}
    without_row = _by_age(services, (file for file in files if file.instance not in filed))
    beside = (file for file in files if file.instance in filed and file.key not in named)
    return without_row + [[file] for file in beside if is_misplaced(services, file)]


def _by_age(services: Services, files: Iterable[ListedFile]) -> list[list[ListedFile]]:
    """Return the files of each instance, the one to be added first; the oldest instance first.

    The one to be added is the oldest, or the newest if new ones replace. The others stand in for
    it where a crash has left only a part of it.
    """
    candidates: dict[Target, list[ListedFile]] = {}
    for file in sorted(files, key=_age, reverse=services.settings.replace):
        candidates.setdefault(file.instance, []).append(file)
    return sorted(candidates.values(), key=lambda each: _age(each[0]))


def _age(file: ListedFile) -> tuple[float, str]:
    return file.time, file.key


def _batches(instances: list[list[ListedFile]]) -> Iterator[list[list[ListedFile]]]:
    for start in range(0, len(instances), BATCH_INSTANCES):
        yield instances[start : start + BATCH_INSTANCES]


def _read_candidates(services: Services, candidates: list[ListedFile]) -> list[_Unfiled]:
    """Return the first whole file of the instance, and every file that is of another one.

    A file may have been put by hand under the name of another instance.
    """
    found: list[_Unfiled] = []
    has_own = False
    for file in candidates:
        unfiled = _read(services, file)
        if unfiled is None:
            continue
        is_own = unfiled.new.parsed.target == file.instance
        if not (is_own and has_own):
            found.append(unfiled)
        has_own |= is_own
    return found


def _read(services: Services, file: ListedFile) -> _Unfiled | None:
    """Read a stored file; None when it is none of ours or was deleted meanwhile."""
    with services.new_spool() as spool:
        try:
            _fill(services, file, spool)
            new = NewInstance(part10.parse(spool.view()), file.key, spool.size, spool.sha256())
        except (FileNotFoundError, Archived, errors.InvalidInstance) as error:
            log.warning("%s cannot be filed: %s", file.key, error)
            return None
        if target_of_key(file.key) == new.parsed.target:
            return _Unfiled(new)
        if _has_row(services, new):
            return _Unfiled(new, has_row=True)
        # Sweep and reindex find the row of a file by its key, so it gets a key of its own UIDs.
        copied = replace(new, key=new_key(new.parsed.target, new.sha256))
        log.warning("%s is kept under its own UIDs: %s", file.key, copied.key)
        services.storage.put(copied.key, spool)
        return _Unfiled(copied, file.key)


def _has_row(services: Services, new: NewInstance) -> bool:
    """Return True if a row names the file, as earlier releases filed files under any key."""
    return any(
        instance.key == new.key for instance in services.index.retrieval.find(new.parsed.target)
    )


def _fill(services: Services, file: ListedFile, spool: Spool) -> None:
    for piece in services.storage.stream(file.key):
        spool.write(piece)
