"""The drop folder of the bucket: S3 event, queue, store; what fails goes back to the queue."""

import start  # isort: split

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from ingest.events import dropped_objects
from lenticular import settings
from lenticular.services import open_services
from lenticular.transactions.ingest.drop_bucket import take
from shared import logger, observed, patiently

if TYPE_CHECKING:
    from lenticular.storage.protocol import Bucket

services = open_services(settings.load())
# The drop folder is in a bucket, so the storage is one.
bucket = cast("Bucket", services.storage)
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def take_dropped(record: SQSRecord) -> None:
    """Store the objects that one message of the queue names."""
    try:
        for dropped in dropped_objects(record.body):
            if dropped.bucket == bucket.bucket:
                key = dropped.key.removeprefix(bucket.prefix)
                patiently(partial(take, services, bucket, key), (OSError,))
            else:
                logger.warning("an event of another bucket is ignored")
    except Exception:
        logger.exception("a message is left in the queue", message_id=record.message_id)
        raise


def respond(event: dict[str, Any], context: Any) -> Any:
    """Process each message on its own; return those that must come again."""
    return process_partial_response(event, take_dropped, processor, context)


handler = observed(respond)
start.finish()
