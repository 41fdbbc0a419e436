"""A server whose files are in a bucket and whose payloads have a low ceiling, as on AWS."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from tests.helpers.s3 import make_bucket
from tests.helpers.server_process import Server

SECONDS = 60


@contextmanager
def cloud_server(
    folder: Path, s3: Mapping[str, str], ceiling: int, **settings: object
) -> Iterator[Server]:
    """Run it, on a new bucket of this S3."""
    bucket = f"test-{secrets.token_hex(8)}"
    make_bucket(dict(s3), bucket)
    given = {"storage": f"s3://{bucket}/below/a prefix", "payload_ceiling": ceiling, **settings}
    named = {f"LENTICULAR_{name.upper()}": str(value) for name, value in given.items()}
    with Server(folder / "data", workers=2, environment={**s3, **named}) as running:
        yield running


def begin(server: Server, *files: tuple[str, int]) -> dict[str, Any]:
    """Announce files by name and size."""
    wanted = {"files": [{"name": name, "size": size} for name, size in files]}
    answer = requests.post(f"{server.url}/uploads", json=wanted, timeout=SECONDS)
    assert answer.status_code == 201, answer.text
    upload: dict[str, Any] = answer.json()
    assert answer.headers["Location"] == f"{server.url}/uploads/{upload['id']}"
    return upload


def look(server: Server, upload: dict[str, Any]) -> dict[str, Any]:
    """How far an upload has come."""
    answer = requests.get(f"{server.url}/uploads/{upload['id']}", timeout=SECONDS)
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


def put(url: str, content: bytes) -> None:
    """Put to a presigned URL."""
    requests.put(url, content, timeout=SECONDS).raise_for_status()


def finished(server: Server, upload: dict[str, Any]) -> dict[str, Any]:
    """The upload when everything was taken."""
    eventually(lambda: look(server, upload)["status"] == "done")
    return look(server, upload)


def upload(server: Server, *contents: bytes) -> list[dict[str, Any]]:
    """Store what is too large for a request; what became of each."""
    begun = begin(server, *((f"{number}.dcm", len(each)) for number, each in enumerate(contents)))
    for file, content in zip(begun["files"], contents, strict=True):
        put(file["url"], content)
    files: list[dict[str, Any]] = finished(server, begun)["files"]
    return files


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
