"""Delete: a study, a series or an instance goes from the index, then its files go.

In this order a crash leaves at most files that no row names, which maintenance sweeps away.
"""

import logging
from collections.abc import Iterable

from lenticular.dicom.model import Target
from lenticular.errors import NotFound, StorageFull, Unavailable
from lenticular.index.records import Removed
from lenticular.services import Services
from lenticular.transactions import deferred_results
from lenticular.transactions.render import rendition_cache

log = logging.getLogger(__name__)


def delete(services: Services, *targets: Target) -> Removed:
    """Delete what the targets name, all or nothing; NotFound when there is nothing."""
    _require_results_to_go(services, targets)
    try:
        removed = services.index.writer.remove(*targets)
    except StorageFull:
        # A delete makes room, so it may use the space that is reserved for it.
        if not services.storage.release_reserve():
            raise
        removed = services.index.writer.remove(*targets)
    if removed is None:
        raise NotFound("There is no such study, series or instance.")
    _forget_new_results(services, targets)
    remove_files(services, removed.keys)
    _remove_returned_rows(services, targets, frozenset(removed.keys))
    services.storage.keep_reserve()
    return removed


def _remove_returned_rows(
    services: Services, targets: Iterable[Target], keys: frozenset[str]
) -> None:
    """Remove rows that a concurrent reindex created again from files now deleted."""
    returned = [
        (instance.target, instance.key)
        for target in targets
        for instance in services.index.retrieval.find(target)
        if instance.key in keys
    ]
    remove_rows_without_file(services, returned)


def remove_rows_without_file(services: Services, files: Iterable[tuple[Target, str]]) -> int:
    """Remove the rows that name a file that is not there; return how many were."""
    gone = [(target, key) for target, key in files if not has_file(services, key)]
    removed = services.index.writer.remove_rows_of_files(gone) if gone else None
    return len(removed.keys) if removed else 0


def has_file(services: Services, key: str) -> bool:
    """Return True if there is a file under the key."""
    try:
        services.storage.read(key, 0, 1)
    except FileNotFoundError:
        return False
    return True


def _require_results_to_go(services: Services, targets: Iterable[Target]) -> None:
    """Remove the responses in the bucket before anything else: they must not outlive the study."""
    try:
        _forget_results(services, targets)
    except OSError as error:
        log.exception("responses made of a study cannot be removed")
        raise Unavailable(
            "The storage does not answer now, so nothing was deleted; try again in a moment."
        ) from error


def _forget_new_results(services: Services, targets: Iterable[Target]) -> None:
    """Remove the responses that were made until the rows were gone."""
    try:
        _forget_results(services, targets)
    except OSError:
        log.exception("responses made of a deleted study could not be removed")


def _forget_results(services: Services, targets: Iterable[Target]) -> None:
    """Remove the responses in the bucket that may hold something of these studies."""
    bucket = services.bucket
    if bucket is not None and services.settings.payload_ceiling:
        deferred_results.forget(bucket, {target.study_instance_uid for target in targets})


def remove_files(services: Services, keys: Iterable[str]) -> None:
    """Remove the files of instances that the index has no more, and their cached pictures.

    They are gone for everybody who asks, so a failure is logged and the rest is swept away. The
    pictures go first, since it is by the file that a sweep finds them.
    """
    keys = list(keys)
    try:
        rendition_cache.evict(services, keys)
    except OSError:
        log.exception("cached pictures of deleted instances could not be removed")
        return
    for key in keys:
        try:
            services.storage.delete(key)
        except OSError:
            log.exception("a deleted file could not be removed")
