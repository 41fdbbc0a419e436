"""Answers past the payload ceiling: kept in the bucket for a day, and read there by presigned URLs.

    results/<id>/answer        the answer, with its media type
    results/<id>/error         in its place, why there is none
    results/jobs/<id>.json     a request whose answer takes longer than the client can wait

The bucket's events, or the server on one machine, run the jobs (web/deferred_jobs.py).
"""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import orjson

from lenticular import errors
from lenticular.storage.protocol import Bucket
from lenticular.storage.spool import Spool

RESULTS = "results/"
JOBS = "results/jobs/"
URL_SECONDS = 3600
# The bucket forgets a result after a day, and its URL serves for an hour.
REUSED_SECONDS = 12 * 3600
# A client of API Gateway hangs up after 29 seconds.
SECONDS_IN_ONE_CALL = 20.0
GIVEN_UP_SECONDS = 3 * 3600

_ID = re.compile(r"[0-9a-f]{32}")


class DeferToJob(Exception):
    """The answer is too large, or takes too long, for the client to wait for it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request that was put off: all that its answer depends on."""

    result_id: str
    path: str
    query: str
    scheme: str
    root_path: str
    host: str
    accept: str | None = None


@dataclass(frozen=True, slots=True)
class ResultHeaders:
    """What the bucket says of a result beside its bytes."""

    media_type: str
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error."""

    status: int
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class ResultState:
    """How far a result has come: it has a URL, or it failed, or it is being made."""

    url: str | None = None
    failure: Failure | None = None


def result_id(*identity: str | None) -> str:
    """The id of the result that these determine; a new one when any of it is not known."""
    if None in identity:
        return secrets.token_hex(16)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:32]


def existing(bucket: Bucket, result: str) -> str | None:
    """The URL of a result that was made not long ago."""
    latest = time.time() - REUSED_SECONDS
    for key, _, changed in bucket.keys(_answer_key(result)):
        if key == _answer_key(result) and changed > latest:
            return bucket.presign(key, URL_SECONDS)
    return None


def write(
    bucket: Bucket,
    result: str,
    pieces: Iterable[bytes],
    about: ResultHeaders,
    largest: int | None = None,
) -> str:
    """Write an answer while it is made; its URL. TooMuchForOneCall when it grows past `largest`."""
    key = _answer_key(result)
    limited = pieces if largest is None else _limited(pieces, largest)
    bucket.write(key, limited, about.media_type, about.file_name)
    return bucket.presign(key, URL_SECONDS)


def presign_stored(bucket: Bucket, key: str, media_type: str, file_name: str | None = None) -> str:
    """The URL of a file as it is stored; FileNotFoundError when it is gone."""
    bucket.find(key)
    return bucket.presign(key, URL_SECONDS, media_type, file_name)


def enqueue(bucket: Bucket, job: Job) -> None:
    """Have an answer made later, unless that is ordered already."""
    if not is_enqueued(bucket, job.result_id):
        bucket.delete(_error_key(job.result_id))
        _put(bucket, _job_key(job.result_id), orjson.dumps(asdict(job)))


def is_enqueued(bucket: Bucket, result: str) -> bool:
    """Whether an answer is to be made, and is not yet."""
    return next(bucket.keys(_job_key(result)), None) is not None


def load_job(bucket: Bucket, key: str) -> Job | None:
    """The job that lies under a key; None when it is done already."""
    try:
        return Job(**orjson.loads(bucket.read(key)))
    except FileNotFoundError:
        return None


def finish(bucket: Bucket, job: Job, failure: Failure | None = None) -> None:
    """The answer of a job is made, or cannot be."""
    if failure is not None:
        _put(bucket, _error_key(job.result_id), orjson.dumps(asdict(failure)))
    bucket.delete(_job_key(job.result_id))


def status(bucket: Bucket, result: str) -> ResultState:
    """How far a result has come; NotFound when nobody has asked for it."""
    unknown = errors.NotFound("There is no such result; they are forgotten after a day.")
    if not _ID.fullmatch(result):
        raise unknown
    # In this order: whoever finishes a job writes its outcome before the job is gone.
    jobs = list(bucket.keys(_job_key(result)))
    there = {key for key, _, _ in bucket.keys(f"{RESULTS}{result}/")}
    if _error_key(result) in there:
        return ResultState(failure=Failure(**orjson.loads(bucket.read(_error_key(result)))))
    if _answer_key(result) in there and not jobs:
        return ResultState(bucket.presign(_answer_key(result), URL_SECONDS))
    if not jobs:
        raise unknown
    if jobs[0][2] < time.time() - GIVEN_UP_SECONDS:
        raise errors.Unavailable("The answer could not be made; ask for less at a time.")
    return ResultState()


def _limited(pieces: Iterable[bytes], largest: int) -> Iterator[bytes]:
    size = 0
    deadline = time.monotonic() + SECONDS_IN_ONE_CALL
    for piece in pieces:
        size += len(piece)
        if size > largest or time.monotonic() > deadline:
            raise DeferToJob
        yield piece


def _answer_key(result: str) -> str:
    return f"{RESULTS}{result}/answer"


def _error_key(result: str) -> str:
    return f"{RESULTS}{result}/error"


def _job_key(result: str) -> str:
    return f"{JOBS}{result}.json"


def _put(bucket: Bucket, key: str, content: bytes) -> None:
    with Spool() as spool:
        spool.write(content)
        bucket.put(key, spool)
