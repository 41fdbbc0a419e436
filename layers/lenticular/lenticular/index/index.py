"""The index: what is stored, found by everything that is asked of it.

The searchable part of the system, in a SQL database. What is written goes through `writer.py`,
what retrieval needs comes from `reader.py`, searches are in `query.py`, Orthanc's browsing in
`browser.py`.
"""

from collections.abc import Iterator, Sequence

from lenticular.dicom.instance import Level, Target
from lenticular.index import migrations
from lenticular.index.database import Database
from lenticular.index.query import Page, Query, search
from lenticular.index.reader import Reader
from lenticular.index.records import (
    Added,
    LocatedInstance,
    NewInstance,
    Removed,
    Statistics,
    StoredInstance,
)
from lenticular.index.writer import Writer


class Index:
    """The index behind a database URL. Safe to use from many threads and processes."""

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        self._reader = Reader(self._database)
        self._writer = Writer(self._database)

    def migrate(self) -> None:
        """Bring the schema up to date; quick when it is."""
        migrations.upgrade(self._database)

    def ping(self) -> None:
        """Raise when the database does not answer or has another schema than this release."""
        migrations.check(self._database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def add(self, instances: Sequence[NewInstance], *, replace: bool = False) -> list[Added]:
        """Add instances whose files are safely stored; durable when this returns."""
        return self._writer.add(instances, replace) if instances else []

    def remove(self, *targets: Target) -> Removed | None:
        """Remove what the targets name, in one transaction; None when there is nothing of it."""
        return self._writer.remove(targets)

    def find(self, target: Target) -> list[StoredInstance]:
        """All instances of the target by SeriesNumber, InstanceNumber and arrival."""
        return self._reader.find(target)

    def holds(self, target: Target, sha256: bytes) -> dict[Level, str] | None:
        """The Orthanc ids of all levels when exactly these bytes are already stored there."""
        return self._reader.holds(target, sha256)

    def locate(self, target: Target) -> LocatedInstance | None:
        """One instance and where its frames and bulk data lie in its file."""
        return self._reader.locate(target)

    def frame_ranges(
        self, located: LocatedInstance, frame_numbers: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Offset and length in the file of frames (from 1) of an encapsulated object."""
        return self._reader.frame_ranges(located, frame_numbers)

    def documents(self, target: Target) -> Iterator[bytes]:
        """The DICOM JSON of each instance, in the order of `find`."""
        return self._reader.documents(target)

    def representative(self, target: Target) -> StoredInstance | None:
        """The instance that stands for the target in a thumbnail."""
        return self._reader.representative(target)

    def statistics(self) -> Statistics:
        """How much is stored."""
        return self._reader.statistics()

    def search(self, query: Query) -> Page:
        """The page of results of a search."""
        return search(self._database, query)
