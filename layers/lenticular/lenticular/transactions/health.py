"""Checks whether index and storage work, with a time limit."""

import asyncio
import errno
import logging
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import Thread

from lenticular.services import Services

log = logging.getLogger(__name__)

OK = "ok"
LONGEST_SECONDS = 4.0
MISSING_KEY = "instances/health"
TRIED_BYTES = 256 * 1024
"""A file system may have room for the smallest files when it is full for all others."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of each part: `ok`, or what is wrong with it."""

    parts: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        """Return True if every part works."""
        return set(self.parts.values()) == {OK}


class HealthChecks:
    """Checks each part in a thread of its own; a check that hangs is awaited, not begun again."""

    def __init__(self, services: Services, longest_seconds: float = LONGEST_SECONDS) -> None:
        self.services = services
        self._longest_seconds = longest_seconds
        self._checks: dict[str, Callable[[], None]] = {
            "index": services.index.ping,
            "storage": partial(_check_storage, services),
        }
        self._running: dict[str, Future[str]] = {}

    async def check(self) -> Health:
        """Return the state of all parts after some seconds at most."""
        states = await asyncio.gather(*map(self._state, self._checks))
        return Health(dict(zip(self._checks, states, strict=True)))

    async def _state(self, part: str) -> str:
        running = self._running.get(part)
        if running is None or running.done():
            running = self._running[part] = _begin(part, self._checks[part])
        try:
            waiting = asyncio.shield(asyncio.wrap_future(running))
            return await asyncio.wait_for(waiting, self._longest_seconds)
        except TimeoutError:
            return "does not answer"


def _begin(part: str, check: Callable[[], None]) -> Future[str]:
    future: Future[str] = Future()
    # The end of the process must not wait for a check that hangs.
    Thread(target=lambda: future.set_result(_state_of(part, check)), daemon=True).start()
    return future


def _state_of(part: str, check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # whatever it is, this part does not work
        log.warning("the %s does not work: %s", part, error)
        return _words_for(error)
    return OK


def _words_for(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "is full"
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return "is read-only"
    return "refuses access" if isinstance(error, PermissionError) else "does not answer"


def _check_storage(services: Services) -> None:
    """Read a key that is missing, and write where bodies are spooled."""
    with suppress(FileNotFoundError):
        services.storage.read(MISSING_KEY, 0, 1)
    folder = services.storage.spool_folder
    if folder is not None:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(TRIED_BYTES))
