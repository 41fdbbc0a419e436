"""Protection against guessing passwords and tokens.

Responses to wrong credentials are delayed, longer with each failure of the same address or the same
user name; right credentials never are. Hashing has one thread, so that guesses cannot occupy all
processors, and checks the newest attempt first, so that a user who signs in does not wait behind a
hundred guesses. The memory of failures is bounded.

See docs/decisions/0033-browsers-and-guessing.md.
"""

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Result = TypeVar("Result")


class TooManyAttempts(Exception):
    """Too many attempts to sign in are under way; try again after some seconds."""


@dataclass(frozen=True, slots=True)
class GuessingLimits:
    """The limits of this protection, for each server process."""

    free_failures: int = 3
    """Failures that are answered at once: people mistype."""
    first_hold: float = 0.5
    """Seconds for which the next failure is held back; each one after it twice as long."""
    longest_hold: float = 20
    forget_after: float = 600
    """Seconds without a failure after which the failures of an address or name are forgotten."""
    most_remembered: int = 10_000
    """Addresses and names whose failures are counted."""
    most_pending: int = 128
    """Attempts of one address that may wait or be held back at the same time."""
    most_waiting: int = 256
    """Attempts of all addresses that may wait for their hash; the oldest gives way."""


class Failures:
    """Counts failures by address and by user name."""

    def __init__(self, limits: GuessingLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._counts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def add(self, keys: Iterable[Hashable]) -> float:
        """Count one failure for each key; return the seconds by which to delay the response."""
        count = max(map(self._count, keys), default=0)
        over = count - self._limits.free_failures
        # Beyond 2 ** 30 the hold is at its longest anyway.
        hold = self._limits.first_hold * 2 ** min(over - 1, 30)
        return min(hold, self._limits.longest_hold) if over > 0 else 0.0

    def __len__(self) -> int:
        return len(self._counts)

    def _count(self, key: Hashable) -> int:
        """Count a failure of one key; return how many there are."""
        now = self._clock()
        count, last = self._counts.pop(key, (0, now))
        if now - last > self._limits.forget_after:
            count = 0
        self._counts[key] = (count + 1, now)
        while len(self._counts) > self._limits.most_remembered:
            self._counts.popitem(last=False)
        return count + 1


class NewestFirst(Generic[Result]):
    """Runs work on one thread, the newest first; refuses the oldest if too many wait."""

    def __init__(self, most_waiting: int) -> None:
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Callable[[], Result], Future[Result]]] = deque()
        self._thread = ThreadPoolExecutor(1, "sign-in")

    async def run(self, work: Callable[[], Result]) -> Result:
        """Return the result of the work."""
        future: Future[Result] = Future()
        if len(self._waiting) >= self._most_waiting:
            self._waiting.popleft()[1].set_exception(TooManyAttempts())
        self._waiting.append((work, future))
        self._thread.submit(self._do_newest)
        return await asyncio.wrap_future(future)

    def _do_newest(self) -> None:
        """Run the newest work that waits."""
        try:
            work, future = self._waiting.pop()
        except IndexError:  # it was refused while it waited
            return
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work())
            except BaseException as error:  # goes to the one who waits
                future.set_exception(error)


class Brake:
    """Delays the responses to wrong credentials."""

    def __init__(self, limits: GuessingLimits) -> None:
        self._limits = limits
        self._failures = Failures(limits)
        self._pending: Counter[str] = Counter()

    @asynccontextmanager
    async def attempt(self, address: str) -> AsyncIterator[None]:
        """Count an attempt as pending; raise TooManyAttempts if the address has too many."""
        if self._pending[address] >= self._limits.most_pending:
            raise TooManyAttempts
        self._pending[address] += 1
        try:
            yield
        finally:
            self._pending[address] -= 1
            if not self._pending[address]:
                del self._pending[address]

    async def hold(self, address: str, name: str) -> None:
        """Count a failure, and wait for the delay."""
        # A client that hangs up meanwhile gains nothing: its attempt stays pending.
        await asyncio.sleep(self._failures.add([("address", address), ("name", name[:64])]))
