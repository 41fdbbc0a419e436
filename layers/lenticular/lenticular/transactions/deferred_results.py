"""Responses above the payload limit: stored in the bucket for a day, read by presigned URLs.

    results/<id>/answer        the answer, with its media type
    results/<id>/warnings      what it leaves out, if anything
    results/<id>/error         in its place, the error
    results/<id>/made-as       in its place, the id under which the same result is stored
    results/studies/<hash>/    the ids of the results that contain something of a study
    results/jobs/<id>.json     a request whose answer takes longer than the client can wait

The bucket's events, or the server on one machine, run the jobs (web/deferred_jobs.py).
"""

import hashlib
import re
import secrets
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NoReturn

import orjson

from lenticular import errors
from lenticular.storage.protocol import Bucket, put_bytes

RESULTS = "results/"
JOBS = "results/jobs/"
STUDIES = "results/studies/"
URL_SECONDS = 3600
# The bucket forgets a result after a day, and its URL serves for an hour.
REUSED_SECONDS = 12 * 3600
GIVEN_UP_SECONDS = 3600
"""A function has a quarter of an hour for a job; one this old lost its event or its function."""

SECONDS_TO_JUDGE = 3.0
"""Seconds after which the time that a response will take can be estimated."""
DOUBT = 1.5
"""The work may become so many times quicker than it was until then."""

_ID = re.compile(r"[0-9a-f]{32}")
_DELETED = "deleted-"
_ANY_STUDY = ""
"""In place of the studies of a result that may hold something of any, such as that of a search."""


class DeferToJob(Exception):
    """The answer is too large, or takes too long, for the client to wait for it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A deferred request: all that its response depends on."""

    result_id: str
    path: str
    query: str
    scheme: str
    root_path: str
    host: str
    accept: str | None = None


@dataclass(frozen=True, slots=True)
class ResultDescription:
    """The media type and the file name of a result, and the studies of which it holds something.

    `begun` is the time of `time.monotonic()` before the index was asked what they hold.
    """

    media_type: str
    file_name: str | None = None
    studies: Sequence[str] = ()
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is an error."""

    status: int
    media_type: str
    body: str


@dataclass(frozen=True, slots=True)
class Result:
    """An answer in the bucket: a URL to read it from, and what it leaves out."""

    url: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultState:
    """The state of a deferred result: made, failed, or being made."""

    result: Result | None = None
    failure: Failure | None = None


def result_id(*identity: str | None) -> str:
    """Return a hash of these parts of a request; a random id if any of them is None."""
    if None in identity:
        return secrets.token_hex(16)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:32]


def existing(bucket: Bucket, result: str) -> Result | None:
    """Return a result that was made not long ago."""
    found = {key: changed for key, _, changed in bucket.keys(_folder(result))}
    if found.get(_answer_key(result), 0.0) <= time.time() - REUSED_SECONDS:
        return None
    return _result(bucket, result, found)


def write(
    bucket: Bucket,
    result: str,
    pieces: Iterable[bytes],
    about: ResultDescription,
    warnings: Callable[[], Sequence[str]] = tuple,
) -> Result:
    """Write an answer while it is made; `warnings` are asked for when it is.

    Unavailable when something of these studies was deleted meanwhile, which may be in it.
    """
    studies = about.studies or [_ANY_STUDY]
    for study in studies:
        put_bytes(bucket, f"{_study_folder(study)}{result}", result.encode())
    registered_after = time.monotonic() - about.begun if about.studies else 0.0
    bucket.write(_answer_key(result), pieces, about.media_type, about.file_name)
    if any(_is_deleted(bucket, study, result, registered_after) for study in studies):
        bucket.delete(_answer_key(result))
        raise errors.Unavailable("Something of the study was just deleted; ask again.", 2)
    found = tuple(warnings())
    if found:
        put_bytes(bucket, _warnings_key(result), orjson.dumps(found))
    return Result(bucket.presign(_answer_key(result), URL_SECONDS), found)


def forget(bucket: Bucket, studies: Iterable[str]) -> None:
    """Remove the results that may hold something of these studies, which was deleted.

    A writer registers its result first and checks for deletes last, so either it sees this delete
    or this delete sees its result.
    """
    for study in studies:
        put_bytes(bucket, f"{_study_folder(study)}{_DELETED}{secrets.token_hex(8)}", b"deleted")
        _remove_results(bucket, study)
    _remove_results(bucket, _ANY_STUDY)


def _remove_results(bucket: Bucket, study: str) -> None:
    for key, _, _ in list(bucket.keys(_study_folder(study))):
        result = key.rpartition("/")[2]
        if _ID.fullmatch(result):
            bucket.delete(_answer_key(result))
            bucket.delete(_warnings_key(result))
            bucket.delete(key)


def presign_stored(bucket: Bucket, key: str, media_type: str, file_name: str | None = None) -> str:
    """Return the URL of a file as it is stored; FileNotFoundError when it is gone."""
    bucket.find(key)
    return bucket.presign(key, URL_SECONDS, media_type, file_name)


def enqueue(bucket: Bucket, job: Job) -> None:
    """Put a job into the queue, unless it is there already."""
    if not is_enqueued(bucket, job.result_id):
        bucket.delete(_error_key(job.result_id))
        bucket.delete(_made_as_key(job.result_id))
        put_bytes(bucket, _job_key(job.result_id), orjson.dumps(asdict(job)))


def is_enqueued(bucket: Bucket, result: str) -> bool:
    """Return True if a result is enqueued, not made yet, and not given up."""
    return any(not _is_given_up(changed) for _, _, changed in bucket.keys(_job_key(result)))


def load_job(bucket: Bucket, key: str) -> Job | None:
    """Return the job with this key; None if it is done already."""
    try:
        return Job(**orjson.loads(bucket.read(key)))
    except FileNotFoundError:
        return None


def finish(
    bucket: Bucket, job: Job, made_as: str | None = None, failure: Failure | None = None
) -> None:
    """End a job: its answer is filed under an id, or cannot be made."""
    if failure is not None:
        put_bytes(bucket, _error_key(job.result_id), orjson.dumps(asdict(failure)))
    elif made_as not in (None, job.result_id):
        put_bytes(bucket, _made_as_key(job.result_id), str(made_as).encode())
    bucket.delete(_job_key(job.result_id))


def status(bucket: Bucket, result: str) -> ResultState:
    """Return the state of a result; raise NotFound if it was never asked for."""
    unknown = errors.NotFound("There is no such result; results are deleted after a day.")
    if not _ID.fullmatch(result):
        raise unknown
    # In this order: a job's outcome is written before the job is removed.
    jobs = list(bucket.keys(_job_key(result)))
    there = {key for key, _, _ in bucket.keys(_folder(result))}
    if _error_key(result) in there:
        return ResultState(failure=Failure(**orjson.loads(bucket.read(_error_key(result)))))
    if not jobs:
        return ResultState(_made(bucket, result, there) or _raise(unknown))
    if _is_given_up(jobs[0][2]):
        raise errors.Unavailable(
            "The answer was not made; ask for it again, or for less at a time."
        )
    return ResultState()


def limited(
    pieces: Iterable[bytes], largest: int, deadline: float, expected: int = 0
) -> Iterator[bytes]:
    """Yield the pieces; raise DeferToJob when they grow too large or will take too long.

    A job begins anew, so what cannot be done by the deadline, as far as can be told from the
    `expected` size, is given up soon.
    """
    started = time.monotonic()
    size = 0
    for piece in pieces:
        size += len(piece)
        now = time.monotonic()
        if size > largest or now > deadline:
            raise DeferToJob
        if now - started > SECONDS_TO_JUDGE and size < expected:
            left = (now - started) * (expected - size) / max(size, 1)
            if now + left / DOUBT > deadline:
                raise DeferToJob
        yield piece


def _is_given_up(enqueued_at: float) -> bool:
    return enqueued_at < time.time() - GIVEN_UP_SECONDS


def _made(bucket: Bucket, result: str, there: Container[str]) -> Result | None:
    """Return the answer of a job that has ended, wherever it is filed."""
    if _answer_key(result) in there:
        return _result(bucket, result, there)
    if _made_as_key(result) not in there:
        return None
    filed = bucket.read(_made_as_key(result)).decode()
    found = {key for key, _, _ in bucket.keys(_folder(filed))}
    return _result(bucket, filed, found) if _answer_key(filed) in found else None


def _result(bucket: Bucket, result: str, there: Container[str]) -> Result:
    key = _warnings_key(result)
    warnings = orjson.loads(bucket.read(key)) if key in there else ()
    return Result(bucket.presign(_answer_key(result), URL_SECONDS), tuple(warnings))


def _is_deleted(bucket: Bucket, study: str, result: str, registered_after: float) -> bool:
    """Return True if something of the study was deleted since the index was read.

    The index was read `registered_after` seconds before the result was registered.
    """
    found = {key: changed for key, _, changed in bucket.keys(_study_folder(study))}
    registered = found.get(f"{_study_folder(study)}{result}")
    if registered is None:
        return True
    deletes = f"{_study_folder(study)}{_DELETED}"
    begun = registered - registered_after - 1  # a bucket has whole seconds
    return any(changed >= begun for key, changed in found.items() if key.startswith(deletes))


def _raise(error: Exception) -> NoReturn:
    raise error


def _folder(result: str) -> str:
    return f"{RESULTS}{result}/"


def _answer_key(result: str) -> str:
    return f"{_folder(result)}answer"


def _warnings_key(result: str) -> str:
    return f"{_folder(result)}warnings"


def _error_key(result: str) -> str:
    return f"{_folder(result)}error"


def _made_as_key(result: str) -> str:
    return f"{_folder(result)}made-as"


def _study_folder(study_instance_uid: str) -> str:
    return f"{STUDIES}{hashlib.sha256(study_instance_uid.encode()).hexdigest()[:32]}/"


def _job_key(result: str) -> str:
    return f"{JOBS}{result}.json"
