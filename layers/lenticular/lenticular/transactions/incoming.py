"""Ingest from a bucket: an object dropped under `incoming/` is stored, or moved to `rejected/`.

Events come more than once, in any order, and for objects that are gone: what is not there any more
was taken already. The object is read once, for its head and its hash, and what is kept of it is a
copy inside the service.
"""

import hashlib
import logging

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.protocol import Bucket, Found
from lenticular.storage.spool import Spool
from lenticular.transactions.archive import is_zip, store_zip
from lenticular.transactions.ingest import Refusal, rejection_report
from lenticular.transactions.store import OUT_OF_RESOURCES, StoreResult, store

log = logging.getLogger(__name__)

INCOMING = "incoming/"
REJECTED = "rejected/"
REPORT = ".json"
# Less than S3's 1,024, so that a storage below a prefix has room too.
LONGEST_KEY_BYTES = 800


def take(services: Services, bucket: Bucket, key: str) -> list[Refusal]:
    """Take one object out of the drop folder; why parts of it were refused, if any were.

    Raises OSError when it is worth another try later; then nothing has changed.
    """
    if not key.startswith(INCOMING) or key.endswith("/"):
        return []  # not dropped, or a folder as consoles draw them
    try:
        found = bucket.find(key)
    except FileNotFoundError:
        return []
    refusals = _store(services, bucket, found)
    if refusals:
        _reject(bucket, found, refusals)
    bucket.discard(found)
    return refusals


def _store(services: Services, bucket: Bucket, found: Found) -> list[Refusal]:
    file = found.key.removeprefix(INCOMING)
    maximum = services.settings.maximum_body
    if found.size > maximum:
        return [Refusal(file, f"It has {found.size:,} bytes; {maximum:,} are taken at most.")]
    with bucket.fetch(found) as spool:
        if is_zip(spool.view()[:4]):
            return _store_zip(services, spool, file)
        return [
            Refusal(file, result.detail, result.failure_reason)
            for result in _checked(store(services, [spool]))
            if result.outcome is None
        ]


def _store_zip(services: Services, spool: Spool, file: str) -> list[Refusal]:
    refusals: list[Refusal] = []
    try:
        for name, result in store_zip(services, spool):
            _checked([result])
            if result.outcome is None:
                refusals.append(Refusal(name, result.detail, result.failure_reason))
    except (errors.InvalidInstance, errors.TooLarge) as error:
        refusals.append(Refusal(file, error.detail))
    return refusals


def _checked(results: list[StoreResult]) -> list[StoreResult]:
    """The results, unless one is no fault of the file."""
    for result in results:
        if result.failure_reason == OUT_OF_RESOURCES:
            raise OSError(result.detail)
    return results


def _reject(bucket: Bucket, found: Found, refusals: list[Refusal]) -> None:
    key = rejected_key(found.key)
    with Spool() as report:
        report.write(rejection_report(found.key.removeprefix(INCOMING), refusals))
        bucket.put(key + REPORT, report)
    bucket.copy(found, key)
    log.info("a dropped object was refused: %s", refusals[0].detail)


def rejected_key(key: str) -> str:
    """Where a refused object goes: its own key, where that is a proper one that leaves room."""
    parts = key.removeprefix(INCOMING).split("/")
    proper = "/".join(f"_{part}" if part in ("", ".", "..") else part for part in parts)
    room = LONGEST_KEY_BYTES - len(REJECTED) - len(REPORT)
    encoded = proper.replace("\0", "_").encode()
    if len(encoded) > room:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        proper = f"{encoded[: room - 17].decode('utf-8', 'ignore')}-{digest}"
    return REJECTED + proper.replace("\0", "_")
