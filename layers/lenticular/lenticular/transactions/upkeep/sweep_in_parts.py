"""Sweep an archive of any size, over as many calls as that takes.

A function has a quarter of an hour. Each call begins with the part before which the last one ran
out of time, which is kept in the bucket.
"""

from collections.abc import Callable

from lenticular.services import Services
from lenticular.storage.protocol import Bucket, put_bytes
from lenticular.transactions.upkeep.sweep_and_reindex import Swept, sweep

NEXT_PART = "upkeep/sweep-next-part"
PARTS = tuple(f"{number:02x}" for number in range(256))


def sweep_next_parts(services: Services, bucket: Bucket, should_stop: Callable[[], bool]) -> Swept:
    """Sweep from where the last call stopped; complete when that was to the end."""
    looked_at = removed = 0
    for part in PARTS[_first(bucket) :]:
        swept = sweep(services, part, should_stop=should_stop)
        looked_at += swept.looked_at
        removed += swept.removed
        if not swept.complete or (should_stop() and part != PARTS[-1]):
            put_bytes(bucket, NEXT_PART, part.encode())
            return Swept(looked_at, removed, complete=False)
    bucket.delete(NEXT_PART)
    return Swept(looked_at, removed, complete=True)


def _first(bucket: Bucket) -> int:
    try:
        return PARTS.index(bucket.read(NEXT_PART).decode())
    except FileNotFoundError:
        return 0
