"""Poll a bucket for new objects on one machine: list them every few seconds, in one process.

It is not used where events of the bucket start functions.
"""

import logging
from collections.abc import Callable

from lenticular.services import Services
from lenticular.storage.protocol import Bucket
from lenticular.transactions.watch import Retries, Watch

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0

Action = Callable[[str], object]
"""Ingests the object under a key and removes it."""


class BucketPoller(Watch):
    """Applies an action to each object under a prefix of the bucket."""

    def __init__(self, services: Services, bucket: Bucket, prefix: str, action: Action) -> None:
        name = prefix.strip("/").replace("/", "-")
        super().__init__(services.settings.data / f"bucket-{name}.lock")
        self._bucket = bucket
        self._prefix = prefix
        self._action = action
        self._retries = Retries(2 * INTERVAL_SECONDS)

    def turn(self) -> float:
        """Work through every object once; retry failed ones after longer and longer waits."""
        try:
            for key, _, _ in self._bucket.keys(self._prefix):
                if self.stopped.is_set():
                    break
                if self._retries.is_due(key):
                    self._ingest(key)
        except OSError as error:
            if self._retries.add(None):
                log.warning("the bucket cannot be listed now: %s", error)
        else:
            self._retries.remove(None)
        return INTERVAL_SECONDS

    def _ingest(self, key: str) -> None:
        try:
            self._action(key)
            self._retries.remove(key)
        except Exception:
            # One bad object must not stop the watch.
            if self._retries.add(key):
                log.exception("a new object of the bucket cannot be taken now")
