"""Files in a folder of this machine: durable once `put` has returned."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import FileIO
from pathlib import Path

from lenticular.storage.spool import Spool

PIECE_BYTES = 1024 * 1024
PUT_ATTEMPTS = 10
ABANDONED_SECONDS = 24 * 3600
SYNCS_AT_ONCE = 16
RESERVE = "reserve"
RESERVE_BYTES = 8 * 1024 * 1024
"""A delete writes to the database first, which needs room in its log."""


class FolderStorage:
    """Files below a root folder; `spool/` in it takes large bodies while they arrive."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._spool = root / "spool"
        self._spool.mkdir(parents=True, exist_ok=True)
        self.spool_folder: Path | None = self._spool
        self._discard_abandoned()
        self.keep_reserve()
        self._syncing = ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="sync")

    def close(self) -> None:
        """End the threads."""
        self._syncing.shutdown()

    def put(self, key: str, body: Spool) -> None:
        """Write the file and sync it together with its folder, whose new name is in it.

        A crash may leave a part of the file under its key. No row names that key yet.
        """
        target = self._path(key)
        for attempt in range(PUT_ATTEMPTS):
            try:
                self._make_folder(target.parent)
                file = self._write(target, body)
                break
            except FileNotFoundError:
                # A delete took the folder away, empty as it was, in between.
                if attempt == PUT_ATTEMPTS - 1:
                    raise
        with file:
            try:
                # Side by side, both wait for the same commit of the file system's journal.
                folder_synced = self._syncing.submit(_sync_folder, target.parent)
                os.fsync(file.fileno())
                folder_synced.result()
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return at most `length` bytes from `offset`; without a length, all to the end."""
        with self._path(key).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size - offset
            wanted = size if length is None else min(length, size)
            data = os.pread(file.fileno(), max(wanted, 0), offset)
            if len(data) == wanted or wanted <= 0:
                return data
            # One system call gives at most 2 GiB.
            return data + self.read(key, offset + len(data), wanted - len(data))

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield these bytes in pieces of a megabyte at most; a missing key raises at the call."""
        file = self._path(key).open("rb", buffering=0)
        if length is None:
            length = os.fstat(file.fileno()).st_size - offset
        return _pieces(file, offset, length)

    def delete(self, key: str) -> None:
        """Delete the file and the folders that it leaves empty; a missing key is no error."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        for folder in path.parents:
            if folder == self.root or folder.parent == self.root:
                return
            try:
                folder.rmdir()
            except OSError:  # another file is in it, or another delete was quicker
                return

    def release_reserve(self) -> bool:
        """Free the disk space reserved for deletes on a full disk; return False without any."""
        try:
            (self.root / RESERVE).unlink()
        except FileNotFoundError:
            return False
        return True

    def keep_reserve(self) -> None:
        """Reserve the disk space again if there is room."""
        path = self.root / RESERVE
        try:
            file_descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            os.posix_fallocate(file_descriptor, 0, RESERVE_BYTES)
        except OSError:
            path.unlink(missing_ok=True)
        finally:
            os.close(file_descriptor)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Yield key, size in bytes and time of change (seconds since 1970) of all with a prefix."""
        start = self.root / prefix
        # Text instead of paths: a listing of a study stands before each of its retrievals.
        above = len(os.path.join(self.root, ""))
        for folder, folders, names in os.walk(start if start.is_dir() else start.parent):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                key = path[above:]
                if key.startswith(prefix) and key != RESERVE:
                    try:
                        status = os.stat(path)
                    except FileNotFoundError:  # deleted since it was listed, or a dangling link
                        continue
                    yield key, status.st_size, status.st_mtime

    def _discard_abandoned(self) -> None:
        """Remove old files of killed servers from the spool; young ones may be in use."""
        latest = time.time() - ABANDONED_SECONDS
        for path in self._spool.iterdir():
            with suppress(FileNotFoundError):  # kept or removed since it was listed
                if path.stat().st_mtime < latest:
                    path.unlink()

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if not all(parts) or ".." in parts or "." in parts or "\0" in key:
            raise ValueError(f"not a key: {key!r}")
        return self.root.joinpath(*parts)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder so that it survives a crash: each new name is synced in its parent."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        with suppress(FileNotFoundError):  # the parent was deleted meanwhile: the move tries again
            folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)

    def _write(self, target: Path, body: Spool) -> FileIO:
        """Write or rename the body to its path, without a sync."""
        if body.path is not None:
            os.rename(body.path, target)
            body.forget_file()
            return target.open("rb", buffering=0)
        file = target.open("xb", buffering=0)
        try:
            rest = body.view()
            while rest:
                rest = rest[file.write(rest) :]
        except BaseException:
            file.close()
            target.unlink(missing_ok=True)
            raise
        return file


def _pieces(file: FileIO, offset: int, length: int) -> Iterator[bytes]:
    with file:
        while length > 0:
            piece = os.pread(file.fileno(), min(length, PIECE_BYTES), offset)
            if not piece:
                return
            yield piece
            offset += len(piece)
            length -= len(piece)


def _sync_folder(folder: Path) -> None:
    file_descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file_descriptor)
    finally:
        os.close(file_descriptor)
