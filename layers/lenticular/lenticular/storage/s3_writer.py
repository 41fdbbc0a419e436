"""Objects that are written while they are made: in constant memory, some parts on their way.

What S3 knows as a multipart upload; an object that fits in one part is put as it is.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

# 10,000 parts make an object at most: 80 GB. Three are on their way and one is being filled.
PART_BYTES = 8 * 1024 * 1024
PARTS_AT_ONCE = 3
# Nobody but the asking client may keep patient data, and it asks whether it is still current.
CACHE_CONTROL = "private, no-cache"


def write(
    client: "S3Client", bucket: str, key: str, pieces: Iterable[bytes], media_type: str
) -> int:
    """Write the pieces as one object; its size. When they end with an error nothing is kept."""
    parts = _parts(pieces)
    first, second = next(parts, b""), next(parts, None)
    if second is None:
        client.put_object(
            Bucket=bucket, Key=key, Body=first, ContentType=media_type, CacheControl=CACHE_CONTROL
        )
        return len(first)
    upload_id = client.create_multipart_upload(
        Bucket=bucket, Key=key, ContentType=media_type, CacheControl=CACHE_CONTROL
    )["UploadId"]
    writer = _Writer(client, bucket, key, upload_id)
    try:
        return writer.write([first, second], parts)
    except BaseException:
        with suppress(BotoCoreError, ClientError):  # the bucket forgets it after a while anyway
            client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise


class _Writer:
    """One multipart upload."""

    def __init__(self, client: "S3Client", bucket: str, key: str, upload_id: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._upload_id = upload_id
        self._sent: list[CompletedPartTypeDef] = []
        self._waiting: deque[Future[CompletedPartTypeDef]] = deque()

    def write(self, beginning: Iterable[bytes], rest: Iterable[bytes]) -> int:
        size = 0
        with ThreadPoolExecutor(PARTS_AT_ONCE) as executor:
            for parts in (beginning, rest):
                for part in parts:
                    size += len(part)
                    number = len(self._sent) + len(self._waiting) + 1
                    self._waiting.append(executor.submit(self._send, number, part))
                    if len(self._waiting) >= PARTS_AT_ONCE:
                        self._sent.append(self._waiting.popleft().result())
            self._sent += [part.result() for part in self._waiting]
        self._client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            MultipartUpload={"Parts": self._sent},
        )
        return size

    def _send(self, number: int, part: bytes) -> "CompletedPartTypeDef":
        answer = self._client.upload_part(
            Bucket=self._bucket,
            Key=self._key,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=part,
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _parts(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in parts of exactly that size, but for the last."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PART_BYTES:
            yield bytes(waiting[:PART_BYTES])
            del waiting[:PART_BYTES]
    if waiting:
        yield bytes(waiting)
