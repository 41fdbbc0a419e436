"""Find what to upload: files, and the entries of zips.

A zip is sent entry by entry. That works on every server, and each entry has its own outcome.
"""

import hashlib
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

_ZIPS_OPEN = 4
# The exceptions of zipfile for broken, encrypted and unsupported zips.
_BROKEN = (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error)


class Unreadable(Exception):
    """A source cannot be read, or has changed; the message says which."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to upload, or an entry of a zip."""

    path: Path
    size: int
    modified: int
    """When the file, or the zip, was last changed: nanoseconds since 1970."""
    entry: zipfile.ZipInfo | None = None

    @property
    def name(self) -> str:
        """The name for messages."""
        return f"{self.path}:{self.entry.filename}" if self.entry else str(self.path)

    @property
    def last_name(self) -> str:
        """The name without folders, in characters that JSON can carry."""
        name = self.entry.filename.rpartition("/")[2] if self.entry else self.path.name
        return name.encode("utf-8", "replace").decode()

    @property
    def key(self) -> str:
        """A hash of path, size and time, for the journal; no name can be read from it."""
        in_zip = f"{self.entry.header_offset}:{self.entry.filename}" if self.entry else ""
        text = f"{os.path.abspath(self.path)}\n{in_zip}\n{self.size}\n{self.modified}"
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def read(self) -> bytes:
        """Return all bytes."""
        with self.open() as body:
            return body.read()

    def open(self) -> BinaryIO:
        """Open the bytes as a file of the operating system; entries of zips are unpacked."""
        try:
            return self._unpacked() if self.entry else self.path.open("rb")
        except _BROKEN as error:
            raise Unreadable(f"The file cannot be read: {error}") from error

    def check_unchanged(self) -> None:
        """Raise Unreadable if the file was written to since it was found."""
        try:
            now = self.path.stat()
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {error}") from error
        if now.st_mtime_ns != self.modified or (self.entry is None and now.st_size != self.size):
            raise Unreadable("The file changed while it was being sent.")

    def _unpacked(self) -> BinaryIO:
        assert self.entry is not None
        # The caller closes it; the file has no name, so nothing stays behind.
        body = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with _archive(self.path, self.modified).open(self.entry) as packed:
                shutil.copyfileobj(packed, body, 1024 * 1024)
        except BaseException:
            body.close()
            raise
        body.seek(0)
        return body


@lru_cache(_ZIPS_OPEN)
def _archive(path: Path, _modified: int) -> zipfile.ZipFile:
    """Return an open zip, which stays open: reading a long directory takes time."""
    return zipfile.ZipFile(path)


def find(path: Path) -> Iterator[Source]:
    """Find the files below a path and in its zips, except those whose names begin with a dot."""
    if not path.is_dir():
        yield from _sources(path)
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(folder, name).is_file():
                yield from _sources(Path(folder, name))


def _sources(path: Path) -> Iterator[Source]:
    state = path.stat()
    whole = Source(path, state.st_size, state.st_mtime_ns)
    try:
        entries = _archive(path, state.st_mtime_ns).infolist() if _is_zip(path) else None
    except _BROKEN:
        entries = None  # sent as it is: the server, or opening it again, gives the reason
    if entries is None:
        yield whole
        return
    for entry in entries:
        if not entry.is_dir() and not _is_hidden(entry.filename):
            yield Source(path, entry.file_size, whole.modified, entry)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _is_zip(path: Path) -> bool:
    # The first bytes decide: a DICOM file may have a zip at its end, in an encapsulated document.
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
