"""A received body: in memory while it is small, in a temporary file when it is large."""

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

    `folder` takes the file of a large body; if it is the storage's own, storing the body is a
    rename. Close it, or use it in a `with`: a file that was not stored is removed.
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
        """Return the SHA-256 of everything written so far, 32 bytes."""
        return self._hash.digest()

    def view(self) -> memoryview:
        """Return all bytes; a large file is mapped, not copied. Write nothing afterwards."""
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
        """Return at most `length` bytes from `offset`."""
        return bytes(self.view()[offset : offset + length])

    def forget_file(self) -> None:
        """Leave the file alone from now on: the storage has moved it to its final path."""
        self.path = None

    def close(self) -> None:
        """Free the memory and remove the file if it was not stored."""
        self._pieces = []
        # A slice that is still in use keeps the map alive.
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
