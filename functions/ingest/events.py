"""The shapes of S3's events about dropped objects: directly, through SNS, or EventBridge."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus


class UnknownEvent(ValueError):
    """A message that is not about an object in a shape that S3 uses."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A bucket and the key of a new object in it."""

    bucket: str
    key: str


def dropped_objects(body: str) -> list[Dropped]:
    """Return the new objects in the body of a message; none for S3's test message."""
    try:
        return _objects(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UnknownEvent("The message is not an event of S3 about new objects.") from error


def _objects(event: dict[str, Any]) -> list[Dropped]:
    if event.get("Event") == "s3:TestEvent":
        return []
    if event.get("Type") == "Notification":
        return dropped_objects(event["Message"])
    if "detail" in event:
        detail = event["detail"]
        # EventBridge gives the key as it is, S3's own events as in a query string.
        return [Dropped(detail["bucket"]["name"], detail["object"]["key"])]
    return [
        Dropped(record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))
        for record in event["Records"]
        if record["eventName"].startswith("ObjectCreated:")
    ]
