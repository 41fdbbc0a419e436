"""Poll a bucket for new objects on one machine: list them every few seconds, in one process.

Where events of the bucket start functions, nobody needs this.
"""

import logging
from collections.abc import Callable

from lenticular.services import Services
from lenticular.storage.protocol import Bucket
from lenticular.transactions.watch import Retries, Watch

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0

Action = Callable[[str], object]
"""Takes the object under a key, so that it lies there no longer."""


class BucketPoller(Watch):
    """The objects under a prefix of the bucket, and what is to be done with each."""

    def __init__(self, services: Services, bucket: Bucket, prefix: str, action: Action) -> None:
        name = prefix.strip("/").replace("/", "-")
        super().__init__(services.settings.data / f"bucket-{name}.lock")
        self._bucket = bucket
        self._prefix = prefix
        self._action = action
        self._retries = Retries(2 * INTERVAL_SECONDS)

    def turn(self) -> float:
        """Take every object there is; what fails is tried again, after ever longer waits."""
        try:
            for key, _, _ in self._bucket.keys(self._prefix):
                if self.stopped.is_set():
                    break
                if self._retries.is_due(key):
                    self._take(key)
        except OSError as error:
            if self._retries.add(None):
                log.warning("the bucket cannot be listed now: %s", error)
        else:
            self._retries.remove(None)
        return INTERVAL_SECONDS

    def _take(self, key: str) -> None:
        try:
            self._action(key)
            self._retries.remove(key)
        except Exception:
            # One strange object must not end the watch for all that come after it.
            if self._retries.add(key):
                log.exception("a new object of the bucket cannot be taken now")
