"""One dropped file, as it was when we opened it.

A file that is put under its name meanwhile is another file: it is neither removed nor moved, but
stored in its turn.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import BinaryIO, Self

TAKEN = ".taken-"
"""Begins the names of files on their way out. After a crash they are stored like any other."""

_TAKEN_LENGTH = len(TAKEN) + 9
LONGEST_NAME_BYTES = 255


class DroppedFile:
    """A path, and the identity of the file that was under it."""

    def __init__(self, path: Path, status: os.stat_result) -> None:
        self.path = path
        self.status = status

    @classmethod
    def find(cls, path: Path) -> Self:
        """Look at a path without following links."""
        return cls(path, path.lstat())

    @property
    def is_regular(self) -> bool:
        """True for a file, False for a link, a device or a socket."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def version(self) -> tuple[int, ...]:
        """A version that changes with the content, or when another file takes the name."""
        return (*_moved_version(self.status), self.status.st_ctime_ns)

    @property
    def changed_at(self) -> float:
        """When it was changed last. A copy may keep the time of its source, so ctime counts too."""
        return max(self.status.st_mtime, self.status.st_ctime)

    def open(self) -> BinaryIO:
        """Open exactly this file; raises BlockingIOError when it is another one by now."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        file = os.fdopen(descriptor, "rb")
        if _version(os.fstat(descriptor)) != self.version:
            file.close()
            raise BlockingIOError("The file is being changed.")
        return file

    def is_unchanged(self) -> bool:
        """Return True if the same file with the same content is still at the path."""
        try:
            return _version(self.path.lstat()) == self.version
        except FileNotFoundError:
            return False

    def take_away(self) -> Path | None:
        """Rename it, so that no other process writes to it; None if it is another file by now."""
        if not self.is_unchanged():
            return None
        private = self.path.with_name(_taken_name(self.path.name))
        os.rename(self.path, private)
        # A file that came between check and renaming is stored in its turn, under its new name.
        return private if _moved_version(private.lstat()) == _moved_version(self.status) else None


def dropped_name(name: str) -> str:
    """Return the name under which a file was dropped, also of one on its way out."""
    return name[_TAKEN_LENGTH:] if name.startswith(TAKEN) else name


def shortened(name: str, room: int) -> str:
    """Return the end of a name, as much as fits in so many bytes."""
    return os.fsdecode(os.fsencode(name)[-room:])


def _taken_name(name: str) -> str:
    if name.startswith(TAKEN):
        return name
    begin = f"{TAKEN}{secrets.token_hex(4)}-"
    return begin + shortened(name, LONGEST_NAME_BYTES - len(begin))


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (*_moved_version(status), status.st_ctime_ns)


def _moved_version(status: os.stat_result) -> tuple[int, ...]:
    # Renaming changes ctime.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
