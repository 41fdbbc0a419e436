"""Ingest: what is put into the drop folder is stored and removed, or moved aside with the reason.

A file is stored once it has not changed for a while, so that a copy in progress is left alone.
Names that begin with a dot, as rsync and others use while they write, are never touched. No file
holds up another: one that cannot be stored is logged once and tried again after ever longer waits.
"""

import errno
import logging
import os
import time
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import BinaryIO

from lenticular import errors
from lenticular.services import Services
from lenticular.transactions.ingest.dropped_file import TAKEN, DroppedFile, dropped_name
from lenticular.transactions.ingest.rejected_folder import RejectedFolder, readable
from lenticular.transactions.ingest.rejection import Refusal
from lenticular.transactions.ingest.zip_reader import is_zip, store_zip
from lenticular.transactions.store.store import StoreResult, store
from lenticular.transactions.watch import INTERVAL_SECONDS, Retries, Watch

log = logging.getLogger(__name__)

QUIET_SECONDS = 2.0
PIECE_BYTES = 1024 * 1024


class DropFolder(Watch):
    """`incoming/` in the data folder, and `rejected/` beside it."""

    def __init__(self, services: Services, quiet_seconds: float = QUIET_SECONDS) -> None:
        data = services.settings.data
        super().__init__(data / "incoming.lock")
        self._services = services
        self._quiet_seconds = quiet_seconds
        self.incoming = data / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        self._rejected = RejectedFolder(data / "rejected")
        self._retries = Retries(2 * INTERVAL_SECONDS)
        self._first_seen: dict[Hashable, float] = {}

    def turn(self) -> float:
        """Store every file that has not changed for long enough."""
        there = list(self._files())
        self._retries.keep_only({file.path for file in there} | {None})
        for file in self._quiet(there):
            if self.stopped.is_set():
                break
            if self._retries.is_due(file.path, file.version) and not self._try(file):
                break
        else:
            self._retries.remove(None)
        self._remove_empty_folders()
        return INTERVAL_SECONDS

    def _try(self, file: DroppedFile) -> bool:
        """Store a file; return False if no other can be stored now either."""
        try:
            self._take(file)
            self._retries.remove(file.path)
        except (errors.Unavailable, errors.StorageFull) as error:
            # No fault of the files: they stay, and are stored when there is an index again.
            if self._retries.add(None):
                log.warning("dropped files cannot be stored now: %s", error.detail)
            return False
        except OSError as error:
            # One that was changed or removed meanwhile is checked again in the next turn.
            if file.is_unchanged() and self._retries.add(file.path, file.version):
                log.warning("a dropped file cannot be taken now: %s", error.strerror)
        except Exception:
            if self._retries.add(file.path, file.version):
                log.exception("a dropped file cannot be taken")
        return True

    def _files(self) -> Iterator[DroppedFile]:
        for folder, folders, names in os.walk(self.incoming):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            # os.walk counts links to folders as folders, and does not follow them.
            links = [name for name in folders if Path(folder, name).is_symlink()]
            for name in sorted([*names, *links]):
                if name.startswith(".") and not name.startswith(TAKEN):
                    continue
                try:
                    yield DroppedFile.find(Path(folder, name))
                except OSError:  # it is gone again
                    continue

    def _quiet(self, files: list[DroppedFile]) -> list[DroppedFile]:
        now, first_seen = time.time(), self._first_seen
        self._first_seen = {
            file.version: first_seen.get(file.version, now)
            for file in files
            if file.changed_at > now
        }
        # A time in the future is a wrong clock's: from when on we saw it counts instead.
        return [
            file
            for file in files
            if self._first_seen.get(file.version, file.changed_at) <= now - self._quiet_seconds
        ]

    def _take(self, file: DroppedFile) -> None:
        refusals = self._store(file)
        taken = file.take_away()
        if taken is None:
            return
        if refusals:
            dropped_as = file.path.relative_to(self.incoming)
            dropped_as = dropped_as.with_name(dropped_name(dropped_as.name))
            self._rejected.add(taken, dropped_as, refusals)
            log.info("a dropped file was refused: %s", refusals[0].detail)
        else:
            taken.unlink()

    def _store(self, dropped: DroppedFile) -> list[Refusal]:
        name = readable(dropped_name(dropped.path.name))
        if not dropped.is_regular:
            return [Refusal(name, "Only regular files are stored, not links or devices.")]
        with dropped.open() as file, self._services.new_spool() as spool:
            if is_zip(file.read(4)):
                return self._store_zip(file, name)
            file.seek(0)
            while piece := file.read(PIECE_BYTES):
                spool.write(piece)
            if not dropped.is_unchanged():
                raise BlockingIOError("The file was changed while it was read.")
            return _refusals(name, store(self._services, [spool]))

    def _store_zip(self, file: BinaryIO, name: str) -> list[Refusal]:
        refusals: list[Refusal] = []
        try:
            for entry, result in store_zip(self._services, file):
                refusals += _refusals(entry, [result])
        except (errors.InvalidInstance, errors.TooLarge) as error:
            refusals.append(Refusal(name, error.detail))
        return refusals

    def _remove_empty_folders(self) -> None:
        latest = time.time() - self._quiet_seconds
        for folder, _, _ in os.walk(self.incoming, topdown=False):
            path = Path(folder)
            try:
                if path != self.incoming and path.stat().st_mtime <= latest:
                    path.rmdir()
            except OSError:  # not empty, not ours, or gone
                continue


def _refusals(name: str, results: list[StoreResult]) -> list[Refusal]:
    if any(result.is_temporary for result in results):
        # Not the file's fault: it stays where it is and is stored when there is room again.
        raise OSError(errno.ENOSPC, "the storage does not take files now")
    return [
        Refusal(name, result.detail, result.failure_reason)
        for result in results
        if result.outcome is None
    ]
