"""The protocol of a storage of files.

A key is a relative path with `/` between its parts. An object is immutable: a key is written
once, read any number of times and deleted at most once. Adapters raise the language's own errors
(`FileNotFoundError` for a missing key, `OSError` for a place that fails).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lenticular.storage.spool import Spool


class Storage(Protocol):
    """A place that keeps files."""

    spool_folder: Path | None
    """The folder for large bodies on their way in; None for the system's temporary folder."""

    def close(self) -> None:
        """End the threads and connections."""

    def put(self, key: str, body: Spool) -> None:
        """Keep the body under the key; when this returns it survives a crash of the machine.

        The spool may be consumed by it (a folder renames the spool's file into place).
        """

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """The bytes from offset, at most length of them, to the end without a length."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The same bytes in pieces of at most a megabyte; a missing key raises at the call."""

    def delete(self, key: str) -> None:
        """Forget the object; a missing key is no error."""

    def release_reserve(self) -> bool:
        """Free the disk space that is kept so that deletes work on a full disk; False for none."""

    def keep_reserve(self) -> None:
        """Take the disk space back, as far as there is room."""

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Key, size in bytes and time of last change (seconds since 1970) of all under a prefix."""


def put_bytes(storage: Storage, key: str, content: bytes) -> None:
    """Keep a small content that is in memory under the key."""
    with Spool() as spool:
        spool.write(content)
        storage.put(key, spool)


@dataclass(frozen=True, slots=True)
class Found:
    """One version of an object, whoever put it there and whatever its key looks like."""

    key: str
    size: int
    etag: str
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class UploadedPart:
    """A part of an object that arrives in parts; the first has the number 1."""

    number: int
    size: int
    etag: str


@runtime_checkable
class Bucket(Storage, Protocol):
    """A storage where others put objects too, and from which they read by presigned URLs."""

    bucket: str
    """The name of the bucket."""
    prefix: str
    """The beginning of the names of all objects in the bucket, before their keys."""

    def find(self, key: str) -> Found:
        """Return the object under any key; raise FileNotFoundError if there is none."""

    def fetch(self, found: Found) -> Spool:
        """Bring it here; `put` of the spool copies inside the service. The caller closes it."""

    def copy(self, found: Found, key: str) -> None:
        """Keep the same bytes under another key, without bringing them here."""

    def discard(self, found: Found) -> None:
        """Forget exactly this version, and not what was put under its key afterwards."""

    def presign(
        self,
        key: str,
        seconds: int = 3600,
        media_type: str | None = None,
        file_name: str | None = None,
    ) -> str:
        """Return a URL from which anybody who has it reads the object for a while."""

    def presign_upload(self, key: str, size: int, seconds: int = 3600) -> str:
        """Return a URL to which anybody who has it puts so many bytes for a while."""

    def begin_parts(self, key: str) -> str:
        """Begin an upload in parts and return its id. The bucket forgets uploads left open."""

    def presign_part(
        self, key: str, upload_id: str, number: int, size: int, seconds: int = 3600
    ) -> str:
        """Return a URL for a part of so many bytes, at least 5 MiB except the last."""

    def parts(self, key: str, upload_id: str) -> list[UploadedPart]:
        """Return the parts that have arrived; FileNotFoundError if the upload is no longer open."""

    def complete_parts(self, key: str, upload_id: str, parts: Iterable[UploadedPart]) -> None:
        """Make one object of these parts."""

    def write(
        self, key: str, pieces: Iterable[bytes], media_type: str, file_name: str | None = None
    ) -> int:
        """Keep what is made piece by piece, of a size nobody knows before; how many bytes it was.

        Nothing is kept when the pieces end with an error.
        """
