"""Small files of an answer, read from the bucket before their turn comes.

A read from a bucket takes some 20 ms however little it reads, so one after the other they take as
long as nothing else does.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol, TypeVar

from lenticular.services import Services

SMALL_BYTES = 2 * 1024 * 1024
"""A larger file is streamed when its turn comes, so that an answer takes bounded memory."""

READS_AT_ONCE = 8


class _File(Protocol):
    @property
    def pieces(self) -> Callable[[], Iterable[bytes]]: ...

    @property
    def size(self) -> int | None: ...


File = TypeVar("File", bound=_File)
Made = TypeVar("Made")


def read_ahead(services: Services, files: Iterable[File]) -> Iterator[File]:
    """Yield the same files, the next small ones already being read if they are in a bucket."""
    if services.bucket is None:
        yield from files
        return
    waiting: deque[tuple[File, Future[list[bytes]] | None]] = deque()
    try:
        for file in files:
            if len(waiting) == READS_AT_ONCE:
                yield _turn(*waiting.popleft())
            is_small = file.size is not None and file.size <= SMALL_BYTES
            read = services.threads.submit(_read, file) if is_small else None
            waiting.append((file, read))
        while waiting:
            yield _turn(*waiting.popleft())
    finally:
        for _, read in waiting:
            if read is not None:
                read.cancel()


def call_ahead(
    services: Services, calls: Iterable[tuple[str, Callable[[], Made]]]
) -> Iterator[tuple[str, Callable[[], Made]]]:
    """Yield the same named calls, the next ones already being made if files are in a bucket.

    The calls read files, and nothing of the index: a function has one connection to it.
    """
    if services.bucket is None:
        yield from calls
        return
    waiting: deque[tuple[str, Future[Made]]] = deque()
    try:
        for name, call in calls:
            if len(waiting) == READS_AT_ONCE:
                first, made = waiting.popleft()
                yield first, made.result
            waiting.append((name, services.threads.submit(call)))
        while waiting:
            first, made = waiting.popleft()
            yield first, made.result
    finally:
        for _, made in waiting:
            made.cancel()


def _read(file: _File) -> list[bytes]:
    return list(file.pieces())


def _turn(file: File, read: "Future[list[bytes]] | None") -> File:
    # No type of a dataclass with these two attributes satisfies replace().
    return file if read is None else replace(file, pieces=read.result)  # type: ignore[type-var]
