"""Index query tags on one machine: after a start, read what was stored without them.

Every few minutes afterwards the watch notes that every writer knows the tags, so that the next
start reads only what was stored since, perhaps by a release that has no query tags.
It is not used where events of the bucket start functions.
"""

import logging

from lenticular.errors import Unavailable
from lenticular.services import Services
from lenticular.transactions.upkeep.sweep_and_reindex import index_query_tags
from lenticular.transactions.watch import Watch

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.02
"""Between two steps, for those who store."""

SECONDS_UNTIL_DUE = 60.0
SECONDS_UNTIL_NOTED = 600.0


class QueryTagWatch(Watch):
    """Reads the values of tags that were not known before; ends when there are no tags."""

    def __init__(self, services: Services) -> None:
        super().__init__(services.settings.data / "query-tags.lock")
        self._services = services
        self._is_starting = True

    def turn(self) -> float | None:
        """Index the values of the query tags that are due."""
        index = self._services.index
        try:
            index.query_tag_registry.register(starting=self._is_starting)
            self._is_starting = False
            done = index_query_tags(self._services, lambda: self.stopped.wait(PAUSE_SECONDS))
        except Unavailable as error:
            log.warning("query tags cannot be indexed now: %s", error.detail)
            return error.retry_after
        if not done.complete:
            return SECONDS_UNTIL_DUE
        return SECONDS_UNTIL_NOTED if index.query_tags else None
