"""A process that works on the ports, and fails, dies or gives way where it is told to.

Each call of a port is a point, and on a folder each change of the file system is one too. A process
counts its points. At one of them a fault may happen: an error before or after the effect, or the
death of the process. A dead process changes nothing any more, whatever its code goes on to do.
"""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class Died(BaseException):
    """The process is no more; nothing catches this."""


class Kind(StrEnum):
    """When a fault happens, and whether the process outlives it."""

    ERROR_BEFORE = "an error instead of the effect"
    ERROR_AFTER = "an error after the effect"
    DEATH_BEFORE = "death before the effect"
    DEATH_AFTER = "death after the effect"
    DEATH_WITHIN = "death with half of the effect"
    OUTAGE = "errors instead of this and all later effects"


class Cause(StrEnum):
    """What an error says."""

    FULL = "full"
    GONE = "gone"
    BUSY = "busy"


@dataclass(frozen=True)
class Fault:
    """A fault at the point of this number, from 0."""

    kind: Kind
    at: int
    cause: Cause = Cause.GONE


Error = Callable[[Cause], Exception | None]
"""The error that a port raises for a cause; None where it has none."""


class Turns:
    """Which of two processes runs: it changes after so many points of the one, then of the other.

    One that has ended leaves the rest to the other.
    """

    def __init__(self, runs: Sequence[int]) -> None:
        self._runs = iter(runs)
        self._left = next(self._runs, -1)
        self._may_run = [threading.Semaphore(1), threading.Semaphore(0)]
        self._has_ended = [False, False]

    def wait(self, number: int) -> None:
        """Wait for the first turn."""
        self._may_run[number].acquire()

    def point(self, number: int) -> None:
        """Give way, if the turn ends here."""
        if self._left == 0 and not self._has_ended[1 - number]:
            self._left = next(self._runs, -1)
            self._may_run[1 - number].release()
            self._may_run[number].acquire()
        self._left -= 1

    def end(self, number: int) -> None:
        """Leave the rest to the other."""
        self._has_ended[number] = True
        self._left = -1
        self._may_run[1 - number].release()


class Process:
    """Counts the points that its ports come to, and does at each what it was told."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = str(folder) if folder else None
        self.points: list[str] = []
        self.is_dead = False
        self.has_failed = False
        self._fault: Fault | None = None
        self._turns: Turns | None = None
        self._number = 0
        self._holds_lock = 0

    def begin(self, fault: Fault | None, turns: Turns | None = None, number: int = 0) -> None:
        """Count from 0 again."""
        self.points, self.has_failed = [], False
        self._fault, self._turns, self._number = fault, turns, number

    def before(self, name: str, error: Error) -> int:
        """Come to a point; its number."""
        if self.is_dead:
            raise Died
        if self._turns is not None and not self._holds_lock:
            self._turns.point(self._number)
        at = len(self.points)
        self.points.append(name)
        self._fail(at, error, Kind.ERROR_BEFORE, Kind.DEATH_BEFORE)
        return at

    def after(self, at: int, error: Error) -> None:
        """Have done what the point of this number is about."""
        self._fail(at, error, Kind.ERROR_AFTER, Kind.DEATH_AFTER)

    def dies_within(self, at: int) -> bool:
        """Whether only half of the effect happens; then it has to be done, and `die` called."""
        fault = self._fault
        return fault is not None and fault.at == at and fault.kind is Kind.DEATH_WITHIN

    def die(self) -> None:
        """Be no more."""
        self.is_dead = True
        raise Died

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold a lock, with which one does not give way."""
        self._holds_lock += 1
        try:
            yield
        finally:
            self._holds_lock -= 1

    @contextmanager
    def here(self) -> Iterator[None]:
        """Be the process that this thread works for."""
        before = getattr(_thread, "process", None)
        _thread.process = self
        try:
            yield
        finally:
            _thread.process = before

    def _fail(self, at: int, error: Error, as_error: Kind, as_death: Kind) -> None:
        fault = self._fault
        if fault is None or at < fault.at:
            return
        is_out = fault.kind is Kind.OUTAGE and as_error is Kind.ERROR_BEFORE
        if at > fault.at and not is_out:
            return
        if fault.kind is as_death:
            self.die()
        fails = is_out or fault.kind is as_error
        if fails and (raised := error(fault.cause)) is not None:
            self.has_failed = True
            raise raised


def storage_error(cause: Cause) -> Exception:
    """The error of a storage."""
    if cause is Cause.BUSY:
        return TimeoutError("the storage does not answer")
    number = errno.ENOSPC if cause is Cause.FULL else errno.EIO
    return OSError(number, os.strerror(number))


_thread = threading.local()
_CHANGES = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Come to a point before the file system is changed below the folder of the process."""
    if event not in _CHANGES:
        return
    process: Process | None = getattr(_thread, "process", None)
    if process is None or process.folder is None or process._holds_lock:
        return
    if event == "open" and not arguments[2] & _WRITING:
        return
    path = os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else ""
    below = path.removeprefix(process.folder + "/")
    if below != path and not below.startswith("index.sqlite"):
        process.before(f"{event} {below.split('/')[0]}", storage_error)


def watch_the_file_system() -> None:
    """Make changes of the file system points of the processes; once for this interpreter."""
    if not _watching:
        _watching.append(True)
        sys.addaudithook(_audit)


_watching: list[bool] = []
