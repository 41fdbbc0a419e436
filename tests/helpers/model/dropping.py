"""What was dropped in a history, and what taking it has done, told from what is left."""

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256

import orjson

from lenticular.index.records import Outcome
from tests.helpers.model.contents import Content, Junk, file_of
from tests.helpers.model.operations import SafelyStored, Stored
from tests.helpers.model.uploading import Uploads
from tests.helpers.model.world import World

Items = tuple[Content | Junk, ...]


class Drops:
    """What may lie in the drop folder: the last file dropped under each name, and those before."""

    def __init__(self, world: World, uploads: Uploads) -> None:
        self._world = world
        self._uploads = uploads
        self._dropped: dict[tuple[str, bytes], Items] = {}
        self._latest: dict[str, bytes] = {}
        self._rejected: dict[str, bytes] = {}

    def add(self, name: str, items: Items) -> None:
        """Note that a file was dropped, or will be at any moment."""
        self._latest[name] = file_of(items)
        self._dropped[name, file_of(items)] = items

    def changes(self, *, is_undisturbed: bool) -> list[Stored]:
        """What processes have done that took what there was."""
        there = self._there()
        rejected = self._world.files("rejected")
        new = self._newly_rejected(rejected)
        changes: list[Stored] = []
        for (name, data), items in list(self._dropped.items()):
            if (name, data) in there:
                changes += _perhaps_stored(items)
                continue
            del self._dropped[name, data]
            if self._latest[name] == data:
                refusals = _refusals(data, new, rejected)
                self._uploads.taken(name, refusals)
                changes += _taken(items, refusals)
            else:  # overwritten, before or after it was read
                changes += _perhaps_stored(items)
        assert not (is_undisturbed and there), f"{sorted(there)} are left in the drop folder"
        return changes

    def _there(self) -> set[tuple[str, bytes]]:
        return {
            (self._world.dropped_name(key.partition("/")[2]), data)
            for key, data in self._world.files("incoming").items()
        }

    def _newly_rejected(self, rejected: dict[str, bytes]) -> set[str]:
        """The keys that hold what was refused since the last look; nothing refused gets lost."""
        files = {key: sha256(data).digest() for key, data in rejected.items()}
        before, self._rejected = self._rejected, files
        # A report makes room for a newer one on the same bytes.
        lost = Counter(_refused_files(before)) - Counter(_refused_files(files))
        assert not lost, f"what was refused is gone from {[*before]}"
        return {key for key, digest in files.items() if before.get(key) != digest}


def _refused_files(rejected: dict[str, bytes]) -> list[bytes]:
    return [digest for key, digest in rejected.items() if not key.endswith(".json")]


def _perhaps_stored(items: Items) -> list[Stored]:
    return [Stored(item) for item in items if isinstance(item, Content)]


def _refusals(data: bytes, new: set[str], rejected: dict[str, bytes]) -> set[str] | None:
    """The names of the entries for which a dropped file was refused now; None when it is unclear.

    It is when the same file was refused before, or by a process that then died.
    """
    places = [key for key, refused in rejected.items() if refused == data]
    if not places:
        return set()
    reports = [rejected.get(f"{key}.json") for key in places if key in new]
    if len(reports) != 1 or reports[0] is None:
        return None
    return {refusal["file"] for refusal in orjson.loads(reports[0])["refused"]}


def _taken(items: Sequence[Content | Junk], refused: set[str] | None) -> list[Stored]:
    """What became of the entries of a file that was taken."""
    changes: list[Stored] = []
    for number, item in enumerate(items):
        is_refused = bool(refused) if len(items) == 1 else str(number) in (refused or ())
        if isinstance(item, Junk):
            assert refused is None or is_refused, "what is no DICOM file was not refused"
        elif refused is None:
            changes.append(Stored(item))
        else:
            changes.append(
                Stored(item, Outcome.REFUSED_DUPLICATE) if is_refused else SafelyStored(item)
            )
    return changes
