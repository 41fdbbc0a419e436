"""Query tags on one machine: what was stored without them is read by one process, after a start.

Then it is noted every few minutes that they are known to whoever stores, so that the next start
has only to look at what was stored since: perhaps by a release that has no query tags.
Where events of the bucket start functions, nobody needs this.
"""

import logging
import threading

from lenticular.errors import Unavailable
from lenticular.services import Services
from lenticular.transactions.ingest.drop_folder import exclusive
from lenticular.transactions.upkeep.sweep_and_reindex import index_query_tags

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
PAUSE_SECONDS = 0.02
"""Between two steps, for those who store."""

SECONDS_UNTIL_DUE = 60.0
SECONDS_UNTIL_NOTED = 600.0
SECONDS_AFTER_FAILURE = 30.0


class QueryTagWatch:
    """Reads the values of tags that were not known before; ends when there are no tags."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopped = threading.Event()
        self._is_starting = True
        self._lock = services.settings.data / "query-tags.lock"

    def watch(self) -> None:
        """Work until stopped, or for good. Of several processes only one does at a time."""
        wait: float | None = INTERVAL_SECONDS
        while wait is not None and not self._stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and wait is not None and not self._stopped.is_set():
                    wait = self._index()
                    self._stopped.wait(wait or 0)

    def stop(self) -> None:
        """End the watch after the step in hand."""
        self._stopped.set()

    def _index(self) -> float | None:
        """Do what is due; for how long there is nothing more, None if for ever."""
        index = self._services.index
        try:
            index.query_tag_registry.register(starting=self._is_starting)
            self._is_starting = False
            done = index_query_tags(self._services, lambda: self._stopped.wait(PAUSE_SECONDS))
        except Unavailable as error:
            log.warning("query tags cannot be indexed now: %s", error.detail)
            return error.retry_after
        except Exception:
            log.exception("query tags could not be indexed")
            return SECONDS_AFTER_FAILURE
        if not done.complete:
            return SECONDS_UNTIL_DUE
        return SECONDS_UNTIL_NOTED if index.query_tags else None
