"""Check: prove every row by its file, and every file by its row.

Nothing is changed without `repair`, which adds rows for files whose instances have none. Others may
store and delete meanwhile: a finding is checked again before it is counted, and files
that are so young that their rows may still come are left out. Each problem is logged in a line.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from lenticular.dicom.model import Target
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.storage.protocol import Archived
from lenticular.transactions.delete import has_file
from lenticular.transactions.store.keys import target_of_key
from lenticular.transactions.upkeep.listed_files import (
    INSTANCES,
    ListedFile,
    Progress,
    ignore,
    is_left_over,
    study_folder,
)
from lenticular.transactions.upkeep.sweep_and_reindex import KEYS_AT_ONCE, add_files, never

log = logging.getLogger(__name__)

HASHES_AT_ONCE = 16
YOUNG_SECONDS = 300
_MISSING, _DAMAGED = "missing", "damaged"


@dataclass(slots=True)
class Checked:
    """Counts of a check; `next` is where to continue if it is not `complete`.

    That is after a row (`row:17`) or at a folder below `instances/` (`folder:3f2`).
    Rows whose file is missing or damaged; instances that have a file and no row (`unindexed`), and
    how many of them were added; files that no row needs, which a sweep removes.
    """

    rows: int = 0
    files: int = 0
    missing: int = 0
    damaged: int = 0
    unindexed: int = 0
    added: int = 0
    left_over: int = 0
    complete: bool = True
    next: str = ""

    @property
    def problems(self) -> int:
        """Return the number of problems that remain."""
        return self.missing + self.damaged + self.unindexed - self.added


@dataclass(frozen=True, slots=True)
class CheckRequest:
    """The part to check and where to begin in it; `with_hash` reads each file to its end."""

    spread: str = ""
    start: str = ""
    with_hash: bool = False
    repair: bool = False
    older_than_seconds: float = YOUNG_SECONDS


@dataclass(slots=True)
class _Check:
    """One call of `check`."""

    services: Services
    request: CheckRequest
    latest: float
    should_stop: Callable[[], bool]
    progress: Progress
    counts: Checked = field(default_factory=Checked)

    def check_rows(self, after: int) -> None:
        """Compare all rows after one with their files."""
        at_once = HASHES_AT_ONCE if self.request.with_hash else self.services.limits.checked_rows
        find_problem = partial(_problem, self.services, self.request.with_hash)
        # A part is chosen by its keys; without one, all rows are checked.
        beginning = INSTANCES + self.request.spread if self.request.spread else ""
        while rows := self.services.index.retrieval.after(after, beginning, at_once):
            if self.should_stop():
                self._stop(f"row:{after}")
                return
            for row, problem in zip(
                rows, self.services.threads.map(find_problem, rows), strict=True
            ):
                self.counts.missing += problem == _MISSING
                self.counts.damaged += problem == _DAMAGED
                if problem:
                    log.warning(
                        "%s is %s; its row is that of %s", row.key, problem, row.target.path
                    )
            after = rows[-1].row_id
            self.counts.rows += len(rows)
            self.progress(len(rows))

    def check_files(self, start: str) -> None:
        """Find the files without a row in the folders from `start`."""
        unnamed: list[ListedFile] = []
        for folder, of_study in groupby(self._list(start), key=study_folder):
            if self.should_stop():
                self._stop(f"folder:{folder.split('/')[1]}")
                break
            files = list(of_study)
            unnamed += self._unnamed(files)
            self.counts.files += len(files)
            self.progress(len(files))
            if len(unnamed) >= KEYS_AT_ONCE:
                self._settle(unnamed)
                unnamed = []
        self._settle(unnamed)

    def _list(self, start: str) -> Iterator[ListedFile]:
        for key, _, changed in self.services.storage.keys(INSTANCES + self.request.spread):
            if key.split("/")[1] >= start:
                yield ListedFile(target_of_key(key) or Target(""), key, changed)

    def _unnamed(self, files: list[ListedFile]) -> list[ListedFile]:
        """Return the files of a study that no row of it names."""
        studies = {file.instance.study_instance_uid for file in files} - {""}
        # The files were listed before the rows are read, so no row can come too late.
        find = self.services.index.retrieval.find
        named = {instance.key for study in studies for instance in find(Target(study))}
        return [file for file in files if file.key not in named and file.time < self.latest]

    def _settle(self, files: list[ListedFile]) -> None:
        """Count files without a row; add those whose instances have none to the index."""
        # A row of another study may name a file: earlier releases filed files of any name.
        named = self.services.index.retrieval.named_keys([file.key for file in files])
        without_row: list[ListedFile] = []
        for file in files:
            if file.key in named or not has_file(self.services, file.key):
                continue
            if self._is_left_over(file):
                self.counts.left_over += 1
                continue
            without_row.append(file)
            log.warning("%s is not in the index", file.key)
        ours = {file.instance for file in without_row} - {Target("")}
        foreign = sum(file.instance == Target("") for file in without_row)
        self.counts.unindexed += len(ours) + foreign
        if self.request.repair:
            self.counts.added += add_files(self.services, without_row)[0]

    def _is_left_over(self, file: ListedFile) -> bool:
        has_name_of_ours = file.instance != Target("")
        has_row = has_name_of_ours and self.services.index.retrieval.find(file.instance)
        return bool(has_row) and is_left_over(self.services, file)

    def _stop(self, position: str) -> None:
        self.counts.complete = False
        self.counts.next = position


def check(
    services: Services,
    request: CheckRequest,
    should_stop: Callable[[], bool] = never,
    progress: Progress = ignore,
) -> Checked:
    """Compare rows with their files, then files with their rows."""
    latest = time.time() - request.older_than_seconds
    done = _Check(services, request, latest, should_stop, progress)
    phase, _, position = request.start.partition(":")
    if phase != "folder":
        done.check_rows(int(position or 0))
    if done.counts.complete:
        done.check_files(position if phase == "folder" else "")
    log.info("checked", extra={"counts": {"problems": done.counts.problems}})
    return done.counts


def _problem(services: Services, with_hash: bool, row: StoredInstance) -> str | None:
    """Return what is wrong with the file of a row, if the row is still there then."""
    problem = _problem_of_file(services, with_hash, row)
    if problem is None:
        return None
    keys = {now.key for now in services.index.retrieval.find(row.target)}
    # It may have been deleted or replaced meanwhile, or its lost file sent again.
    return _problem_of_file(services, with_hash, row) if row.key in keys else None


def _problem_of_file(services: Services, with_hash: bool, row: StoredInstance) -> str | None:
    try:
        if with_hash:
            is_whole = _sha256(services, row.key) == row.sha256
        else:
            # One byte of two: the last one of the row's size is there, and none after it.
            is_whole = len(services.storage.read(row.key, row.size - 1, 2)) == 1
    except FileNotFoundError:
        return _MISSING
    except (TimeoutError, ConnectionError):
        raise
    except Archived:
        return None  # it is there; more can only be said once it is restored
    except OSError as error:
        log.warning("%s cannot be read: %s", row.key, error)
        return _DAMAGED
    return None if is_whole else _DAMAGED


def _sha256(services: Services, key: str) -> bytes:
    digest = hashlib.sha256()
    for piece in services.storage.stream(key):
        digest.update(piece)
    return digest.digest()
