"""The viewer's files: in a folder of this machine, or of a bucket."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lenticular.services import open_storage

if TYPE_CHECKING:
    from lenticular.storage.protocol import Storage

BUCKET = "s3://"
_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Known:
    """A file that is there."""

    name: str
    size: int
    moment: float
    """When it was last changed."""


class Files(Protocol):
    """The protocol of the viewer's files."""

    def named(self, name: str) -> dict[str, Known]:
        """The file of this name and the compressed one beside it, as far as they are there."""

    def read(self, name: str) -> bytes:
        """The bytes of a file that is there."""


@lru_cache(maxsize=4)
def open_files(place: str) -> Files:
    """The files at a place: a folder's path, or `s3://bucket/folder`."""
    return Objects(open_storage(place)) if place.startswith(BUCKET) else Folder(Path(place))


class Folder:
    """Files of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def named(self, name: str) -> dict[str, Known]:
        """The file of this name and the compressed one beside it, as far as they are there."""
        found = {}
        for each in _wanted(name):
            path = self._root / each
            if path.is_file():
                about = path.stat()
                found[each] = Known(each, about.st_size, about.st_mtime)
        return found

    def read(self, name: str) -> bytes:
        """The bytes of a file that is there."""
        return (self._root / name).read_bytes()


class Objects:
    """Objects of a bucket."""

    def __init__(self, storage: "Storage") -> None:
        self._storage = storage

    def named(self, name: str) -> dict[str, Known]:
        """The file of this name and the compressed one beside it, as far as they are there."""
        wanted = _wanted(name)
        # Both begin with the name, so that one question is enough.
        listed = self._storage.keys(name) if wanted else ()
        return {key: Known(key, size, moment) for key, size, moment in listed if key in wanted}

    def read(self, name: str) -> bytes:
        """The bytes of a file that is there."""
        return self._storage.read(name)


def _wanted(name: str) -> tuple[str, ...]:
    """The names to look for; none for what leads elsewhere."""
    is_name = len(name) <= LONGEST_NAME and _NAME.fullmatch(name) and ".." not in name.split("/")
    return (name, f"{name}.gz") if is_name else ()
