"""The services a transaction works with: opens storage and index as configured."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from lenticular.index import Index, InvalidQueryTag
from lenticular.limits import Limits
from lenticular.settings import InvalidSettings, Settings
from lenticular.storage.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

    from lenticular.storage.protocol import Bucket, Storage


Shared = TypeVar("Shared")


@dataclass(frozen=True)
class Services:
    """Settings, storage and index; the first argument of every transaction."""

    settings: Settings
    storage: "Storage"
    index: Index
    limits: Limits = Limits()

    def new_spool(self) -> Spool:
        """Return a spool for a body on its way in, on the file system where it will be kept."""
        return Spool(folder=self.storage.spool_folder)

    @cached_property  # to compare an object with a protocol takes 50 microseconds
    def bucket(self) -> "Bucket | None":
        """The storage, if it is one from which clients read by presigned URLs."""
        from lenticular.storage.protocol import Bucket

        return self.storage if isinstance(self.storage, Bucket) else None

    @cached_property
    def threads(self) -> "ThreadPoolExecutor":
        """The threads for calls that wait for a disk or a bucket, and run side by side.

        None of these calls may wait for another one of them.
        """
        from concurrent.futures import ThreadPoolExecutor

        return ThreadPoolExecutor(self.limits.threads, thread_name_prefix="wait")

    @cached_property
    def viewer_storage(self) -> "Storage | None":
        """The folder of a bucket that has the viewer's files; None if they are on this machine."""
        viewer = self.settings.viewer
        return open_storage(viewer) if viewer.startswith("s3://") else None

    def shared(self, kind: "Callable[[Limits], Shared]") -> Shared:
        """Return the one object of this class that everybody with these services uses."""
        objects: dict[Any, Any] = vars(self).setdefault("_shared", {})
        found: Shared = objects.get(kind) or objects.setdefault(kind, kind(self.limits))
        return found

    def close(self) -> None:
        """End all threads and connections."""
        if "threads" in vars(self):
            self.threads.shutdown(cancel_futures=True)
        for name in ("storage", "viewer_storage"):  # a lazy one may never have been opened
            if storage := vars(self).get(name):
                storage.close()
        self.index.close()


class LazyServices(Services):
    """Services whose storage is opened when it is first needed."""

    def __init__(self, settings: Settings, index: Index, limits: Limits) -> None:
        vars(self).update(settings=settings, index=index, limits=limits)

    @cached_property
    def storage(self) -> "Storage":
        """The files."""
        return open_storage(self.settings.storage_url)


def open_services(
    settings: Settings, limits: Limits = Limits(), *, storage_later: bool = False
) -> Services:
    """Open storage and index as the settings name them."""
    tags = [(each.path, each.level, each.vr, each.private_creator) for each in settings.query_tags]
    try:
        index = Index(settings.index_url, settings.stable_age, tags, limits)
    except InvalidQueryTag as error:
        raise InvalidSettings(f"The setting 'query_tags' is wrong: {error}.") from error
    if storage_later:
        return LazyServices(settings, index, limits)
    return Services(settings, open_storage(settings.storage_url), index, limits)


def open_storage(url: str) -> "Storage":
    """Return the storage adapter for a URL: `file:///folder` or `s3://bucket/prefix`."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        from lenticular.storage.folder import FolderStorage

        return FolderStorage(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from lenticular.storage.s3 import S3Storage

        return S3Storage(parts.netloc, unquote(parts.path))
    raise InvalidSettings(
        f"The storage {url!r} should be a URL: file:///var/lib/lenticular or s3://bucket/prefix."
    )
