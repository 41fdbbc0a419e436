"""The payload limit: how to respond with more than one call may carry.

    up to the limit            the body itself
    above it                   303 to a presigned URL, of the stored file or of `results/…`
    too much for one call      202, and a job that makes it meanwhile

There is a limit if `payload_ceiling` is set and files are stored in a bucket; a HEAD has none.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.protocol import Archived, Bucket
from lenticular.transactions.retrieve.byte_source import FileGone
from lenticular.transactions.retrieve.omissions import Omissions
from lenticular.web.logs import STARTED
from lenticular.web.request_context import root_url, services_of
from lenticular.web.responses.omission_warnings import respond_streaming, respond_whole, warn_of

if TYPE_CHECKING:
    from lenticular.transactions.deferred_results import Job, Result

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = "5"
SECONDS_IN_ONE_CALL = 20.0
"""From the start of a request; a client of API Gateway hangs up after 29."""
# Keys in the scope of a request: the job that repeats it, and the time at which it began.
JOB = "lenticular.job"
# A presigned URL expires, and everybody who has it can read the result.
_NO_STORE = {"cache-control": "no-store", "vary": "Accept"}


@dataclass(slots=True)
class Replay:
    """A deferred job's request, repeated in the background; `made_as` is the id of its result."""

    result_id: str
    made_as: str | None = None


@dataclass(frozen=True, slots=True)
class DeferredBody:
    """The body of a response before it is made."""

    pieces: Callable[[], Iterable[bytes]]
    size: int | None = None
    about: int = 0
    """The least size it will have, where the size is not known."""
    stored_key: str | None = None
    """The file whose bytes it is, when it is nothing else."""
    file_name: str | None = None
    omissions: Omissions = field(default_factory=Omissions)
    """The parts that are left out, complete when the body is made."""
    studies: tuple[str, ...] = ()
    """The studies whose instances are in it, where the path does not name one."""


def payload_limit_of(request: Request) -> int | None:
    """Return the payload limit in bytes; None if there is none."""
    if JOB in request.scope:
        return 0  # all of it goes into the bucket
    return services_of(request).settings.payload_ceiling or None


def exceeds(request: Request, size: int) -> bool:
    """Return True if this size exceeds the payload limit, and can go through the bucket."""
    ceiling = payload_limit_of(request)
    return ceiling is not None and ceiling < size and services_of(request).bucket is not None


def respond(request: Request, status: int, headers: dict[str, str], body: DeferredBody) -> Response:
    """Respond with the body, or with 303 or 202 if it exceeds the payload limit."""
    services = services_of(request)
    ceiling = payload_limit_of(request) or 0
    pieces: Iterable[bytes] = ()
    if max(body.size or 0, body.about) <= ceiling:
        beginning, pieces = _up_to(ceiling, body.pieces(), deadline_of(request))
        if not pieces and _fits(beginning, ceiling):
            return respond_whole(request, status, headers, b"".join(beginning), body.omissions)
        pieces = chain(beginning, pieces)
    bucket = services.bucket
    if bucket is None:
        return respond_streaming(request, status, headers, pieces or body.pieces(), body.omissions)
    try:
        return _via_bucket(request, bucket, headers, body, pieces)
    except Archived:
        raise
    except OSError as error:
        log.exception("a response cannot be put into the bucket")
        raise errors.Unavailable(
            "The response is too large to be sent at once, and the storage cannot store it now;"
            " try again in a moment."
        ) from error


def see_other_303(request: Request, result: "Result") -> Response:
    """Respond with 303 to a result in the bucket; warn of what it leaves out."""
    response = Response(status_code=303, headers={"location": result.url, **_NO_STORE})
    return warn_of(request, response, result.warnings)


def accepted_202(request: Request, result: str) -> Response:
    """Respond with 202 and the URL at which the result will be found."""
    url = f"{root_url(request)}/results/{result}"
    headers = {"location": url, "retry-after": RETRY_AFTER_SECONDS, **_NO_STORE}
    return Response(status_code=202, headers=headers)


def too_large_to_take(request: Request) -> errors.TooLarge:
    """Return the refusal of a body above the payload limit; it names the way for large files."""
    ceiling = services_of(request).settings.payload_ceiling
    return errors.TooLarge(
        f"One request may carry at most {ceiling:,} bytes here. Larger files go by presigned URLs:"
        " POST /uploads with their names and sizes, as the upload command does."
    )


def _via_bucket(
    request: Request,
    bucket: Bucket,
    headers: dict[str, str],
    body: DeferredBody,
    pieces: Iterable[bytes],
) -> Response:
    """Respond with 303 to the result in the bucket, or with 202 if a job has to make it."""
    from lenticular.transactions import deferred_results

    media_type = headers["content-type"]
    if body.stored_key is not None:
        try:
            url = deferred_results.presign_stored(
                bucket, body.stored_key, media_type, body.file_name
            )
            return see_other_303(request, deferred_results.Result(url))
        except FileNotFoundError:
            raise FileGone("The file of the instance is gone.") from None
    job: Replay | None = request.scope.get(JOB)
    bare_type = media_type.partition(";")[0]  # the boundary of a multipart differs each time
    etag = None if body.omissions else headers.get("etag")
    # A job stores its result under the id of what it makes: the instances may have changed since
    # it was enqueued.
    result = deferred_results.result_id(etag, str(request.url), bare_type)
    if job is not None:
        job.made_as = result = job.result_id if etag is None else result
    if found := deferred_results.existing(bucket, result):
        return see_other_303(request, found)
    if job is None and deferred_results.is_enqueued(bucket, result):
        return accepted_202(request, result)
    largest = _largest(request, services_of(request))
    studies = body.studies or _studies_of(request)
    begun = request.scope.get(STARTED, time.monotonic())
    about = deferred_results.ResultDescription(media_type, body.file_name, studies, begun)
    try:
        expected = max(body.size or 0, body.about)
        if largest is not None and expected > largest:
            raise deferred_results.DeferToJob
        made = pieces or body.pieces()
        if largest is not None:
            made = deferred_results.limited(made, largest, deadline_of(request), expected)
        found = deferred_results.write(bucket, result, made, about, body.omissions.sentences)
    except deferred_results.DeferToJob:
        deferred_results.enqueue(bucket, _job(request, result))
        return accepted_202(request, result)
    return see_other_303(request, found)


def deadline_of(request: Request) -> float:
    """Return the time of `time.monotonic()` at which the client must have its response."""
    started: float = request.scope.get(STARTED, time.monotonic())
    return started + SECONDS_IN_ONE_CALL


def _studies_of(request: Request) -> tuple[str, ...]:
    """Return the study that the path or the query of a retrieval names."""
    study = request.path_params.get("study") or request.query_params.get("studyUID")
    return (study,) if study else ()


def _largest(request: Request, services: Services) -> int | None:
    """Return the size up to which a response is made while the client waits; None for any size.

    A job makes all of it, and so does a request that cannot be repeated.
    """
    can_be_deferred = request.method == "GET" and JOB not in request.scope
    return services.settings.largest_result if can_be_deferred else None


def _job(request: Request, result: str) -> "Job":
    """Return the job that repeats this request later."""
    from lenticular.transactions.deferred_results import Job

    scope = request.scope
    return Job(
        result,
        scope["path"],
        scope["query_string"].decode("latin-1"),
        scope["scheme"],
        scope.get("root_path", ""),
        request.headers.get("host", ""),
        ", ".join(request.headers.getlist("accept")) or None,
    )


def _fits(pieces: list[bytes], ceiling: int) -> bool:
    """Return True if the pieces stay below the limit as base64, or with quotation marks escaped."""
    size = sum(map(len, pieces))
    escaped = size + sum(piece.count(b'"') + piece.count(b"\\") for piece in pieces)
    return size <= ceiling and escaped <= ceiling * 4 // 3


def _up_to(
    ceiling: int, pieces: Iterable[bytes], deadline: float
) -> tuple[list[bytes], Iterable[bytes]]:
    """Return the first pieces, up to the ceiling and the deadline, and an iterator of the rest."""
    rest = iter(pieces)
    beginning: list[bytes] = []
    size = 0
    for piece in rest:
        beginning.append(piece)
        size += len(piece)
        if size > ceiling or time.monotonic() > deadline:
            return beginning, rest
    return beginning, ()
