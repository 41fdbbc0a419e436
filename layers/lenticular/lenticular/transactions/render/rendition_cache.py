"""Renditions cached in the bucket: a large frame is decoded once, and not for each client.

    renditions/<3 hex>/<study>/<series>/<name of the instance's file>/<entity tag>

A picture lies below the key of its instance, so one listing finds all that are to go with it. It
is a convenience: no failure to read or to write it fails a request.
"""

import logging
from collections.abc import Iterable, Iterator
from os.path import commonpath

from lenticular.errors import LenticularError
from lenticular.index.records import StoredInstance
from lenticular.services import Services
from lenticular.storage.protocol import put_bytes

log = logging.getLogger(__name__)

_FILES, _PICTURES, _ENDING = "instances/", "renditions/", ".dcm"


def get(services: Services, instance: StoredInstance, etag: str) -> bytes | None:
    """Return the picture with this entity tag, None when it is not cached."""
    bucket = services.bucket
    if bucket is None:
        return None
    try:
        return bucket.read(_key(instance, etag))
    except FileNotFoundError:
        return None
    except OSError as error:
        log.warning("a cached picture could not be read: %s", error)
        return None


def put(services: Services, instance: StoredInstance, etag: str, picture: bytes) -> None:
    """Put a picture into the cache, unless its instance was deleted or replaced meanwhile."""
    bucket = services.bucket
    if bucket is None or len(picture) > services.limits.cached_picture_bytes:
        return
    try:
        put_bytes(bucket, _key(instance, etag), picture)
        # A delete removes the row first and lists the renditions then: either its list has this
        # one, or we see now that the row is gone.
        found = services.index.retrieval.locate(instance.target)
        if found is None or found.instance.key != instance.key:
            bucket.delete(_key(instance, etag))
    except (OSError, LenticularError) as error:
        log.warning("a picture could not be cached: %s", error)


def evict(services: Services, keys: Iterable[str]) -> None:
    """Remove the pictures of the instances that had their files under these keys."""
    bucket = services.bucket
    if bucket is None:
        return
    for folders in _by_study(keys):
        # What the folders of a study have in common: that of the study, a series or an instance.
        for key, _, _ in bucket.keys(commonpath(folders) + "/"):
            if key[: key.rindex("/") + 1] in folders:
                bucket.delete(key)


def _by_study(keys: Iterable[str]) -> Iterator[set[str]]:
    studies: dict[str, set[str]] = {}
    for key in keys:
        folder = _folder(key)
        studies.setdefault("/".join(folder.split("/", 3)[:3]), set()).add(folder)
    yield from studies.values()


def _folder(key: str) -> str:
    """Return the folder of the renditions of a file."""
    return f"{_PICTURES}{key.removeprefix(_FILES).removesuffix(_ENDING)}/"


def _key(instance: StoredInstance, etag: str) -> str:
    return _folder(instance.key) + etag.strip('"')
