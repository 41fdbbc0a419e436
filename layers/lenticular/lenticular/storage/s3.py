"""Files in a bucket of S3, or of anything that speaks its API.

Every write carries a checksum that the service verifies before it stores the object. A spool that
`fetch` returned is put by a copy inside the service, not sent again.
"""

import base64
import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from lenticular.storage.protocol import Found, UploadedPart
from lenticular.storage.s3_errors import FailFast, PastTheEnd, archived, is_missing, own_errors
from lenticular.storage.s3_writer import CACHE_CONTROL, MultipartWriter, disposition
from lenticular.storage.spool import Spool

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import (
        CompletedPartTypeDef,
        CopySourceTypeDef,
        GetObjectOutputTypeDef,
        HeadObjectOutputTypeDef,
    )

MEBIBYTE = 1024 * 1024
PIECE_BYTES = MEBIBYTE
# One request up to here; parts of this size, several at a time, above.
PART_BYTES = 16 * MEBIBYTE
# A copy inside the service moves no bytes through us, so its parts can be large.
COPY_PART_BYTES = 64 * MEBIBYTE
LONGEST_KEY_BYTES = 1024
PAGE_KEYS = 1000
STREAM_ATTEMPTS = 4
SENDERS = 12
"""Threads that send parts of objects; each object in the making uses three at most."""

RETRIES = 2
CONNECT_SECONDS = 3
READ_SECONDS = 7
COPY_SECONDS = 60
"""A copy is answered once it is made; no client waits for one, but the drop folder's function."""

DEFAULT_EXPIRY_SECONDS = 3600

_UPLOAD = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)
_COPY = TransferConfig(multipart_threshold=4 * COPY_PART_BYTES, multipart_chunksize=COPY_PART_BYTES)
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes from which nothing is read at once; from the other ones all is."""

_INTERRUPTED = (IncompleteReadError, ResponseStreamingError)


class FetchedSpool(Spool):
    """A downloaded object of the bucket, and the version from which it came."""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self.found = found


class S3Storage:
    """Objects below a prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str = "", page_keys: int = PAGE_KEYS) -> None:
        self.bucket = bucket
        self.prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        # Bodies on their way in go to the system's temporary folder, /tmp in Lambda.
        self.spool_folder: Path | None = None
        self.client = make_client()
        self._page_keys = page_keys
        self._sending = ThreadPoolExecutor(SENDERS, thread_name_prefix="send")

    def close(self) -> None:
        """End the threads and connections."""
        self._sending.shutdown(cancel_futures=True)
        self.client.close()
        if "_copier" in self.__dict__:
            self._copier.close()

    @cached_property
    def _copier(self) -> "S3Client":
        return make_client(COPY_SECONDS)

    def release_reserve(self) -> bool:
        """Return False: a bucket is never full."""
        return False

    def keep_reserve(self) -> None:
        """Do nothing: a bucket is never full."""

    def put(self, key: str, body: Spool) -> None:
        """Send the body; the service stores it only if the checksum matches."""
        name = self._name(key)
        with own_errors(key):
            if isinstance(body, FetchedSpool):
                self.copy(body.found, key)
            elif body.size <= PART_BYTES:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=name,
                    # A bytes body is hashed and sent as it is; small ones are one piece anyway.
                    Body=bytes(body.view()),
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=base64.b64encode(body.sha256()).decode(),
                )
            else:
                self._send_in_parts(body, name)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return at most `length` bytes from `offset`; without a length, all to the end."""
        return b"".join(self.stream(key, offset, length))

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield these bytes in pieces of a megabyte at most; a missing key raises at the call."""
        return self._stream(self._name(key), offset, length)

    def delete(self, key: str) -> None:
        """Delete the object; a missing key is no error."""
        with own_errors(key):
            self.client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Yield key, size in bytes and time of change (seconds since 1970) of all with a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket,
            Prefix=self.prefix + prefix,
            PaginationConfig={"PageSize": self._page_keys},
        )
        with own_errors(prefix):
            for page in pages:
                for item in page.get("Contents", []):
                    key = item["Key"].removeprefix(self.prefix)
                    yield key, item["Size"], item["LastModified"].timestamp()

    def find(self, key: str) -> Found:
        """Return the object under any key; FileNotFoundError if there is none, or Archived."""
        with own_errors(key):
            head = self.client.head_object(Bucket=self.bucket, Key=self.prefix + key)
        if _is_archived(head):
            raise archived()
        # Without versioning the service says nothing, or "null".
        version_id = head.get("VersionId")
        return Found(
            key,
            head["ContentLength"],
            head["ETag"],
            version_id if version_id != "null" else None,
        )

    def fetch(self, found: Found) -> FetchedSpool:
        """Download the object; `put` of it copies inside the service. The caller closes it."""
        name = self.prefix + found.key
        spool = FetchedSpool(found)
        try:
            answer = self._get(name, 0, None, found.etag)
            for piece in self._pieces(name, answer, 0, found.size):
                spool.write(piece)
        except BaseException:
            spool.close()
            raise
        return spool

    def copy(self, found: Found, key: str) -> None:
        """Copy the object to another key, inside the service."""
        source: CopySourceTypeDef = {"Bucket": self.bucket, "Key": self.prefix + found.key}
        if found.version_id is not None:
            source["VersionId"] = found.version_id
        arguments = {
            # The copy fails if the object is no longer the one that was found.
            "CopySourceIfMatch": found.etag,
            # Tags would need more rights, and headers are for clients.
            "TaggingDirective": "REPLACE",
            "MetadataDirective": "REPLACE",
        }
        with own_errors(key):
            self._copier.copy(
                source, self.bucket, self._name(key), ExtraArgs=arguments, Config=_COPY
            )

    def discard(self, found: Found) -> None:
        """Delete exactly this version, not an object that was put under its key afterwards."""
        name = self.prefix + found.key
        with own_errors(found.key):
            if found.version_id is not None:
                self.client.delete_object(Bucket=self.bucket, Key=name, VersionId=found.version_id)
            elif self._etag(name) == found.etag:
                self.client.delete_object(Bucket=self.bucket, Key=name)

    def presign(
        self,
        key: str,
        seconds: int = DEFAULT_EXPIRY_SECONDS,
        media_type: str | None = None,
        file_name: str | None = None,
    ) -> str:
        """Return a URL with which anybody can read the object for a while."""
        parameters = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "ResponseCacheControl": CACHE_CONTROL,
        }
        if media_type is not None:
            parameters["ResponseContentType"] = media_type
        if file_name is not None:
            parameters["ResponseContentDisposition"] = disposition(file_name)
        return self.client.generate_presigned_url("get_object", parameters, seconds)

    def presign_upload(self, key: str, size: int, seconds: int = DEFAULT_EXPIRY_SECONDS) -> str:
        """Return a URL to which anybody can put `size` bytes, once or again, for a while."""
        # The length is signed, so the service accepts no other.
        parameters = {"Bucket": self.bucket, "Key": self._name(key), "ContentLength": size}
        return self.client.generate_presigned_url("put_object", parameters, seconds)

    def begin_parts(self, key: str) -> str:
        """Begin an upload in parts; return its id. The bucket deletes it if it is left open."""
        with own_errors(key):
            begun = self.client.create_multipart_upload(Bucket=self.bucket, Key=self._name(key))
        return begun["UploadId"]

    def presign_part(
        self,
        key: str,
        upload_id: str,
        number: int,
        size: int,
        seconds: int = DEFAULT_EXPIRY_SECONDS,
    ) -> str:
        """Return a URL for a part of `size` bytes; all but the last have at least 5 MiB."""
        parameters = {
            "Bucket": self.bucket,
            "Key": self._name(key),
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size,
        }
        return self.client.generate_presigned_url("upload_part", parameters, seconds)

    def parts(self, key: str, upload_id: str) -> list[UploadedPart]:
        """Return the parts that have arrived; raise FileNotFoundError if the upload is not open."""
        pages = self.client.get_paginator("list_parts").paginate(
            Bucket=self.bucket, Key=self._name(key), UploadId=upload_id
        )
        with own_errors(key):
            return [
                UploadedPart(part["PartNumber"], part["Size"], part["ETag"])
                for page in pages
                for part in page.get("Parts", [])
            ]

    def complete_parts(self, key: str, upload_id: str, parts: Iterable[UploadedPart]) -> None:
        """Complete the object from these parts."""
        listed: list[CompletedPartTypeDef] = [
            {"PartNumber": part.number, "ETag": part.etag} for part in parts
        ]
        with own_errors(key):
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self._name(key),
                UploadId=upload_id,
                MultipartUpload={"Parts": listed},
            )

    def write(
        self, key: str, pieces: Iterable[bytes], media_type: str, file_name: str | None = None
    ) -> int:
        """Store a stream of unknown length; return its size.

        Nothing is stored if the pieces end with an error.
        """
        with own_errors(key):
            writer = MultipartWriter(self.client, self.bucket, self._name(key), self._sending)
            return writer.write(pieces, media_type, disposition(file_name))

    def _name(self, key: str) -> str:
        parts = key.split("/")
        if not all(parts) or ".." in parts or "." in parts or "\0" in key:
            raise ValueError(f"not a key: {key!r}")
        name = self.prefix + key
        if len(name.encode()) > LONGEST_KEY_BYTES:
            raise ValueError(f"not a key: longer than {LONGEST_KEY_BYTES} bytes")
        return name

    def _send_in_parts(self, body: Spool, name: str) -> None:
        # Each part carries a CRC, which botocore adds and the service verifies.
        if body.path is not None:
            self.client.upload_file(str(body.path), self.bucket, name, Config=_UPLOAD)
        else:
            self.client.upload_fileobj(io.BytesIO(body.view()), self.bucket, name, Config=_UPLOAD)

    def _etag(self, name: str) -> str | None:
        try:
            return self.client.head_object(Bucket=self.bucket, Key=name)["ETag"]
        except ClientError as error:
            if is_missing(error):
                return None
            raise

    def _stream(self, name: str, offset: int, length: int | None) -> Iterator[bytes]:
        if length is not None and length <= 0:
            return iter(())
        try:
            answer = self._get(name, offset, length)
        except PastTheEnd:
            return iter(())
        return self._pieces(name, answer, offset, answer["ContentLength"])

    def _get(
        self, name: str, offset: int, length: int | None, etag: str | None = None
    ) -> "GetObjectOutputTypeDef":
        options: dict[str, Any] = {"Bucket": self.bucket, "Key": name}
        if offset or length is not None:
            end = "" if length is None else offset + length - 1
            options["Range"] = f"bytes={offset}-{end}"
        if etag is not None:
            options["IfMatch"] = etag
        with own_errors(name):
            return self.client.get_object(**options)

    def _pieces(
        self, name: str, answer: "GetObjectOutputTypeDef", offset: int, length: int
    ) -> Iterator[bytes]:
        """Yield the body of a response; if the connection breaks, ask for the rest."""
        attempts = 1
        while length:
            with own_errors(name), closing(answer["Body"]) as body:
                try:
                    while piece := body.read(min(PIECE_BYTES, length)):
                        yield piece
                        offset += len(piece)
                        length -= len(piece)
                except _INTERRUPTED:
                    attempts += 1
                    if attempts > STREAM_ATTEMPTS:
                        raise
            if length:
                answer = self._get(name, offset, length, answer["ETag"])


def _is_archived(head: "HeadObjectOutputTypeDef") -> bool:
    """Return True if an object is archived and no restored copy of it exists."""
    in_archive = head.get("StorageClass") in _ARCHIVES or "ArchiveStatus" in head
    return in_archive and 'ongoing-request="false"' not in head.get("Restore", "")


def make_client(read_seconds: int = READ_SECONDS) -> "S3Client":
    """Return a client configured by AWS's own environment variables and files."""
    client = _client("virtual", read_seconds)
    if ".amazonaws." not in (urlsplit(client.meta.endpoint_url).hostname or ""):
        # Elsewhere no name server knows a host for each bucket.
        client = _client("path", read_seconds)
    FailFast(client)
    return client


def _client(addressing_style: Any, read_seconds: int) -> "S3Client":
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": addressing_style},
        # A hung service is given up within 25 seconds, so that API Gateway (29 s) can still answer.
        retries={"mode": "standard", "max_attempts": RETRIES},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=32,
        tcp_keepalive=True,
    )
    client: S3Client = boto3.client("s3", config=config)
    return client
