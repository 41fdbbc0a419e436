"""The index: the parts that search it, read it and write it, over one database.

Each part is imported when it is first used: a function of Lambda starts for one of them.
"""

from collections.abc import Iterable
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from lenticular.dicom.query_tags import Definition, define
from lenticular.index import migrations
from lenticular.index.search.searcher import Searcher
from lenticular.index.sql.database import Database
from lenticular.limits import Limits

if TYPE_CHECKING:
    from lenticular.index.query_tags.registry import QueryTagRegistry
    from lenticular.index.read.changes import ChangeReader
    from lenticular.index.read.instance_changes import InstanceChangeReader
    from lenticular.index.read.orthanc import OrthancReader
    from lenticular.index.read.retrieval import RetrievalReader
    from lenticular.index.write.stability import Stability
    from lenticular.index.write.writer import Writer


class Index:
    """The index behind a database URL. Safe to use from many threads and processes.

    After `stable_age` seconds without an addition a resource counts as stable. `query_tags` are
    the attributes that the configuration makes searchable.
    """

    def __init__(
        self,
        url: str,
        stable_age: float = 60,
        query_tags: Iterable[Definition] = (),
        limits: Limits = Limits(),
    ) -> None:
        self.query_tags = define(query_tags)
        self.database = Database(url, limits.writer_seconds)
        self.searcher = Searcher(self.database, self.query_tags, limits)
        self._stable_age = stable_age
        self._limits = limits
        self._first_write = Lock()

    @property
    def writer(self) -> "Writer":
        """Adds and removes instances; the only one in this process, so that it can merge them."""
        with self._first_write:
            return self._only_writer

    @cached_property
    def _only_writer(self) -> "Writer":
        from lenticular.index.write.writer import Writer

        return Writer(self.database, self.query_tags, self._limits.writer_attempts)

    @cached_property
    def retrieval(self) -> "RetrievalReader":
        """Finds instances, their documents and the ranges of their frames."""
        from lenticular.index.read.retrieval import RetrievalReader

        return RetrievalReader(self.database)

    @cached_property
    def orthanc(self) -> "OrthancReader":
        """Finds resources by Orthanc's identifiers."""
        from lenticular.index.read.orthanc import OrthancReader

        return OrthancReader(self.database, self._stable_age)

    @cached_property
    def changes(self) -> "ChangeReader":
        """Reads Orthanc's change feed."""
        from lenticular.index.read.changes import ChangeReader

        return ChangeReader(self.database)

    @cached_property
    def instance_changes(self) -> "InstanceChangeReader":
        """Reads the change feed of instances."""
        from lenticular.index.read.instance_changes import InstanceChangeReader

        return InstanceChangeReader(self.database)

    @cached_property
    def stability(self) -> "Stability":
        """Marks studies, series and patients as stable."""
        from lenticular.index.write.stability import Stability

        return Stability(self.database, self.writer)

    @cached_property
    def query_tag_registry(self) -> "QueryTagRegistry":
        """Registers the query tags and fills in their values."""
        from lenticular.index.query_tags.registry import QueryTagRegistry

        return QueryTagRegistry(self.database, self.writer, self.query_tags, self._limits)

    def migrate(self) -> None:
        """Bring the schema up to date; quick when it is."""
        migrations.upgrade(self.database)

    def ping(self) -> None:
        """Raise when the database does not answer or was never migrated."""
        migrations.check(self.database)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()
