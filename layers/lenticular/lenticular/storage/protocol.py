"""The protocol of a storage of files.

A key is a relative path with `/` between its parts. An object is immutable: a key is written
once, read any number of times and deleted at most once. Adapters raise the language's own errors
(`FileNotFoundError` for a missing key, `OSError` for a storage that fails, which may be
`Archived`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from lenticular.storage.spool import Spool


class Archived(OSError):
    """The object was moved to an archive, and can only be read after it has been restored."""


class Storage(Protocol):
    """A storage of immutable files."""

    spool_folder: Path | None
    """The folder for large bodies on their way in; None for the system's temporary folder."""

    def close(self) -> None:
        """End the threads and connections."""

    def put(self, key: str, body: Spool) -> None:
        """Store the body under the key; when this returns it survives a crash of the machine.

        This may consume the spool (a folder renames the spool's file into place).
        """

    def read(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        """Return at most `length` bytes from `offset`; without a length, all to the end."""

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Yield these bytes in pieces of a megabyte at most; a missing key raises at the call."""

    def delete(self, key: str) -> None:
        """Delete the object; a missing key is no error."""

    def release_reserve(self) -> bool:
        """Free the disk space reserved for deletes on a full disk; return False without any."""

    def keep_reserve(self) -> None:
        """Reserve the disk space again if there is room."""

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, float]]:
        """Yield key, size in bytes and time of change (seconds since 1970) of all with a prefix."""


def put_bytes(storage: Storage, key: str, content: bytes) -> None:
    """Store a small content that is in memory."""
    with Spool() as spool:
        spool.write(content)
        storage.put(key, spool)


@dataclass(frozen=True, slots=True)
class Found:
    """One version of an object under any key, also of objects that others put there."""

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
    """A storage in which clients write and read objects directly, by presigned URLs."""

    bucket: str
    """The name of the bucket."""
    prefix: str
    """The beginning of the names of all objects in the bucket, before their keys."""

    def find(self, key: str) -> Found:
        """Return the object under any key; raise FileNotFoundError if there is none.

        Archived if it cannot be read.
        """

    def fetch(self, found: Found) -> Spool:
        """Download the object; `put` of it copies inside the service. The caller closes it."""

    def copy(self, found: Found, key: str) -> None:
        """Copy the object to another key, inside the service."""

    def discard(self, found: Found) -> None:
        """Delete exactly this version, not an object that was put under its key afterwards."""

    def presign(
        self,
        key: str,
        seconds: int = 3600,
        media_type: str | None = None,
        file_name: str | None = None,
    ) -> str:
        """Return a URL with which anybody can read the object for a while."""

    def presign_upload(self, key: str, size: int, seconds: int = 3600) -> str:
        """Return a URL to which anybody can put `size` bytes for a while."""

    def begin_parts(self, key: str) -> str:
        """Begin an upload in parts; return its id. The bucket deletes it if it is left open."""

    def presign_part(
        self, key: str, upload_id: str, number: int, size: int, seconds: int = 3600
    ) -> str:
        """Return a URL for a part of `size` bytes; all but the last have at least 5 MiB."""

    def parts(self, key: str, upload_id: str) -> list[UploadedPart]:
        """Return the parts that have arrived; raise FileNotFoundError if the upload is not open."""

    def complete_parts(self, key: str, upload_id: str, parts: Iterable[UploadedPart]) -> None:
        """Complete the object from these parts."""

    def write(
        self, key: str, pieces: Iterable[bytes], media_type: str, file_name: str | None = None
    ) -> int:
        """Store an object of unknown size piece by piece; return its size.

        Nothing is stored if the pieces end with an error.
        """
