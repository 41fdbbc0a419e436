"""The body of a request, read from files while it is sent, as often as it takes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event

from lenticular.client.sources import Unreadable


class Cancelled(Exception):
    """The upload ends, so this request need not be finished."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of an open file."""

    descriptor: int
    offset: int
    size: int

    def read(self, position: int, count: int) -> bytes:
        """Up to count bytes from a position in the stretch; other threads may read elsewhere."""
        try:
            piece = os.pread(self.descriptor, count, self.offset + position)
        except OSError as error:
            raise Unreadable(f"It cannot be read: {error}") from error
        if not piece:
            raise Unreadable("It has become shorter while it was being sent.")
        return piece


class Body:
    """Bytes and stretches of files, one after the other, with a beginning to go back to."""

    def __init__(
        self, parts: Sequence[bytes | Stretch], stop: Event, count: Callable[[int], None]
    ) -> None:
        self._parts = parts
        self._stop = stop
        self._count = count
        self.size = sum(_size(part) for part in parts)
        self._position = 0

    def __len__(self) -> int:
        """Its size, for those who ask a body so."""
        return self.size

    def read(self, count: int = -1) -> bytes:
        """The next bytes, at most count; empty at the end."""
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
        """How much of it has been read."""
        return self._position

    def seek(self, position: int) -> int:
        """Go back to the beginning, or to where one was; what is read again counts once."""
        self._moved(position - self._position)
        return position

    def _moved(self, distance: int) -> None:
        self._position += distance
        self._count(distance)


def _size(part: bytes | Stretch) -> int:
    return len(part) if isinstance(part, bytes) else part.size


def _read(part: bytes | Stretch, position: int, count: int) -> bytes:
    if isinstance(part, bytes):
        return part[position : position + count]
    return part.read(position, count)
