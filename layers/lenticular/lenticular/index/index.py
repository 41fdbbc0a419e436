"""The index: what is stored, found by everything that is asked of it.

The searchable part of the system, in a SQL database. What is written goes through `writer.py`,
what retrieval needs comes from `reader.py`, searches are in `query.py`, Orthanc's browsing in
`browser.py`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from lenticular.dicom.model import Level, Target
from lenticular.dicom.query_tags import Definition, define
from lenticular.errors import Unavailable
from lenticular.index import migrations
from lenticular.index.search.searcher import Page, Query, Searcher
from lenticular.index.sql.database import Database

if TYPE_CHECKING:
    from lenticular.index.query_tags.registry import RegisteredTag
    from lenticular.index.read.instance_changes import (
        InstanceChange,
        InstanceChangeReader,
        TimeWindow,
    )
    from lenticular.index.read.orthanc import OrthancReader
    from lenticular.index.read.retrieval import RetrievalReader
    from lenticular.index.records import (
        Added,
        Change,
        LocatedInstance,
        NewInstance,
        OrthancResource,
        Removed,
        Statistics,
        StoredInstance,
    )
    from lenticular.index.write.writer import Writer


class Index:
    """The index behind a database URL. Safe to use from many threads and processes.

    After `stable_age` seconds without an addition a resource counts as stable. `query_tags` are
    attributes to be searched for beyond those that are anyway.
    """

    def __init__(
        self, url: str, stable_age: float = 60, query_tags: Iterable[Definition] = ()
    ) -> None:
        self.query_tags = define(query_tags)
        self._database = Database(url)
        self._stable_age = stable_age
        self._searcher = Searcher(self._database, self.query_tags)
        self._first_write = Lock()

    # Each part is imported when it is first needed: a function of Lambda starts for one of them.

    @cached_property
    def _reader(self) -> "RetrievalReader":
        from lenticular.index.read.retrieval import RetrievalReader

        return RetrievalReader(self._database)

    @cached_property
    def _browser(self) -> "OrthancReader":
        from lenticular.index.read.orthanc import OrthancReader

        return OrthancReader(self._database, self._stable_age)

    @cached_property
    def _instance_feed(self) -> "InstanceChangeReader":
        from lenticular.index.read.instance_changes import InstanceChangeReader

        return InstanceChangeReader(self._database)

    @property
    def _writer(self) -> "Writer":
        with self._first_write:  # there may only be one
            return self._only_writer

    @cached_property
    def _only_writer(self) -> "Writer":
        from lenticular.index.write.writer import Writer

        return Writer(self._database, self.query_tags)

    def migrate(self) -> None:
        """Bring the schema up to date; quick when it is."""
        migrations.upgrade(self._database)

    def ping(self) -> None:
        """Raise when the database does not answer or has another schema than this release."""
        migrations.check(self._database)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def add(self, instances: "Sequence[NewInstance]", *, replace: bool = False) -> "list[Added]":
        """Add instances whose files are safely stored; durable when this returns."""
        return self._writer.add(instances, replace) if instances else []

    def remove(self, *targets: Target) -> "Removed | None":
        """Remove what the targets name, in one transaction; None when there is nothing of it."""
        return self._writer.remove(targets)

    def unsettled(self, since: int, until: int, limit: int) -> Sequence[int]:
        """Studies of which something may be told to be stable: what `settle` takes.

        Times in milliseconds since 1970; something was last added to them within these.
        """
        from lenticular.index.write import stability

        self._require(migrations.SETTLING)
        with self._database.connect() as connection:
            return stability.studies_pending_stability(connection, since, until, limit)

    def settle(self, unsettled: Sequence[int], until: int) -> Counter[Level]:
        """Tell in the feed, once, what was quiet since then; how much of each level that was."""
        return Counter(told.level for told in self._writer.settle(unsettled, until))

    def find(self, target: Target) -> "list[StoredInstance]":
        """All instances of the target by SeriesNumber, InstanceNumber and arrival."""
        return self._reader.find(target)

    def held(self, instances: Sequence[tuple[Target, bytes]]) -> list[dict[Level, str] | None]:
        """The Orthanc ids of all levels for each place that has exactly these bytes already."""
        return self._reader.held(instances)

    def locate(self, target: Target) -> "LocatedInstance | None":
        """One instance and where its frames and bulk data lie in its file."""
        return self._reader.locate(target)

    def frame_ranges(
        self, located: "LocatedInstance", frame_numbers: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Offset and length in the file of frames (from 1) of an encapsulated object."""
        return self._reader.frame_ranges(located, frame_numbers)

    def documents(self, target: Target) -> Iterator[bytes]:
        """The DICOM JSON of each instance, in the order of `find`."""
        return self._reader.documents(target)

    def representative(self, target: Target) -> "StoredInstance | None":
        """The instance that stands for the target in a thumbnail."""
        return self._reader.representative(target)

    def statistics(self) -> "Statistics":
        """How much is stored."""
        return self._reader.statistics()

    def search(self, query: Query) -> Page:
        """The page of results of a search."""
        return self._searcher.search(query)

    def search_ids(self, level: Level, query: Query) -> list[str]:
        """The Orthanc ids of what a search finds; for patients, of a search for their studies."""
        return self._searcher.ids(level, query)

    def resource(self, level: Level, orthanc_id: str) -> "OrthancResource | None":
        """The resource of this Orthanc id."""
        return self._browser.resource(level, orthanc_id)

    def resources(self, level: Level, since: int, limit: int) -> "list[OrthancResource]":
        """Resources of a level in the order of arrival."""
        return self._browser.resources(level, since, limit)

    def resources_of(self, level: Level, orthanc_ids: Sequence[str]) -> "list[OrthancResource]":
        """The resources of these Orthanc ids, in this order, as far as they are there."""
        return self._browser.resources_of(level, orthanc_ids)

    def resource_ids(self, level: Level, since: int = 0, limit: int | None = None) -> list[str]:
        """Orthanc ids of a level in the order of arrival."""
        return self._browser.resource_ids(level, since, limit)

    def children(self, resource: "OrthancResource", level: Level) -> "list[OrthancResource]":
        """All resources of a lower level that belong to this one."""
        return self._browser.children(resource, level)

    def target_of(self, level: Level, orthanc_id: str) -> Target | None:
        """What DICOMweb calls a study, series or instance; None for a patient or when unknown."""
        return self._browser.target_of(level, orthanc_id)

    def changes(self, since: int, limit: int) -> "list[Change]":
        """The change feed after a sequence number, the oldest first."""
        return self._browser.changes(since, limit)

    def registered_query_tags(self) -> "list[RegisteredTag]":
        """The attributes that are searched for by configuration, as far as it is with them."""
        from lenticular.index.query_tags import registry

        with self._database.connect() as connection:
            if not migrations.has(connection, migrations.QUERY_TAGS):
                return []
            return registry.registered(connection)

    def register_query_tags(self, *, starting: bool = True) -> None:
        """Note which attributes are configured: others are to be removed, new ones read.

        And whether others may still store who do not know them, as after a start.
        """
        from lenticular.index.query_tags import registry
        from lenticular.index.write import changes as feed

        self._require(migrations.QUERY_TAGS)
        self._writer.perform(
            lambda connection: registry.register(
                connection, self.query_tags, feed.now(), starting=starting
            )
        )

    def advance_query_tags(self) -> int | None:
        """One step of what is to be done for them: studies looked through; None if none is due."""
        from lenticular.index.query_tags import registry
        from lenticular.index.write import changes as feed

        self._require(migrations.QUERY_TAGS)
        # With SQLite there is one machine, whose processes were started together.
        grace = 0 if self._database.is_sqlite else registry.GRACE
        return self._writer.perform(
            lambda connection: registry.advance(connection, self.query_tags, grace, feed.now())
        )

    def has_pending_query_tags(self) -> bool:
        """Whether anything is to be done for them, now or later."""
        from lenticular.index.query_tags import registry

        with self._database.connect() as connection:
            return bool(registry.pending(connection, self.query_tags))

    def _require(self, revision: str) -> None:
        """Refuse what the schema is not ready for."""
        with self._database.connect() as connection:
            if not migrations.has(connection, revision):
                raise Unavailable("The index waits for its migration; run `lenticular migrate`.")

    def instance_changes(
        self, offset: int, limit: int, window: "TimeWindow"
    ) -> "list[InstanceChange]":
        """What happened to instances in a time, after the first ones, the oldest first."""
        return self._instance_feed.page(offset, limit, window)

    def latest_instance_change(self) -> "InstanceChange | None":
        """The last that happened to an instance."""
        return self._instance_feed.latest()

    def last_change(self) -> int:
        """The sequence number of the newest change; 0 when there is none."""
        from lenticular.index.write import changes as feed

        with self._database.connect() as connection:
            return feed.last_sequence(connection)
