"""Uploads to presigned URLs, with a server whose files are in a bucket."""

from collections.abc import Iterator

import pytest
import requests
from starlette.testclient import TestClient

from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.transactions.ingest.drop_bucket import take
from lenticular.web.app import create_app

CEILING = 5000


SECONDS = 30


@pytest.fixture
def cloud(tmp_path, bucket) -> Iterator[Services]:
    """Files in a bucket, and a low ceiling."""
    settings = Settings(data=tmp_path, storage=f"s3://{bucket}", payload_ceiling=CEILING)
    services = open_services(settings)
    services.index.migrate()
    yield services
    services.close()


@pytest.fixture
def client(cloud) -> Iterator[TestClient]:
    app = create_app(cloud)
    with TestClient(app, "http://127.0.0.1:8042", raise_server_exceptions=False) as session:
        yield session


def begin(client: TestClient, *files: tuple[str, int]) -> dict:
    answer = client.post("/uploads", json={"files": [{"name": n, "size": s} for n, s in files]})
    assert answer.status_code == 201, answer.text
    return answer.json()


def put(url: str, content: bytes) -> None:
    requests.put(url, content, timeout=SECONDS).raise_for_status()


def take_all(services: Services) -> None:
    """Run what the events of the bucket would start."""
    for key in [key for key, _, _ in services.bucket.keys("incoming/")]:
        take(services, services.bucket, key)
