"""A received body on its way in: in memory while small, in a temporary file when large."""

import hashlib
import mmap
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

IN_MEMORY_BYTES = 2 * 1024 * 1024


class Spool:
    """Bytes that arrive in pieces, hashed on the way, readable at any offset afterwards.

    `folder` is where a large body goes; give the folder storage's own, and keeping the body is
    a rename. Close it, or use it in a `with`: an unkept file is removed.
    """

    def __init__(self, folder: Path | None = None, in_memory_bytes: int = IN_MEMORY_BYTES) -> None:
        self.size = 0
        self.path: Path | None = None
        self._folder = folder
        self._limit = in_memory_bytes
        self._pieces: list[bytes] = []
        self._file_descriptor = -1
        self._hash = hashlib.sha256()
        self._view: memoryview | None = None

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._hash.update(piece)
        self.size += len(piece)
        if self._file_descriptor >= 0:
            _write_all(self._file_descriptor, piece)
            return
        self._pieces.append(piece)
        if self.size > self._limit:
            self._move_to_file()

    def sha256(self) -> bytes:
        """The SHA-256 of everything written so far, 32 bytes."""
        return self._hash.digest()

    def view(self) -> memoryview:
        """All bytes, without copying a large file into memory. Nothing may be written after it."""
        if self._view is None:
            if self._file_descriptor < 0:
                self._view = memoryview(
                    self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
                )
            else:
                self._view = memoryview(
                    mmap.mmap(self._file_descriptor, 0, access=mmap.ACCESS_READ)
                )
        return self._view

    def read(self, offset: int, length: int) -> bytes:
        """At most length bytes from offset."""
        return bytes(self.view()[offset : offset + length])

    def forget_file(self) -> None:
        """The file of a large body was moved to its final place and is no longer ours to remove."""
        self.path = None

    def close(self) -> None:
        """Let go of memory and remove an unkept file."""
        self._pieces = []
        # Whoever still holds a slice keeps the map alive; the last one lets it go.
        self._view = None
        if self._file_descriptor >= 0:
            os.close(self._file_descriptor)
            self._file_descriptor = -1
        if self.path is not None:
            self.path.unlink(missing_ok=True)
            self.path = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _move_to_file(self) -> None:
        self._file_descriptor, name = tempfile.mkstemp(prefix="spool-", dir=self._folder)
        self.path = Path(name)
        for piece in self._pieces:
            _write_all(self._file_descriptor, piece)
        self._pieces = []


def _write_all(file_descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(file_descriptor, rest) :]
