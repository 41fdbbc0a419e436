"""Runs deferred requests in the background and stores their responses in the bucket.

The application responds as it did to the client, but without the limits of one call.
"""

import asyncio
import logging
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

from lenticular.services import Services
from lenticular.storage.protocol import Bucket
from lenticular.transactions import deferred_results
from lenticular.transactions.deferred_results import Failure, Job
from lenticular.web.app import create_app
from lenticular.web.http.media_types import OCTET_STREAM
from lenticular.web.responses.payload_limit import JOB, Replay
from lenticular.web.routers import all_routers

log = logging.getLogger(__name__)

LONGEST_HICCUP = 60
"""The longest Retry-After, in seconds, with which a job tries again instead of giving up."""


@dataclass(slots=True)
class _Response:
    """The application's response; its body is small, because large ones go into the bucket."""

    status: int = 500
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""

    async def receive(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.body += message.get("body", b"")

    @property
    def retry_after(self) -> int:
        return int(self.headers.get(b"retry-after", b"0"))

    @property
    def media_type(self) -> str:
        return self.headers.get(b"content-type", OCTET_STREAM.encode()).decode("latin-1")


class JobRunner:
    """Runs deferred jobs by their keys."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._app: ASGIApp | None = None

    def run(self, key: str) -> None:
        """Make the result of a job, unless it exists already; raise OSError to be called again."""
        bucket = self._services.bucket
        job = deferred_results.load_job(bucket, key) if bucket is not None else None
        if bucket is None or job is None:
            return
        replay = Replay(job.result_id)
        response = self._response_to(job, replay)
        if response.status == 503 and response.retry_after <= LONGEST_HICCUP:
            raise OSError("a response cannot be made now")
        deferred_results.finish(bucket, job, replay.made_as, _failure(bucket, job, response))
        log.info("made a response", extra={"counts": {"results": 1}})

    def _response_to(self, job: Job, replay: Replay) -> _Response:
        """Return the response to the request of a job."""
        # A loop of its own, which leaves that of the thread alone.
        with closing(asyncio.new_event_loop()) as loop:
            return loop.run_until_complete(self._repeat(job, replay))

    async def _repeat(self, job: Job, replay: Replay) -> _Response:
        """Send the request of a job to the application."""
        if self._app is None:
            self._app = create_app(self._services, all_routers(), guarded=False)
        response = _Response()
        await self._app(_scope(job, replay), _nothing, response.receive)
        return response


def _failure(bucket: Bucket, job: Job, response: _Response) -> Failure | None:
    """Return the failure if there is one; store a response with a body as the result."""
    if response.status == 303:
        return None
    if response.status != 200:
        return Failure(
            response.status, response.media_type, response.body.decode("utf-8", "replace")
        )
    deferred_results.write(
        bucket,
        job.result_id,
        [response.body],
        deferred_results.ResultDescription(response.media_type),
    )
    return None


def _scope(job: Job, replay: Replay) -> dict[str, Any]:
    """Return the ASGI scope of the repeated request."""
    headers = [(b"host", job.host.encode("latin-1"))]
    if job.accept is not None:
        headers.append((b"accept", job.accept.encode("latin-1")))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": job.scheme,
        "path": job.path,
        "raw_path": job.path.encode(),
        "query_string": job.query.encode("latin-1"),
        "root_path": job.root_path,
        "headers": headers,
        "client": None,
        "server": None,
        JOB: replay,
    }


async def _nothing() -> Message:
    """Receive an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}
