"""Write objects of unknown size by S3 multipart uploads, in constant memory.

An object that fits in one part is put in one request.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

# 10,000 parts make an object at most: 80 GB. Three are on their way and one is being filled.
PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 3
# Only the client may cache patient data, and it must revalidate them.
CACHE_CONTROL = "private, no-cache"


def disposition(file_name: str | None) -> str:
    """Return the Content-Disposition: save as a file of this name, or show."""
    return f'attachment; filename="{file_name}"' if file_name else "inline"


class MultipartWriter:
    """The upload of one object."""

    def __init__(
        self, client: "S3Client", bucket: str, key: str, threads: ThreadPoolExecutor
    ) -> None:
        self._client = client
        self._threads = threads
        self._bucket = bucket
        self._key = key
        self._sent: list[CompletedPartTypeDef] = []
        self._waiting: deque[Future[CompletedPartTypeDef]] = deque()

    def write(self, pieces: Iterable[bytes], media_type: str, disposition: str) -> int:
        """Write the pieces; return the size. If they end with an error, nothing is stored."""
        parts = _parts(pieces)
        first, second = next(parts, b""), next(parts, None)
        if second is None:
            self._client.put_object(
                Bucket=self._bucket,
                Key=self._key,
                Body=first,
                ContentType=media_type,
                ContentDisposition=disposition,
                CacheControl=CACHE_CONTROL,
            )
            return len(first)
        upload_id = self._client.create_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            ContentType=media_type,
            ContentDisposition=disposition,
            CacheControl=CACHE_CONTROL,
        )["UploadId"]
        try:
            return self._write_parts(chain([first, second], parts), upload_id)
        except BaseException:
            with suppress(BotoCoreError, ClientError):  # the bucket forgets it after a while anyway
                self._client.abort_multipart_upload(
                    Bucket=self._bucket, Key=self._key, UploadId=upload_id
                )
            raise

    def _write_parts(self, parts: Iterable[bytes], upload_id: str) -> int:
        size = 0
        try:
            for number, part in enumerate(parts, 1):
                size += len(part)
                self._waiting.append(self._threads.submit(self._send, upload_id, number, part))
                if len(self._waiting) >= PARTS_AT_ONCE:
                    self._sent.append(self._waiting.popleft().result())
            self._sent += [part.result() for part in self._waiting]
        finally:
            # After an error no part may be on its way when the upload is given up.
            for waiting in self._waiting:
                waiting.cancel()
            wait(self._waiting)
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=upload_id,
            MultipartUpload={"Parts": self._sent},
        )
        return size

    def _send(self, upload_id: str, number: int, part: bytes) -> "CompletedPartTypeDef":
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=upload_id,
            PartNumber=number,
            Body=part,
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts of PART_BYTES; the last may be smaller."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    if waiting:
        yield bytes(waiting)
