"""The new objects of a bucket on one machine: listed every few seconds, by one process.

Where events of the bucket start functions, nobody needs this.
"""

import logging
import threading
import time
from collections.abc import Callable

from lenticular.services import Services
from lenticular.storage.protocol import Bucket
from lenticular.transactions.ingest.drop_folder import exclusive

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 600.0

Action = Callable[[str], object]
"""Takes the object under a key, so that it lies there no longer."""


class BucketPoller:
    """The objects under a prefix of the bucket, and what is to be done with each."""

    def __init__(self, services: Services, bucket: Bucket, prefix: str, action: Action) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._action = action
        self._stopped = threading.Event()
        name = prefix.strip("/").replace("/", "-")
        self._lock = services.settings.data / f"bucket-{name}.lock"
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
            for key, _, _ in self._bucket.keys(self._prefix):
                if self._stopped.is_set():
                    return
                if time.monotonic() >= self._failed.get(key, (0.0, 0.0))[0]:
                    self._take(key)
        except Exception:
            log.exception("the bucket cannot be listed now")

    def _take(self, key: str) -> None:
        try:
            self._action(key)
            self._failed.pop(key, None)
        except Exception:
            # One strange object must not end the watch for all that come after it.
            log.exception("a new object of the bucket cannot be taken now")
            _, wait = self._failed.get(key, (0.0, INTERVAL_SECONDS))
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
            self._failed[key] = time.monotonic() + wait, wait
