"""The change feed of instances, in the shape of Azure Health Data Services' DICOM service v2.

An entry says what happened to an instance, and what has become of it since; while it is there, its
attributes may come along.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from lenticular.errors import NotFound
from lenticular.index.read.instance_changes import InstanceChange, InstanceState, TimeWindow
from lenticular.services import Services
from lenticular.transactions.retrieve import instances

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page(
    services: Services,
    offset: int,
    limit: int,
    window: TimeWindow,
    metadata_below: str | None,
) -> Iterator[bytes]:
    """Yield up to `limit` entries of the window as JSON, oldest first, skipping `offset`.

    With `metadata_below`, the base URL of bulk data, each entry has its metadata.
    """
    found = services.index.instance_changes.page(offset, limit, window)
    return _encoded(services, found, metadata_below)


def latest(services: Services, metadata_below: str | None) -> bytes | None:
    """Return the newest entry as JSON; None if there is none."""
    found = services.index.instance_changes.latest()
    return next(_encoded(services, [found] if found else [], metadata_below), None)


def moment(text: str) -> int | None:
    """Return the first millisecond since 1970 not before a time of ISO 8601, by default in UTC."""
    try:
        # A plus sign in a query is read as a space.
        found = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError:
        return None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return -((_EPOCH - found) // timedelta(milliseconds=1))


def _encoded(
    services: Services, found: Iterable[InstanceChange], metadata_below: str | None
) -> Iterator[bytes]:
    for change in found:
        entry = _entry(change)
        if metadata_below is not None and change.state is not InstanceState.DELETED:
            entry |= _metadata(services, change, metadata_below)
        yield orjson.dumps(entry)


def _entry(change: InstanceChange) -> dict[str, Any]:
    time = _EPOCH + timedelta(milliseconds=change.created)
    return {
        "Sequence": change.sequence,
        "StudyInstanceUid": change.target.study_instance_uid,
        "SeriesInstanceUid": change.target.series_instance_uid,
        "SopInstanceUid": change.target.sop_instance_uid,
        "Action": change.action.value,
        "Timestamp": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "State": change.state.value,
    }


def _metadata(services: Services, change: InstanceChange, base_url: str) -> dict[str, Any]:
    try:
        document = next(instances.metadata(services, change.target, base_url))
    except NotFound:  # deleted in the meantime; that is the next entry
        return {}
    return {"Metadata": orjson.Fragment(document)}
