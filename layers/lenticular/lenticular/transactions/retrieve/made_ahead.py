"""Parts of an answer that are made before it begins, so that its status is right.

Decoding shows whether an image is damaged, and only then. So the first parts of an answer are made
into a temporary file before the status is sent: all of them, unless they are many.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TypeVar
from weakref import finalize

Item = TypeVar("Item")

AHEAD_BYTES = 256 * 1024 * 1024
AHEAD_SECONDS = 10.0
"""Limits of the work before an answer begins: most clients and proxies wait for a minute."""

PART_BYTES = 128 * 1024 * 1024
"""A larger part begins to go out before all of it is made."""

IN_MEMORY_BYTES = 2 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """The bytes of a part; `size` is None when they are made while they are sent."""

    pieces: Callable[[], Iterable[bytes]]
    size: int | None


class Scratch:
    """A temporary file for the parts of one answer."""

    def __init__(
        self,
        folder: Path | None,
        ahead_bytes: int = AHEAD_BYTES,
        ahead_seconds: float = AHEAD_SECONDS,
        part_bytes: int = PART_BYTES,
    ) -> None:
        directory = None if folder is None else str(folder)
        self._file = SpooledTemporaryFile(IN_MEMORY_BYTES, dir=directory)  # noqa: SIM115
        # The parts read from it until the last byte is sent, or the client has hung up.
        finalize(self, self._file.close)
        self._ahead_bytes, self._part_bytes = ahead_bytes, part_bytes
        self._deadline = time.monotonic() + ahead_seconds
        self._end = 0
        self._is_ahead = True

    def keep(self, pieces: Iterable[bytes]) -> Made:
        """Make a part and keep its bytes; raise what its making raises.

        After the response has begun, only the current part is stored.
        """
        start, size, is_whole = self._end, 0, False
        rest = iter(pieces)
        for piece in rest:
            self._file.seek(start + size)
            self._file.write(piece)
            size += len(piece)
            if size > self._part_bytes or (self._is_ahead and time.monotonic() > self._deadline):
                break
        else:
            is_whole = True
        self._end += size if self._is_ahead else 0
        return Made(partial(self._read, start, size, rest), size if is_whole else None)

    def begin(self, items: Iterator[Item]) -> list[Item] | Iterator[Item]:
        """Make the first parts now; return a list when these are all, else an iterator."""
        ahead: list[Item] = []
        while self._end < self._ahead_bytes and time.monotonic() < self._deadline:
            try:
                ahead.append(next(items))
            except StopIteration:
                return ahead
        self._is_ahead = False
        return chain(ahead, items)

    def _read(self, start: int, size: int, rest: Iterable[bytes] = ()) -> Iterator[bytes]:
        end = start + size
        while start < end:
            self._file.seek(start)
            piece = self._file.read(min(PIECE_BYTES, end - start))
            yield piece
            start += len(piece)
        yield from rest
