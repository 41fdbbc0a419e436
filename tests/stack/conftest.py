"""The deployed stack, as `make stack` has left it; without one these tests are skipped."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import requests

OUTPUTS = Path(__file__).parents[2] / "build" / "stack" / "outputs.json"


@dataclass(frozen=True)
class Stack:
    """Where the API and the bucket are, and a session that talks to them."""

    url: str
    bucket: str
    s3: object
    lambda_: object
    maintenance: str
    http: requests.Session

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=90, **options)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack that outputs.json (or STACK_OUTPUTS) describes."""
    path = Path(os.environ.get("STACK_OUTPUTS", OUTPUTS))
    if not path.exists():
        pytest.skip("no stack is running: make stack starts one")
    outputs = json.loads(path.read_text())
    place = {
        "endpoint_url": outputs["AWS_ENDPOINT_URL"],
        "region_name": outputs["AWS_DEFAULT_REGION"],
        "aws_access_key_id": outputs["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": outputs["AWS_SECRET_ACCESS_KEY"],
    }
    with requests.Session() as http:
        http.trust_env = False
        yield Stack(
            outputs["ApiUrl"],
            outputs["BucketName"],
            boto3.client("s3", **place),
            boto3.client("lambda", **place),
            outputs["Maintenance"],
            http,
        )
