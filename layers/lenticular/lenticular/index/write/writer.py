"""Writing: what several threads add at once goes into the database as one transaction.

A commit waits for the disk, and one writes at a time. So each thread lays its batch on a pile,
and whoever gets to write takes the whole pile. When a merged transaction fails, each batch is
tried alone, so that a bad one harms only itself.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPICursor

from lenticular.dicom.model import Target
from lenticular.dicom.query_tags import NO_TAGS, QueryTags
from lenticular.index import migrations
from lenticular.index.records import Added, NewInstance, Removed
from lenticular.index.sql import errors
from lenticular.index.sql.database import Database, raw_cursor
from lenticular.index.write import remove as removal
from lenticular.index.write import rows
from lenticular.index.write.changes import now
from lenticular.index.write.insert import InstanceInserter
from lenticular.index.write.parent_rows import ParentRows
from lenticular.index.write.rows import InstanceRows
from lenticular.index.write.statements import Statements

log = logging.getLogger(__name__)

ATTEMPTS = 20
"""How often a transaction is tried that loses to another, or its connection."""

LONGEST_PAUSE = 0.5

Result = TypeVar("Result")


@dataclass(slots=True)
class _Batch:
    """A batch on the pile, and what became of it."""

    batch: list[InstanceRows]
    replace: bool
    added: list[Added] | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.added is not None or self.error is not None


class Writer:
    """The only one in this process who changes the index."""

    def __init__(self, database: Database, tags: QueryTags) -> None:
        self._database = database
        self._tags = tags
        self._has_tag_tables = False
        self._statements = Statements(database)
        self._pile: list[_Batch] = []
        self._piling = Lock()
        self._writing = Lock()

    def add(self, instances: Sequence[NewInstance], *, replace: bool = False) -> list[Added]:
        """Add instances whose files are stored; the rows are durable when this returns."""
        if not instances:
            return []
        request = _Batch([rows.of_instance(new, self._tags) for new in instances], replace)
        with self._piling:
            self._pile.append(request)
        with self._writing:
            if not request.is_done:
                self._write(self._take_pile() or [request])
        if request.error is not None:
            raise request.error
        return request.added or []

    def remove(self, *targets: Target) -> Removed | None:
        """Remove all targets in one transaction; None when none of them exists."""
        with self._writing:
            # Repeated after a commit whose answer was lost, it would say that nothing was there.
            return self._in_transaction(
                lambda connection: removal.remove(connection, targets), may_repeat=False
            )

    def remove_rows_of_files(self, files: Sequence[tuple[Target, str]]) -> Removed | None:
        """Remove the instances whose rows name these keys, as their files are gone."""
        return self.run_in_transaction(
            lambda connection: removal.remove_rows_of_files(connection, files)
        )

    def remove_unnamed_files(
        self, series: Target, keys: Sequence[str], remove: Callable[[str], None]
    ) -> int:
        """Remove the files that no row of the series names; no row can come to name one meanwhile.

        Whoever stores waits for this before the commit, so the keys should be few.
        """

        def remove_unnamed(connection: Connection) -> int:
            unnamed = removal.unnamed_keys(connection, series, keys)
            for key in unnamed:
                remove(key)
            return len(unnamed)

        return self.run_in_transaction(remove_unnamed)

    def run_in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run work that may be repeated as one transaction."""
        with self._writing:
            return self._in_transaction(work, may_repeat=True)

    def _take_pile(self) -> list[_Batch]:
        with self._piling:
            pile, self._pile = self._pile, []
        return pile

    def _write(self, pile: list[_Batch]) -> None:
        try:
            results = self._in_transaction(
                lambda connection: self._file(connection, pile), may_repeat=True
            )
        except Exception as error:
            if len(pile) == 1:
                pile[0].error = error
                return
            log.warning("a merged transaction failed (%s), its batches go one by one", error)
            for request in pile:
                self._write([request])
        else:
            for request, added in zip(pile, results, strict=True):
                request.added = added

    def _file(self, connection: Connection, pile: list[_Batch]) -> list[list[Added]]:
        cursor = raw_cursor(connection)
        places = ParentRows(self._statements, cursor, now(), self._tags_in_schema(cursor))
        filing = InstanceInserter(
            places, lambda target: removal.remove(connection, [target], replacing=True)
        )
        # All at once, for they are locked in an order that all writers keep.
        filing.look_up([each for request in pile for each in request.batch])
        results = [filing.file(request.batch, request.replace) for request in pile]
        filing.flush()
        return results

    def _tags_in_schema(self, cursor: DBAPICursor) -> QueryTags:
        """The tags, once the schema has tables for their values."""
        if self._tags and not self._has_tag_tables:
            ((revision,),) = self._statements.find_revision.run(cursor).fetchall()
            self._has_tag_tables = revision >= migrations.QUERY_TAGS
        return self._tags if self._has_tag_tables else NO_TAGS

    def _in_transaction(self, work: Callable[[Connection], Result], may_repeat: bool) -> Result:
        for attempt in range(ATTEMPTS):
            try:
                with self._database.transaction() as connection:
                    return work(connection)
            except Exception as error:
                again = errors.is_contention(error) or (may_repeat and errors.is_lost(error))
                if attempt == ATTEMPTS - 1 or not again:
                    raise errors.refusal(error) or error from error
                # Of different length for each, or those who met would meet again.
                pause = min(LONGEST_PAUSE, 0.005 * 2**attempt)
                time.sleep(random.uniform(pause / 2, pause))  # noqa: S311
        raise AssertionError("unreachable")
