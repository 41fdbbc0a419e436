"""Watches: work that one process of this machine repeats until it is stopped.

Each watch has a thread of its own, so that none waits for another, and a lock file, so that of
several server processes only one works at a time.
"""

import fcntl
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
SECONDS_AFTER_FAILURE = 30.0
LONGEST_WAIT_SECONDS = 600.0


class Watch(ABC):
    """Repeats `turn` while this process holds the lock."""

    def __init__(self, lock: Path) -> None:
        self.stopped = threading.Event()
        self._lock = lock
        self._thread: threading.Thread | None = None

    @abstractmethod
    def turn(self) -> float | None:
        """Do the work once; return the seconds until the next turn, None if there is none."""

    def start(self) -> None:
        """Start a thread that watches."""
        self._thread = threading.Thread(target=self.watch, name=f"watch-{self._lock.stem}")
        self._thread.start()

    def stop(self) -> None:
        """End the watch after the piece of work in hand."""
        self.stopped.set()

    def join(self) -> None:
        """Wait until the watch has ended."""
        if self._thread is not None:
            self._thread.join()

    def watch(self) -> None:
        """Repeat the turns until stopped, or until no more are due."""
        wait: float | None = INTERVAL_SECONDS
        while wait is not None and not self.stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and wait is not None and not self.stopped.is_set():
                    wait = self._guarded_turn()
                    self.stopped.wait(wait or 0)

    def _guarded_turn(self) -> float | None:
        try:
            return self.turn()
        except Exception:
            # A failure must not end the watch for all that comes after it.
            log.exception("%s failed and is tried again", type(self).__name__)
            return SECONDS_AFTER_FAILURE


class Retries:
    """Things that failed: each is tried again after ever longer waits, and logged once."""

    def __init__(self, first_wait: float) -> None:
        self._first_wait = first_wait
        self._failed: dict[Hashable, tuple[Hashable, float, float]] = {}

    def is_due(self, thing: Hashable, version: Hashable = None) -> bool:
        """Return True for what has not failed, has changed since, or has waited long enough."""
        known, due, _ = self._failed.get(thing, (version, 0.0, 0.0))
        return known != version or time.monotonic() >= due

    def add(self, thing: Hashable, version: Hashable = None) -> bool:
        """Record a failure; return True for the first of this version."""
        known, _, wait = self._failed.get(thing, (None, 0.0, 0.0))
        is_first = thing not in self._failed or known != version
        wait = self._first_wait if is_first else min(2 * wait, LONGEST_WAIT_SECONDS)
        self._failed[thing] = version, time.monotonic() + wait, wait
        return is_first

    def remove(self, thing: Hashable) -> None:
        """Forget the failures of what has succeeded."""
        self._failed.pop(thing, None)

    def keep_only(self, things: set[Hashable]) -> None:
        """Forget what is no longer there."""
        self._failed = {thing: state for thing, state in self._failed.items() if thing in things}


@contextmanager
def exclusive(lock: Path) -> Iterator[bool]:
    """Hold the lock file if no other process holds it; the kernel lets go when we die."""
    try:
        file = lock.open("w")
    except OSError as error:
        log.warning("%s cannot be opened: %s", lock, error.strerror)
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
