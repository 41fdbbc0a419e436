"""Settling on one machine: looked after every few seconds, by one process.

Where events of the bucket start functions, nobody needs this.
"""

import logging
import threading

from lenticular.errors import Unavailable
from lenticular.services import Services
from lenticular.transactions.ingest.drop_folder import exclusive
from lenticular.transactions.upkeep.stability import mark_stable

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
LOOKING_BACK_SECONDS = 3600.0
SECONDS_AFTER_FAILURE = 30.0


class StabilityWatch:
    """Tells what has become stable, and when it starts, what has while nobody did."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopped = threading.Event()
        self._lock = services.settings.data / "settle.lock"
        self._looking_back: float | None = None

    def watch(self) -> None:
        """Settle until stopped. Of several processes only one does at a time."""
        while not self._stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and not self._stopped.is_set():
                    self._settle()
                    self._stopped.wait(INTERVAL_SECONDS)

    def stop(self) -> None:
        """End the watch after the transaction in hand."""
        self._stopped.set()

    def _settle(self) -> None:
        looking_back, self._looking_back = self._looking_back, None
        try:
            done = mark_stable(self._services, looking_back, self._stopped.is_set)
        except Unavailable as error:
            log.warning("what is stable cannot be told now: %s", error.detail)
            self._stopped.wait(error.retry_after)
        except Exception:
            log.exception("what is stable could not be told")
            self._stopped.wait(SECONDS_AFTER_FAILURE)
        else:
            # However long a failure lasts, what became stable meanwhile is told after it.
            self._looking_back = LOOKING_BACK_SECONDS if done.complete else None
