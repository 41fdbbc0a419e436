"""Query tags: what a configuration adds to the keys of searches, and how far it is with each.

They are described in the shape of Azure Health Data Services' DICOM service v2, where they
are called extended query tags.
"""

from collections.abc import Iterator
from typing import Any

from lenticular.dicom.search_attributes import path_of
from lenticular.errors import NotFound
from lenticular.services import Services


def all_query_tags(services: Services) -> Iterator[dict[str, Any]]:
    """Yield the tags that are configured or not yet removed, by their paths."""
    known = services.index.query_tag_registry.registered()
    for each in known:
        yield _described(each.path, each.vr, each.creator, each.level, each.status)
    registered = {each.tag_id for each in known}
    for tag in services.index.query_tags:
        if tag.tag_id not in registered:  # the first step is still to come
            yield _described(tag.name, tag.vr, tag.creator, tag.level, "Adding")


def query_tag(services: Services, name: str) -> dict[str, Any]:
    """Return the tag of this path, by tags or keywords."""
    path = ".".join(path_of(name) or ())
    found = [tag for tag in all_query_tags(services) if tag["Path"] == path]
    # With another VR or level it is there twice while what it was before is removed.
    for tag in sorted(found, key=lambda tag: tag["Status"] == "Deleting"):
        return tag
    raise NotFound("No such query tag is configured.")


def _described(path: str, vr: str, creator: str, level: str, status: str) -> dict[str, Any]:
    described = {"Path": path, "VR": vr, "Level": level, "Status": status, "QueryStatus": "Enabled"}
    if creator:
        described["PrivateCreator"] = creator
    return described
