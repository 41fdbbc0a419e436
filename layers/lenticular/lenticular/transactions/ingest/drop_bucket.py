"""Ingest from a bucket: an object dropped under `incoming/` is stored, or moved to `rejected/`.

Events come more than once, in any order, and for objects that are gone: those were ingested
already. The object is read once, for its head and its hash, and stored by a copy inside the
service.
"""

import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lenticular import errors
from lenticular.index.records import Level
from lenticular.services import Services
from lenticular.storage.protocol import Bucket, Found, put_bytes
from lenticular.storage.spool import Spool
from lenticular.transactions import uploads
from lenticular.transactions.ingest.rejection import REPORT, Refusal, rejection_report
from lenticular.transactions.ingest.zip_reader import is_zip, store_zip
from lenticular.transactions.store.store import StoreResult, store

log = logging.getLogger(__name__)

INCOMING = "incoming/"
REJECTED = "rejected/"
# Less than S3's 1,024, so that a storage below a prefix has room too.
LONGEST_KEY_BYTES = 800
LOST_AFTER_SECONDS = 6 * 3600
"""An object that old has no event in the queue any more."""


@dataclass(slots=True)
class _Ingested:
    """The results and refusals of an object's content."""

    results: list[StoreResult] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def take(services: Services, bucket: Bucket, key: str) -> list[Refusal]:
    """Store one object of the drop folder; return the refusals.

    Raises OSError if it should be tried again later; then nothing has changed.
    """
    if not key.startswith(INCOMING) or key.endswith("/"):
        return []  # not dropped, or a folder made by a console
    try:
        found = bucket.find(key)
        ingested = _store(services, bucket, found)
        if ingested.refusals:
            _reject(bucket, found, ingested.refusals)
    except FileNotFoundError:
        return []  # ingested already, or removed by the client
    except (errors.StorageFull, errors.Unavailable) as error:
        raise OSError(error.detail) from error
    _record(bucket, found, ingested)
    bucket.discard(found)
    return ingested.refusals


def take_lost(
    services: Services,
    bucket: Bucket,
    should_stop: Callable[[], bool],
    older_than_seconds: float = LOST_AFTER_SECONDS,
) -> int:
    """Store objects that are hours old, because their events were lost; return their number."""
    latest = time.time() - older_than_seconds
    count = 0
    for key in [key for key, _, changed in bucket.keys(INCOMING) if changed <= latest]:
        if should_stop():
            break
        try:
            take(services, bucket, key)
            count += 1
        except Exception:
            # One bad object must not hold up the others; it is tried again the next time.
            log.exception("a dropped object whose event was lost cannot be taken")
    return count


def _store(services: Services, bucket: Bucket, found: Found) -> _Ingested:
    file = found.key.removeprefix(INCOMING)
    maximum = services.settings.maximum_body
    if found.size > maximum:
        why = f"It has {found.size:,} bytes; {maximum:,} are allowed at most."
        return _Ingested(refusals=[Refusal(file, why)])
    upload = uploads.upload_key(found.key)
    if upload is not None and upload.size != found.size:
        why = f"Of its {upload.size:,} bytes {found.size:,} arrived; upload it again."
        return _Ingested(refusals=[Refusal(file, why)])
    with bucket.fetch(found) as spool:
        if is_zip(spool.view()[:4]):
            return _store_zip(services, spool, file)
        return _ingested(file, _checked(store(services, [spool])))


def _ingested(file: str, results: list[StoreResult]) -> _Ingested:
    return _Ingested(results, [_refusal(file, result) for result in results if not result.outcome])


def _refusal(file: str, result: StoreResult) -> Refusal:
    return Refusal(file, result.detail, result.failure_reason)


def _store_zip(services: Services, spool: Spool, file: str) -> _Ingested:
    ingested = _Ingested()
    try:
        for name, result in store_zip(services, spool):
            ingested.results += _checked([result])
            if result.outcome is None:
                ingested.refusals.append(_refusal(name, result))
    except (errors.InvalidInstance, errors.TooLarge) as error:
        ingested.refusals.append(Refusal(file, error.detail))
    return ingested


def _record(bucket: Bucket, found: Found, ingested: _Ingested) -> None:
    """Record the outcome for the client, if it uploaded the object by a presigned URL."""
    upload = uploads.upload_key(found.key)
    if upload is None:
        return
    stored = [result for result in ingested.results if result.outcome is not None]
    folder = found.key.removeprefix(INCOMING).rpartition("/")[0] + "/"
    refused = [
        {"file": refusal.file.removeprefix(folder), "reason": refusal.detail}
        for refusal in ingested.refusals
    ]
    uploads.record(
        bucket, upload, uploads.UploadOutcome([_instance(each) for each in stored], refused)
    )


def _instance(result: StoreResult) -> dict[str, str]:
    assert result.target is not None
    assert result.orthanc_ids is not None
    return {
        "study": result.target.study_instance_uid,
        "series": result.target.series_instance_uid or "",
        "instance": result.target.sop_instance_uid or "",
        "orthanc_id": result.orthanc_ids[Level.INSTANCE],
    }


def _checked(results: list[StoreResult]) -> list[StoreResult]:
    """Return the results; raise OSError if one of them is a temporary failure."""
    for result in results:
        if result.is_temporary:
            raise OSError(result.detail)
    return results


def _reject(bucket: Bucket, found: Found, refusals: list[Refusal]) -> None:
    key = _free_key(bucket, found)
    report = rejection_report(found.key.removeprefix(INCOMING), refusals)
    put_bytes(bucket, key + REPORT, report)
    bucket.copy(found, key)
    log.info("a dropped object was refused: %s", refusals[0].detail)


def _free_key(bucket: Bucket, found: Found) -> str:
    """Return a key at which a refused object and its report replace no other.

    The same bytes get the same key if their event comes again.
    """
    key = rejected_key(found.key)
    there = _find(bucket, key)
    if there is None and _find(bucket, key + REPORT) is None:
        return key
    # The report is written first, so the one beside the same bytes is theirs.
    if there is not None and (there.size, there.etag) == (found.size, found.etag):
        return key
    return f"{key}.{found.etag.strip(chr(34))}"


def _find(bucket: Bucket, key: str) -> Found | None:
    try:
        return bucket.find(key)
    except FileNotFoundError:
        return None


def rejected_key(key: str) -> str:
    """Return the key for a refused object: its own, shortened and corrected if need be."""
    parts = key.removeprefix(INCOMING).split("/")
    proper = "/".join(f"_{part}" if part in ("", ".", "..") else part for part in parts)
    room = LONGEST_KEY_BYTES - len(REJECTED) - len(REPORT)
    encoded = proper.replace("\0", "_").encode()
    if len(encoded) > room:
        digest = hashlib.sha256(encoded).hexdigest()[:16]
        proper = f"{encoded[: room - 17].decode('utf-8', 'ignore')}-{digest}"
    return REJECTED + proper.replace("\0", "_")
