"""The viewer's files: in a folder of this machine, or of a bucket."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lenticular.services import Services

if TYPE_CHECKING:
    from lenticular.storage.protocol import Storage

_NAME = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ViewerFile:
    """A file of the viewer."""

    name: str
    size: int
    changed_at: float
    """Seconds since 1970."""


class Files(Protocol):
    """The protocol of the viewer's files."""

    def named(self, name: str) -> dict[str, ViewerFile]:
        """Return the file of this name and the compressed one beside it, if they exist."""

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that exists."""


def open_files(services: Services) -> Files:
    """Return the files that the setting `viewer` names: a folder, or `s3://bucket/folder`."""
    storage = services.viewer_storage
    return Folder(Path(services.settings.viewer)) if storage is None else Objects(storage)


class Folder:
    """Files of this machine."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def named(self, name: str) -> dict[str, ViewerFile]:
        """Return the file of this name and the compressed one beside it, if they exist."""
        found = {}
        for each in _wanted(name):
            path = self._root / each
            if path.is_file():
                stat = path.stat()
                found[each] = ViewerFile(each, stat.st_size, stat.st_mtime)
        return found

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that exists."""
        return (self._root / name).read_bytes()


class Objects:
    """Objects of a bucket."""

    def __init__(self, storage: "Storage") -> None:
        self._storage = storage

    def named(self, name: str) -> dict[str, ViewerFile]:
        """Return the file of this name and the compressed one beside it, if they exist."""
        wanted = _wanted(name)
        # Both begin with the name, so that one listing is enough.
        listed = self._storage.keys(name) if wanted else ()
        return {
            key: ViewerFile(key, size, changed_at)
            for key, size, changed_at in listed
            if key in wanted
        }

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that exists."""
        return self._storage.read(name)


def _wanted(name: str) -> tuple[str, ...]:
    """Return the names to look for; none for a path that leads elsewhere."""
    is_name = len(name) <= LONGEST_NAME and _NAME.fullmatch(name) and ".." not in name.split("/")
    return (name, f"{name}.gz") if is_name else ()
