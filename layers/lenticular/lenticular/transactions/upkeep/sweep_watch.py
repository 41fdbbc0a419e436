"""Sweep once a day on one machine, in one process, at any start that comes later than that.

It is not used where a schedule starts functions.
"""

import logging
import time
from contextlib import suppress

from lenticular.errors import LenticularError
from lenticular.services import Services
from lenticular.transactions.upkeep.sweep_and_reindex import sweep
from lenticular.transactions.watch import Watch

log = logging.getLogger(__name__)

SECONDS_BETWEEN_SWEEPS = 24 * 3600.0
SECONDS_BETWEEN_LOOKS = 600.0


class SweepWatch(Watch):
    """Removes files that no row names; the time of `swept` in the data folder is the last one's."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.settings.data / "sweep.lock")
        self._services = services
        self._swept = services.settings.data / "swept"

    def turn(self) -> float:
        """Sweep if that was a day ago, or never."""
        last = 0.0
        with suppress(FileNotFoundError):
            last = self._swept.stat().st_mtime
        if abs(time.time() - last) < SECONDS_BETWEEN_SWEEPS:
            return SECONDS_BETWEEN_LOOKS
        try:
            done = sweep(self._services, should_stop=self.stopped.is_set)
        except LenticularError as error:
            log.warning("nothing was swept: %s", error.detail)
            return SECONDS_BETWEEN_LOOKS
        if done.complete:
            self._swept.touch()
        return SECONDS_BETWEEN_LOOKS
