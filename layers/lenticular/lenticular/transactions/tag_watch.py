"""Query tags on one machine: after a start, what was stored before is read by one process.

Where events of the bucket start functions, nobody needs this.
"""

import logging
import threading

from lenticular.errors import Unavailable
from lenticular.services import Services
from lenticular.transactions.ingest import exclusive
from lenticular.transactions.query_tags import index_query_tags

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0
PAUSE_SECONDS = 0.02
"""Between two steps, for those who store."""

SECONDS_UNTIL_DUE = 60.0
SECONDS_AFTER_FAILURE = 30.0


class TagWatch:
    """Reads the values of tags that were not configured before; ends when all is done."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopped = threading.Event()
        self._lock = services.settings.data / "query-tags.lock"

    def watch(self) -> None:
        """Work until done or stopped. Of several processes only one does at a time."""
        complete = False
        while not complete and not self._stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and not complete and not self._stopped.is_set():
                    complete = self._index()

    def stop(self) -> None:
        """End the watch after the step in hand."""
        self._stopped.set()

    def _index(self) -> bool:
        wait = SECONDS_UNTIL_DUE
        try:
            self._services.index.register_query_tags()
            done = index_query_tags(self._services, lambda: self._stopped.wait(PAUSE_SECONDS))
            if done.complete:
                return True
        except Unavailable as error:
            log.warning("query tags cannot be indexed now: %s", error.detail)
            wait = error.retry_after
        except Exception:
            log.exception("query tags could not be indexed")
            wait = SECONDS_AFTER_FAILURE
        self._stopped.wait(wait)
        return False
