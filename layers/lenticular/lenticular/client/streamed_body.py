"""A request body that is read from files while it is sent, and can be sent again."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from lenticular.client.sources import Unreadable


class Cancelled(Exception):
    """The upload was stopped, so this request is abandoned."""


@dataclass(frozen=True, slots=True)
class FileRange:
    """A range of bytes of an open file."""

    descriptor: int
    offset: int
    size: int

    def read(self, position: int, count: int) -> bytes:
        """Return up to `count` bytes from a position; several threads may read one file."""
        try:
            piece = os.pread(self.descriptor, count, self.offset + position)
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {error}") from error
        if not piece:
            raise Unreadable("The file became shorter while it was being sent.")
        return piece


class Body:
    """Bytes and ranges of files, one after the other; can be read again from the start."""

    def __init__(
        self, parts: Sequence[bytes | FileRange], stop: Event, count: Callable[[int], None]
    ) -> None:
        self._parts = parts
        self._stop = stop
        self._count = count
        self.size = sum(_size(part) for part in parts)
        self._position = 0

    def __len__(self) -> int:
        """Return the size; urllib3 asks for it like this."""
        return self.size

    def read(self, count: int = -1) -> bytes:
        """Return the next bytes, at most `count`; empty at the end."""
        if self._stop.is_set():
            raise Cancelled
        begin = 0
        for part in self._parts:
            position = self._position - begin
            if position < _size(part):
                left = _size(part) - position
                piece = _read(part, position, left if count < 0 else min(count, left))
                self._moved(len(piece))
                return piece
            begin += _size(part)
        return b""

    def tell(self) -> int:
        """Return how many bytes have been read."""
        return self._position

    def seek(self, position: int) -> int:
        """Go to a position; bytes that are read again are counted once."""
        self._moved(position - self._position)
        return position

    def _moved(self, distance: int) -> None:
        self._position += distance
        self._count(distance)


def _size(part: bytes | FileRange) -> int:
    return len(part) if isinstance(part, bytes) else part.size


def _read(part: bytes | FileRange, position: int, count: int) -> bytes:
    if isinstance(part, bytes):
        return part[position : position + count]
    return part.read(position, count)
