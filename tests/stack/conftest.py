"""The deployed stack, as `make stack` has left it; without one these tests are skipped."""

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest
import requests

from tests.helpers.backends import OUTPUTS, Gateway
from tests.helpers.oidc_issuer import Issuer, issuer


@dataclass(frozen=True)
class Stack:
    """Where the API and the bucket are, and sessions that talk to them."""

    url: str
    bucket: str
    maintenance: str
    authorizer: str
    issuer: str
    """Where the authoriser expects the issuer of tokens to be."""
    image: str
    """What functions run in under Docker; empty without it."""
    environment: dict[str, str]
    """By which AWS's programs find LocalStack."""
    s3: object
    lambda_: object
    http: requests.Session

    def request(self, method: str, path: str, **options: object) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=90, **options)


def opened(outputs: dict[str, str]) -> Stack:
    """The stack with these outputs; its API is asked under the name that it has on AWS."""
    gateway = Gateway(outputs)
    environment = {name: value for name, value in outputs.items() if name.startswith("AWS_")}
    place = {
        "endpoint_url": environment["AWS_ENDPOINT_URL"],
        "region_name": environment["AWS_DEFAULT_REGION"],
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
    }
    return Stack(
        url=gateway.url,
        bucket=outputs["BucketName"],
        maintenance=outputs["Maintenance"],
        authorizer=outputs["Authorizer"],
        issuer=outputs["Issuer"],
        image=outputs["Image"],
        environment=environment,
        s3=boto3.client("s3", **place),
        lambda_=boto3.client("lambda", **place),
        http=gateway.session(),
    )


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The stack that outputs.json (or STACK_OUTPUTS) describes."""
    path = Path(os.environ.get("STACK_OUTPUTS", OUTPUTS))
    if not path.exists():
        pytest.skip("no stack is running: make stack starts one")
    running = opened(json.loads(path.read_text()))
    with running.http:
        yield running


@pytest.fixture(scope="session")
def tokens(stack) -> Iterator[Issuer]:
    """The issuer that the stack was deployed for; its keys are not asked for again at once."""
    with issuer(urlsplit(stack.issuer).port) as running:
        yield running


@pytest.fixture
def study() -> str:
    """A label for a study that no other test and no other run has used."""
    return secrets.token_hex(4)
