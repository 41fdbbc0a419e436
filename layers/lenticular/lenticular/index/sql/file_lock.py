"""A lock on a file: threads and processes of one machine queue for it, but none waits for ever."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Lock, Thread

from lenticular.errors import Unavailable

BUSY = "Another process keeps the index busy; try again in a moment."


class FileLock:
    """A lock that ends with its process, and for which waiting ends at a deadline."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._among_threads = Lock()
        self._waiter: _Waiter | None = None

    @contextmanager
    def hold(self, deadline: float) -> Iterator[None]:
        """Hold the lock; raises Unavailable if others hold it until the deadline."""
        if not self._among_threads.acquire(timeout=max(0, deadline - time.monotonic())):
            raise Unavailable(BUSY)
        try:
            lock = self._acquire(deadline)
            try:
                yield
            finally:
                os.close(lock)
        finally:
            self._among_threads.release()

    def _acquire(self, deadline: float) -> int:
        """Return the descriptor of the locked file; closing it releases the lock."""
        # Opened each time, so that a forked process never shares it with its parent.
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return self._wait(deadline)
        except BaseException:
            os.close(file)
            raise
        return file

    def _wait(self, deadline: float) -> int:
        """Wait in the queue for the lock; take over from a thread that gave up if there is one."""
        if self._waiter is None or not self._waiter.is_wanted_again():
            self._waiter = _Waiter(self._path)
            self._waiter.start()
        lock = self._waiter.wait(deadline)
        if lock is None:
            raise Unavailable(BUSY)
        self._waiter = None
        return lock


class _Waiter(Thread):
    """Queues for the lock in the kernel, which wakes who waits but knows no deadline."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="lock", daemon=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._deciding = Lock()
        self._is_wanted = True
        self._has_ended = Event()

    def run(self) -> None:
        """Wait for the lock, and release it if no thread waits for it any more."""
        fcntl.flock(self._file, fcntl.LOCK_EX)
        with self._deciding:
            self._has_ended.set()
            if not self._is_wanted:
                os.close(self._file)

    def is_wanted_again(self) -> bool:
        """Continue to wait for another thread; return False if the wait has ended."""
        with self._deciding:
            self._is_wanted = self.is_alive() and not self._has_ended.is_set()
            return self._is_wanted

    def wait(self, deadline: float) -> int | None:
        """Return the descriptor of the locked file; None if it is not locked by the deadline."""
        self._has_ended.wait(max(0, deadline - time.monotonic()))
        with self._deciding:
            self._is_wanted = self._has_ended.is_set()
            return self._file if self._is_wanted else None
