"""Query tags: what a configuration adds to the keys of searches, and how far it is with each.

`index_query_tags` reads their values from what was stored before they were configured, out of the
documents of the index and never from files, and removes those of tags that are configured no more.
It can be stopped at any moment and called again. The shape in which they are told is that of Azure
Health Data Services' DICOM service v2, where they are called extended query tags.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from lenticular.dicom.attributes import path_of
from lenticular.errors import NotFound
from lenticular.services import Services
from lenticular.transactions.maintain import never

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Indexed:
    """How many studies were looked through, and whether nothing is left to be done."""

    studies: int
    complete: bool


def index_query_tags(services: Services, should_stop: Callable[[], bool] = never) -> Indexed:
    """Go on with what is to be done for query tags.

    Not complete without a stop when others may still store as they were configured before: then
    there is one more look when an hour has passed.
    """
    looked_through = 0
    while not should_stop():
        taken = services.index.advance_query_tags()
        if taken is None:
            break
        looked_through += taken
    complete = not services.index.has_pending_query_tags()
    if looked_through:
        log.info("indexed", extra={"counts": {"indexed": looked_through}})
    return Indexed(looked_through, complete)


def all_query_tags(services: Services) -> Iterator[dict[str, Any]]:
    """The tags that are configured or not yet removed, by their paths."""
    known = services.index.registered_query_tags()
    for each in known:
        yield _described(each.path, each.vr, each.creator, each.level, each.status)
    registered = {each.tag_id for each in known}
    for tag in services.index.query_tags:
        if tag.tag_id not in registered:  # the first step is still to come
            yield _described(tag.name, tag.vr, tag.creator, tag.level, "Adding")


def query_tag(services: Services, name: str) -> dict[str, Any]:
    """The tag of this path, by tags or keywords."""
    path = ".".join(path_of(name) or ())
    for tag in all_query_tags(services):
        if tag["Path"] == path:
            return tag
    raise NotFound("No such attribute is configured to be searched for.")


def _described(path: str, vr: str, creator: str, level: str, status: str) -> dict[str, Any]:
    described = {"Path": path, "VR": vr, "Level": level, "Status": status, "QueryStatus": "Enabled"}
    if creator:
        described["PrivateCreator"] = creator
    return described
