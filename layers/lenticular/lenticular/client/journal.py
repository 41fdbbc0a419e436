"""The journal of an upload: what is stored already, so that it is not sent again.

One file for each server and set of paths, a line for each event. A line that a kill cut short is
ignored. It holds no file names, only hashes of path, size and time.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from threading import Lock
from typing import IO, Any

import orjson

from lenticular.client.connection import UploadFailed

EXPIRY_SECONDS = 30 * 24 * 3600


class Journal:
    """The events of an upload; without a `path` they are forgotten at the end of this run."""

    def __init__(self, path: Path | None = None) -> None:
        self.stored: set[str] = set()
        self.refused: dict[str, str] = {}
        self.uploads: dict[str, dict[int, str]] = {}
        """The files of each upload session on the server: number to key of the source."""
        self._lock = Lock()
        self._path = path
        self._file: IO[bytes] | None = None
        if path is not None:
            self._file = _locked(path)
            for line in self._file:
                self._read(line)
            if self._file.tell():
                # So that a line that was cut short does not swallow the next one.
                self._file.write(b"\n")

    @property
    def is_empty(self) -> bool:
        """True if there is nothing to resume."""
        return not (self.stored or self.refused or self.uploads)

    def note_stored(self, keys: Iterable[str]) -> None:
        """Record that these sources are stored."""
        self._write({"stored": list(keys)})

    def note_refused(self, key: str, reason: str) -> None:
        """Record that the server refused this source."""
        self._write({"refused": key, "reason": reason})

    def note_upload(self, upload: str, files: Mapping[int, str]) -> None:
        """Record an upload session and its files."""
        self._write({"upload": upload, "files": [[number, key] for number, key in files.items()]})

    def forget_upload(self, upload: str) -> None:
        """Record that the server does not know this session any more."""
        self._write({"forgotten": upload})

    def close(self, *, finished: bool) -> None:
        """Close the file, and delete it if the upload is finished."""
        if self._file is not None and self._path is not None:
            if finished:
                self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def _write(self, event: dict[str, Any]) -> None:
        with self._lock:
            if self._file is not None:
                # Handed to the operating system at once: a kill of this program loses nothing.
                self._file.write(orjson.dumps(event) + b"\n")
                self._file.flush()

    def _read(self, line: bytes) -> None:
        try:
            match orjson.loads(line):
                case {"stored": keys}:
                    self.stored.update(keys)
                case {"refused": key, "reason": reason}:
                    self.refused[key] = reason
                case {"upload": upload, "files": files}:
                    self.uploads[upload] = dict(files)
                case {"forgotten": upload}:
                    self.uploads.pop(upload, None)
        except (ValueError, TypeError):
            return


def open_journal(url: str, paths: Iterable[Path], *, restart: bool) -> Journal:
    """Open the journal of this command. Raise OSError if it cannot be written."""
    folder = _folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _forget_old(folder)
    text = "\n".join([url, *sorted(os.path.abspath(path) for path in paths)])
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    path = folder / f"{name}.jsonl"
    if restart:
        path.unlink(missing_ok=True)
    return Journal(path)


def _folder() -> Path:
    """Return the user's state folder (XDG Base Directory Specification)."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lenticular" / "uploads"


def _locked(path: Path) -> IO[bytes]:
    # It stays open, so no `with`.
    file = open(path, "a+b", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise UploadFailed("Another process is running the same upload.") from error
    file.seek(0)
    return file


def _forget_old(folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        if path.stat().st_mtime < time.time() - EXPIRY_SECONDS:
            path.unlink(missing_ok=True)
