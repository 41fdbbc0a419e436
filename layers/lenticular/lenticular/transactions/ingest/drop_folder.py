"""Ingest: what is put into the drop folder is stored and removed, or moved aside with the reason.

A file is taken once it has been quiet for a while, so that a copy in progress is left alone.
Names that begin with a dot, as rsync and others use while they write, are never touched.
"""

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import orjson

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.ingest.zip_reader import is_zip, zip_entries
from lenticular.transactions.store.store import StoreResult, store

log = logging.getLogger(__name__)

QUIET_SECONDS = 2.0
INTERVAL_SECONDS = 1.0
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file, or an entry of a zip, was not stored."""

    file: str
    detail: str
    failure_reason: int = 0


class DropFolder:
    """`incoming/` in the data folder, and `rejected/` beside it."""

    def __init__(self, services: Services, quiet_seconds: float = QUIET_SECONDS) -> None:
        self._services = services
        self._quiet_seconds = quiet_seconds
        self._stopped = threading.Event()
        data = services.settings.data
        self.incoming = data / "incoming"
        self.rejected = data / "rejected"
        self._lock = data / "incoming.lock"
        for folder in (self.incoming, self.rejected):
            folder.mkdir(parents=True, exist_ok=True)

    def watch(self) -> None:
        """Take what arrives until stopped. Of several processes only one watches at a time."""
        while not self._stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and not self._stopped.is_set():
                    try:
                        self.take_all()
                    except Exception:
                        # One strange file must not end the watch for all that come after it.
                        log.exception("the drop folder could not be read")
                    self._stopped.wait(INTERVAL_SECONDS)

    def stop(self) -> None:
        """End the watch after the file in hand."""
        self._stopped.set()

    def take_all(self) -> None:
        """Take every file that has been quiet for long enough."""
        for path in list(self._quiet_files()):
            if self._stopped.is_set():
                return
            try:
                refusals = self._take(path)
            except OSError as error:
                log.warning("a dropped file cannot be read now: %s", error.strerror)
                continue
            except (errors.Unavailable, errors.StorageFull) as error:
                # No fault of the files: they stay, and are taken when there is an index again.
                log.warning("dropped files cannot be stored now: %s", error.detail)
                return
            if refusals:
                self._reject(path, refusals)
            else:
                path.unlink(missing_ok=True)
        self._remove_empty_folders()

    def _quiet_files(self) -> Iterator[Path]:
        latest = time.time() - self._quiet_seconds
        for folder, folders, names in os.walk(self.incoming):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                if name.startswith("."):
                    continue
                status = path.lstat()
                # A copy may keep the time of its source, so the time of change counts too.
                if max(status.st_mtime, status.st_ctime) <= latest:
                    yield path

    def _take(self, path: Path) -> list[Refusal]:
        if path.is_symlink() or not path.is_file():
            return [Refusal(path.name, "Only files are taken, no links and no devices.")]
        with path.open("rb") as file, self._services.new_spool() as spool:
            if is_zip(file.read(4)):
                return self._take_zip(path)
            file.seek(0)
            _copy(file, spool)
            return _refusals([path.name], store(self._services, [spool]))

    def _take_zip(self, path: Path) -> list[Refusal]:
        refusals: list[Refusal] = []
        try:
            for name, spool in zip_entries(self._services, path):
                with spool:
                    refusals += _refusals([name], store(self._services, [spool]))
        except (errors.InvalidInstance, errors.TooLarge) as error:
            refusals.append(Refusal(path.name, error.detail))
        return refusals

    def _reject(self, path: Path, refusals: list[Refusal]) -> None:
        target = _free_name(self.rejected / path.relative_to(self.incoming))
        target.parent.mkdir(parents=True, exist_ok=True)
        report = rejection_report(str(path.relative_to(self.incoming)), refusals)
        target.with_name(target.name + ".json").write_bytes(report)
        os.replace(path, target)
        log.info("a dropped file was refused: %s", refusals[0].detail)

    def _remove_empty_folders(self) -> None:
        latest = time.time() - self._quiet_seconds
        for folder, _, _ in os.walk(self.incoming, topdown=False):
            path = Path(folder)
            if path != self.incoming and path.stat().st_mtime <= latest:
                try:
                    path.rmdir()
                except OSError:  # not empty
                    continue


def rejection_report(file: str, refusals: list[Refusal]) -> bytes:
    """The `.json` that is put beside a refused file, for people to read."""
    report = {
        "file": file,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "refused": [asdict(refusal) for refusal in refusals],
    }
    return orjson.dumps(report, option=orjson.OPT_INDENT_2)


def _refusals(names: list[str], results: list[StoreResult]) -> list[Refusal]:
    if any(result.is_temporary for result in results):
        # Not the file's fault: it stays where it is and is taken when there is room again.
        raise OSError(errno.ENOSPC, "the storage does not take files now")
    return [
        Refusal(name, result.detail, result.failure_reason)
        for name, result in zip(names, results, strict=True)
        if result.outcome is None
    ]


def _copy(file: IO[bytes], spool: Spool) -> None:
    while piece := file.read(PIECE_BYTES):
        spool.write(piece)


def _free_name(path: Path) -> Path:
    """The path, or with a number appended when something is there already."""
    candidate = path
    number = 1
    while candidate.exists() or candidate.with_name(candidate.name + ".json").exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


@contextmanager
def exclusive(lock: Path) -> Iterator[bool]:
    """Hold the lock file if no other process holds it; the kernel lets go when we die."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
