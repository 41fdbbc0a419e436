"""Events of S3 and SQS, and the functions that take them."""

import json
from urllib.parse import quote_plus

import pytest

from lenticular.dicom.model import Target
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import store
from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context


def s3_event(bucket: str, *keys: str) -> dict:
    """Return the event that S3 sends for new objects."""
    return {
        "Records": [
            {
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/")}},
            }
            for key in keys
        ]
    }


def sqs_event(*bodies: object) -> dict:
    """Return the event of SQS around it."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:incoming",
                "awsRegion": "eu-central-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


@pytest.fixture
def drop(storage):
    def put(key: str, content: bytes) -> str:
        storage.client.put_object(Bucket=storage.bucket, Key=key, Body=content)
        return key

    return put


@pytest.fixture
def tell(ingest, storage):
    """Call the function with one message for each key; the ids of those that come again."""

    def call(*keys: str) -> list[str]:
        return run(ingest, *(s3_event(storage.bucket, key) for key in keys))

    return call


def run(ingest, *bodies: object) -> list[str]:
    answer = ingest.handler(sqs_event(*bodies), Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def found(ingest, study: object) -> int:
    return len(ingest.services.index.retrieval.find(Target(samples.study_uid(study))))


def keys(storage, prefix: str) -> list[str]:
    return [key for key, _, _ in storage.keys(prefix)]


def put(services, *contents: bytes) -> None:
    spools = [Spool() for _ in contents]
    for spool, content in zip(spools, contents, strict=True):
        spool.write(content)
    store(services, spools)


KEY = "instances/abc/1.2.3/1.2.3.4/1.2.3.4.5-0123456789abcdef-01234567.dcm"


def call(module, *bodies: object, context: Context | None = None) -> list[str]:
    answer = module.handler(sqs_event(*bodies), context or Context())
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def of_bucket(module, *keys: str) -> dict:
    return s3_event(module.services.storage.bucket, *keys)
