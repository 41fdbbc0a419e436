"""Messages of queues, about new objects in the bucket.

The prefix of the keys selects the action, which runs once per call for all its messages. Messages
that fail or are not understood return to the queue, until it moves them to its dead-letter queue.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ingest.events import dropped_objects
from lenticular.services import Services
from shared import logger

if TYPE_CHECKING:
    from lenticular.storage.protocol import Bucket

Action = Callable[[Sequence[str]], None]
"""Does what new objects with these keys ask for; raises when they should come again."""


def is_queue(event: dict[str, Any]) -> bool:
    """Return True if the event is of a queue."""
    return any(record.get("eventSource") == "aws:sqs" for record in event.get("Records", ()))


def answer_queue(
    services: Services, event: dict[str, Any], actions: Mapping[str, Action]
) -> dict[str, Any]:
    """Run the actions of the messages, by prefix of keys; return those that must come again."""
    bucket = cast("Bucket", services.storage)
    failed: dict[str, None] = {}
    asked: dict[str, dict[str, list[str]]] = {prefix: {} for prefix in actions}
    for record in event["Records"]:
        message_id = record["messageId"]
        try:
            for key in _keys(bucket, record["body"]):
                prefix = next(filter(key.startswith, actions), None)
                if prefix is not None:
                    asked[prefix].setdefault(message_id, []).append(key)
        except ValueError:
            logger.exception("a message is left in the queue", message_id=message_id)
            failed[message_id] = None
    for prefix, messages in asked.items():
        if messages and not _succeeds(actions[prefix], messages):
            failed |= dict.fromkeys(messages)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _keys(bucket: "Bucket", body: str) -> Iterator[str]:
    for new in dropped_objects(body):
        if new.bucket == bucket.bucket:
            yield new.key.removeprefix(bucket.prefix)
        else:
            logger.warning("an event of another bucket is ignored")


def _succeeds(action: Action, messages: Mapping[str, list[str]]) -> bool:
    try:
        action([key for keys in messages.values() for key in keys])
    except Exception:
        logger.exception("messages are left in the queue", message_ids=list(messages))
        return False
    return True
