"""Mark what has become stable on one machine: every second, in one process.

It is not used where events of the bucket start functions.
"""

import logging

from lenticular.errors import Unavailable
from lenticular.services import Services
from lenticular.transactions.upkeep.stability import mark_stable
from lenticular.transactions.watch import INTERVAL_SECONDS, Watch

log = logging.getLogger(__name__)

LOOKING_BACK_SECONDS = 3600.0


class StabilityWatch(Watch):
    """Marks what has become stable, and in its first turn what has while no server ran."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.settings.data / "settle.lock")
        self._services = services
        self._looking_back: float | None = None

    def turn(self) -> float:
        """Mark resources that have become stable."""
        # However long a failure lasts, what became stable meanwhile is marked after it.
        looking_back, self._looking_back = self._looking_back, None
        try:
            done = mark_stable(self._services, looking_back, self.stopped.is_set)
        except Unavailable as error:
            log.warning("stable studies cannot be marked now: %s", error.detail)
            return error.retry_after
        self._looking_back = LOOKING_BACK_SECONDS if done.complete else None
        return INTERVAL_SECONDS
