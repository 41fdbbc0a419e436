"""Uploads above the payload limit: clients put files straight into the bucket, by presigned URLs.

The files arrive in the drop folder, `incoming/uploads/<id>/<number>-<size>/<name>`, and are
ingested like all dropped files. The outcome of each is written to `uploads/<id>/<number>.json`
beside the manifest of the upload. A client can ask for the status at any time, and gets fresh URLs
for what has not arrived; so it also resumes an upload.
"""

import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

import orjson

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.protocol import Bucket, UploadedPart, put_bytes

Status = Literal["waiting", "arrived", "stored", "refused"]

MEBIBYTE = 1024 * 1024
MOST_FILES = 1000
# A response with that many URLs, each signed with a session token, is below the payload limit.
MOST_URLS = 1000
LARGEST_FILE = 5 * 1024 * MEBIBYTE
LONGEST_NAME_BYTES = 1024
URL_SECONDS = 3600

_FOLDER = "incoming/uploads/"
_KEY = re.compile(r"incoming/uploads/([\w-]{22})/(\d{1,4})-(\d{1,10})/[^/]+", re.ASCII)
_ID = re.compile(r"[\w-]{22}", re.ASCII)
_LONGEST_KEY_NAME = 64


@dataclass(frozen=True, slots=True)
class RequestedFile:
    """A file that a client means to upload."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadPart:
    """A part of a large file; without a URL if it has arrived."""

    number: int
    size: int
    arrived: bool
    url: str | None = None


@dataclass(frozen=True, slots=True)
class UploadKey:
    """The upload and the file number of an object in the drop folder."""

    upload_id: str
    number: int
    size: int


@dataclass(frozen=True, slots=True)
class UploadOutcome:
    """The outcome of an uploaded file; for a zip both lists may have entries."""

    instances: Sequence[dict[str, str]]
    refusals: Sequence[dict[str, str]]


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """The status of a file of an upload, and the URLs for what is missing."""

    number: int
    name: str
    size: int
    status: Status = "waiting"
    url: str | None = None
    parts: Sequence[UploadPart] = ()
    outcome: UploadOutcome | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload of several files; its URLs are valid until `expires`."""

    upload_id: str
    expires: datetime
    files: Sequence[UploadedFile]

    @property
    def done(self) -> bool:
        """True if every file is stored or refused."""
        return all(file.outcome is not None for file in self.files)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the manifest."""

    number: int
    name: str
    size: int
    key: str
    parts_id: str | None = None


@dataclass(slots=True)
class _Manifest:
    upload_id: str
    files: list[_Entry] = field(default_factory=list)


def begin(services: Services, announced: Sequence[RequestedFile]) -> Upload:
    """Begin an upload of these files; return the URLs to which to put them."""
    bucket = _bucket_of(services)
    part_bytes = services.limits.upload_part_bytes
    _check(announced, part_bytes)
    upload_id = secrets.token_urlsafe(16)
    files = enumerate(announced, 1)
    entries = [
        _Entry(number, file.name, file.size, _key(upload_id, number, file))
        for number, file in files
    ]
    begun = services.threads.map(partial(_with_multipart_id, bucket, part_bytes), entries)
    manifest = _Manifest(upload_id, list(begun))
    put_bytes(bucket, _manifest_key(upload_id), orjson.dumps(asdict(manifest)))
    waiting = [_waiting(bucket, part_bytes, entry, []) for entry in manifest.files]
    return Upload(upload_id, _expiry(), waiting)


def status(services: Services, upload_id: str) -> Upload:
    """Return the status of an upload, with fresh URLs for what has not arrived."""
    bucket = _bucket_of(services)
    manifest = _manifest(bucket, upload_id)
    # In this order: a file that is ingested between the two has its outcome before it is gone.
    arrived = {key for key, _, _ in bucket.keys(f"{_FOLDER}{upload_id}/")}
    outcomes = {key for key, _, _ in bucket.keys(f"uploads/{upload_id}/")}

    def look_at(entry: _Entry) -> UploadedFile:
        if outcome_key(upload_id, entry.number) in outcomes:
            return _ingested(bucket, upload_id, entry)
        if entry.key in arrived:
            return _arrived(entry)
        parts = _parts(bucket, entry)
        if parts is None:
            # Completed, and perhaps ingested, since the lists were made.
            return _find(bucket, upload_id, entry) or _expired(entry)
        return _waiting(bucket, services.limits.upload_part_bytes, entry, parts)

    return Upload(upload_id, _expiry(), list(services.threads.map(look_at, manifest.files)))


def complete(services: Services, upload_id: str, number: int) -> UploadedFile:
    """Complete a file from its parts; raise Conflict if some are missing."""
    bucket = _bucket_of(services)
    entry = next((e for e in _manifest(bucket, upload_id).files if e.number == number), None)
    if entry is None:
        raise errors.NotFound(f"That upload has no file {number}.")
    there = _find(bucket, upload_id, entry)
    if there is not None:
        return there
    if entry.parts_id is None:
        raise errors.Conflict(f"File {number} has not arrived; see GET /uploads/{upload_id}.")
    arrived = _parts(bucket, entry)
    if arrived is None:
        raise errors.Conflict(f"The parts of file {number} have expired: upload it anew.")
    states = _states(services.limits.upload_part_bytes, entry, arrived)
    missing = [str(part.number) for part in states if not part.arrived]
    if missing:
        raise errors.Conflict(f"Parts of file {number} have not arrived: {', '.join(missing)}.")
    with suppress(FileNotFoundError):  # another call was quicker
        bucket.complete_parts(entry.key, entry.parts_id, arrived)
    return _arrived(entry)


def upload_key(key: str) -> UploadKey | None:
    """Return the upload and file of a key of the drop folder, or None."""
    match = _KEY.fullmatch(key)
    return UploadKey(match[1], int(match[2]), int(match[3])) if match else None


def record(bucket: Bucket, key: UploadKey, outcome: UploadOutcome) -> None:
    """Write the outcome of a file, for the status of its upload.

    A stored file stays stored if its URL is used again for another object.
    """
    if outcome.refusals and _was_stored(bucket, key):
        return
    put_bytes(bucket, outcome_key(key.upload_id, key.number), orjson.dumps(asdict(outcome)))


def _was_stored(bucket: Bucket, key: UploadKey) -> bool:
    try:
        content = orjson.loads(bucket.read(outcome_key(key.upload_id, key.number)))
    except FileNotFoundError:
        return False
    return not content["refusals"]


def outcome_key(upload_id: str, number: int) -> str:
    """Return the key of an outcome."""
    return f"uploads/{upload_id}/{number}.json"


def _manifest_key(upload_id: str) -> str:
    return f"uploads/{upload_id}/manifest.json"


def _bucket_of(services: Services) -> Bucket:
    if services.bucket is None:
        raise errors.NotFound(
            "The files are kept in a folder here, so there are no uploads by presigned URLs: "
            "store the files with POST /dicom-web/studies or POST /instances, of any size."
        )
    return services.bucket


def _check(announced: Sequence[RequestedFile], part_bytes: int) -> None:
    if not announced:
        raise errors.InvalidRequest("Name the files to upload, at least one.")
    if len(announced) > MOST_FILES:
        raise errors.TooLarge(f"An upload may have at most {MOST_FILES:,} files; begin several.")
    for number, file in enumerate(announced, 1):
        if file.size > LARGEST_FILE:
            raise errors.TooLarge(f"File {number} is larger than {LARGEST_FILE:,} bytes.")
        if len(file.name.encode()) > LONGEST_NAME_BYTES:
            raise errors.InvalidRequest(
                f"The name of file {number} is longer than {LONGEST_NAME_BYTES:,} bytes."
            )
    urls = sum(max(1, -(-file.size // part_bytes)) for file in announced)
    if urls > MOST_URLS:
        raise errors.TooLarge(
            f"These files have {urls:,} parts of {part_bytes:,} bytes;"
            f" an upload has {MOST_URLS:,} at most. Begin several."
        )


def _key(upload_id: str, number: int, file: RequestedFile) -> str:
    """Return a valid key for any name; its end is readable for people."""
    last = re.split(r"[/\\]", file.name)[-1]
    name = re.sub(r"[^\w.-]", "_", last, flags=re.ASCII)[-_LONGEST_KEY_NAME:].lstrip(".")
    return f"{_FOLDER}{upload_id}/{number}-{file.size}/{name or 'file'}"


def _with_multipart_id(bucket: Bucket, part_bytes: int, entry: _Entry) -> _Entry:
    if entry.size <= part_bytes:
        return entry
    parts_id = bucket.begin_parts(entry.key)
    return _Entry(entry.number, entry.name, entry.size, entry.key, parts_id)


def _manifest(bucket: Bucket, upload_id: str) -> _Manifest:
    unknown = errors.NotFound("There is no such upload; they are forgotten after a week.")
    if not _ID.fullmatch(upload_id):
        raise unknown
    try:
        content = orjson.loads(bucket.read(_manifest_key(upload_id)))
    except FileNotFoundError:
        raise unknown from None
    return _Manifest(upload_id, [_Entry(**entry) for entry in content["files"]])


def _find(bucket: Bucket, upload_id: str, entry: _Entry) -> UploadedFile | None:
    """Return the status of a file that has arrived or was ingested; None if it has not arrived."""
    try:
        bucket.find(entry.key)
    except FileNotFoundError:
        try:
            return _ingested(bucket, upload_id, entry)
        except FileNotFoundError:
            return None
    return _arrived(entry)


def _arrived(entry: _Entry) -> UploadedFile:
    return UploadedFile(entry.number, entry.name, entry.size, "arrived")


def _expired(entry: _Entry) -> UploadedFile:
    refusal = {"file": entry.name, "reason": "Its parts have expired: upload it anew."}
    outcome = UploadOutcome([], [refusal])
    return UploadedFile(entry.number, entry.name, entry.size, "refused", outcome=outcome)


def _ingested(bucket: Bucket, upload_id: str, entry: _Entry) -> UploadedFile:
    content: dict[str, Any] = orjson.loads(bucket.read(outcome_key(upload_id, entry.number)))
    outcome = UploadOutcome(content["instances"], content["refusals"])
    status: Status = "refused" if outcome.refusals else "stored"
    return UploadedFile(entry.number, entry.name, entry.size, status, outcome=outcome)


def _parts(bucket: Bucket, entry: _Entry) -> list[UploadedPart] | None:
    """Return the parts that have arrived; None if the upload of parts is no longer open."""
    if entry.parts_id is None:
        return []
    try:
        return bucket.parts(entry.key, entry.parts_id)
    except FileNotFoundError:
        return None


def _states(part_bytes: int, entry: _Entry, arrived: Iterable[UploadedPart]) -> list[UploadPart]:
    """Return the parts of a file; a part of the wrong size has not arrived."""
    sizes = {part.number: part.size for part in arrived}
    part_sizes = [min(part_bytes, entry.size - at) for at in range(0, entry.size, part_bytes)]
    return [
        UploadPart(number, size, sizes.get(number) == size)
        for number, size in enumerate(part_sizes, 1)
    ]


def _waiting(
    bucket: Bucket, part_bytes: int, entry: _Entry, arrived: Iterable[UploadedPart]
) -> UploadedFile:
    if entry.parts_id is None:
        url = bucket.presign_upload(entry.key, entry.size, URL_SECONDS)
        return UploadedFile(entry.number, entry.name, entry.size, url=url)
    parts = [
        part if part.arrived else _with_url(bucket, entry, part)
        for part in _states(part_bytes, entry, arrived)
    ]
    return UploadedFile(entry.number, entry.name, entry.size, parts=parts)


def _with_url(bucket: Bucket, entry: _Entry, part: UploadPart) -> UploadPart:
    assert entry.parts_id is not None
    url = bucket.presign_part(entry.key, entry.parts_id, part.number, part.size, URL_SECONDS)
    return UploadPart(part.number, part.size, part.arrived, url)


def _expiry() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=URL_SECONDS)
