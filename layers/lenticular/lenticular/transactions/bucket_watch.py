"""The drop folder of a bucket on one machine: listed every few seconds, by one process.

Where events of the bucket start functions, nobody needs this.
"""

import logging
import threading
import time

from lenticular.services import Services
from lenticular.storage.protocol import Bucket
from lenticular.transactions.incoming import INCOMING, take
from lenticular.transactions.ingest import exclusive

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 600.0


class BucketWatch:
    """`incoming/` in the bucket."""

    def __init__(self, services: Services, bucket: Bucket) -> None:
        self._services = services
        self._bucket = bucket
        self._stopped = threading.Event()
        self._lock = services.settings.data / "bucket.lock"
        self._failed: dict[str, tuple[float, float]] = {}

    def watch(self) -> None:
        """Take what arrives until stopped. Of several processes only one watches at a time."""
        while not self._stopped.wait(INTERVAL_SECONDS):
            with exclusive(self._lock) as ours:
                while ours and not self._stopped.is_set():
                    self.take_all()
                    self._stopped.wait(INTERVAL_SECONDS)

    def stop(self) -> None:
        """End the watch after the object in hand."""
        self._stopped.set()

    def take_all(self) -> None:
        """Take every object there is; what fails is tried again, after ever longer waits."""
        try:
            for key, _, _ in self._bucket.keys(INCOMING):
                if self._stopped.is_set():
                    return
                if time.monotonic() >= self._failed.get(key, (0.0, 0.0))[0]:
                    self._take(key)
        except OSError as error:
            log.warning("the bucket cannot be listed now: %s", error)

    def _take(self, key: str) -> None:
        try:
            take(self._services, self._bucket, key)
            self._failed.pop(key, None)
        except Exception:
            # One strange object must not end the watch for all that come after it.
            log.exception("a dropped object cannot be taken now")
            _, wait = self._failed.get(key, (0.0, INTERVAL_SECONDS))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            self._failed[key] = time.monotonic() + wait, wait
