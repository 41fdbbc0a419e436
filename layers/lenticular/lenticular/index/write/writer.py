"""Group commit: threads enqueue batches; the thread whose turn it is commits all of them at once.

A commit waits for the disk, and one thread writes at a time. When a merged transaction fails, each
batch is tried alone, so that a bad one fails alone. A batch that lost to another writer is tried
again by its own thread, which does not keep its turn while it waits.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import DBAPICursor

from lenticular.dicom.model import Target
from lenticular.dicom.query_tags import NO_TAGS, QueryTags
from lenticular.errors import OutcomeUnknown, Unavailable
from lenticular.index import migrations
from lenticular.index.records import Added, NewInstance, Removed
from lenticular.index.sql.database import Database, raw_cursor
from lenticular.index.write import remove as removal
from lenticular.index.write import rows
from lenticular.index.write.changes import now
from lenticular.index.write.insert import InstanceInserter
from lenticular.index.write.parent_rows import ParentRows
from lenticular.index.write.rows import InstanceRows
from lenticular.index.write.statements import Statements

log = logging.getLogger(__name__)

LONGEST_PAUSE = 0.5
BUSY = "The index is busy; try again in a moment."

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class _Batch:
    """A batch in the queue, and its results or the error that it failed with."""

    instances: list[InstanceRows]
    replace: bool
    added: list[Added] | None = None
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return self.added is not None or self.error is not None


class Writer:
    """Changes the index; a process has only one."""

    def __init__(self, database: Database, tags: QueryTags, attempts: int) -> None:
        self._database = database
        self._attempts = attempts
        self._dialect = database.dialect
        self._tags = tags
        self._has_tag_tables = False
        self._statements = Statements(database)
        self._queue: list[_Batch] = []
        self._queueing = Lock()
        self._writing = Lock()

    def add(self, instances: Sequence[NewInstance], *, replace: bool = False) -> list[Added]:
        """Add instances whose files are stored; the rows are durable when this returns."""
        if not instances:
            return []
        batch = _Batch([rows.of_instance(new, self._tags) for new in instances], replace)
        return self._repeat(lambda deadline: self._add(batch, deadline), after_loss=True)

    def remove(self, *targets: Target) -> Removed | None:
        """Remove all targets in one transaction; None when none of them exists."""
        # Repeated after a commit whose answer was lost, it would say that nothing was there.
        return self._repeat(
            lambda deadline: self._transact(
                lambda connection: removal.remove(connection, targets, self._tags_of(connection)),
                deadline,
            ),
            after_loss=False,
        )

    def remove_rows_of_files(self, files: Sequence[tuple[Target, str]]) -> Removed | None:
        """Remove the instances whose rows name these keys, as their files are gone."""
        return self.run_in_transaction(
            lambda connection: removal.remove_rows_of_files(
                connection, files, self._tags_of(connection)
            )
        )

    def remove_unnamed_files(
        self, series: Target, keys: Sequence[str], remove: Callable[[str], None]
    ) -> int:
        """Remove the files that no row of the series names.

        No new row can refer to them while this runs: whoever stores waits for it before the
        commit, so the keys should be few.
        """

        def remove_unnamed(connection: Connection) -> int:
            unnamed = removal.unnamed_keys(connection, series, keys)
            for key in unnamed:
                remove(key)
            return len(unnamed)

        return self.run_in_transaction(remove_unnamed)

    def run_in_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Run work that may be repeated as one transaction."""
        return self._repeat(lambda deadline: self._transact(work, deadline), after_loss=True)

    def _add(self, batch: _Batch, deadline: float) -> list[Added]:
        batch.error = None
        with self._queueing:
            self._queue.append(batch)
        try:
            with self._turn(deadline):
                if not batch.is_done:
                    self._write(self._take_queue(), deadline)
        except Unavailable:
            self._withdraw(batch)
        if batch.error is not None:
            raise batch.error
        return batch.added or []

    def _take_queue(self) -> list[_Batch]:
        with self._queueing:
            queue, self._queue = self._queue, []
        return queue

    def _withdraw(self, batch: _Batch) -> None:
        """Remove a batch from the queue and refuse it, unless another thread has written it."""
        with self._queueing:
            if batch in self._queue:
                self._queue.remove(batch)
                raise Unavailable(BUSY)
        if not batch.is_done:
            raise OutcomeUnknown(BUSY)

    def _write(self, queue: list[_Batch], deadline: float) -> None:
        """Write all batches in one transaction, or each alone when that fails."""
        try:
            with self._database.transaction(deadline) as connection:
                results = self._insert(connection, queue)
        except Exception as error:
            is_for_all = isinstance(error, Unavailable) or self._dialect.is_lost(error)
            if len(queue) == 1 or is_for_all:
                for batch in queue:
                    batch.error = error
                return
            log.warning("a merged transaction failed (%s), its batches go one by one", error)
            for batch in queue:
                self._write([batch], deadline)
        else:
            for batch, added in zip(queue, results, strict=True):
                batch.added = added

    def _insert(self, connection: Connection, queue: list[_Batch]) -> list[list[Added]]:
        cursor = raw_cursor(connection)
        parents = ParentRows(self._statements, cursor, now(), self._tags_in_schema(cursor))
        inserter = InstanceInserter(
            parents,
            lambda targets: removal.remove(connection, targets, parents.tags, replacing=True),
        )
        # All at once, because all writers lock them in the same order.
        inserter.prefetch([each for batch in queue for each in batch.instances])
        results = [inserter.insert(batch.instances, batch.replace) for batch in queue]
        inserter.flush()
        return results

    def _tags_of(self, connection: Connection) -> QueryTags:
        return self._tags_in_schema(raw_cursor(connection))

    def _tags_in_schema(self, cursor: DBAPICursor) -> QueryTags:
        """Return the tags, once the schema has tables for their values."""
        if self._tags and not self._has_tag_tables:
            ((revision,),) = self._statements.find_revision.run(cursor).fetchall()
            self._has_tag_tables = revision >= migrations.QUERY_TAGS
        return self._tags if self._has_tag_tables else NO_TAGS

    def _transact(self, work: Callable[[Connection], Result], deadline: float) -> Result:
        with self._turn(deadline), self._database.transaction(deadline) as connection:
            return work(connection)

    @contextmanager
    def _turn(self, deadline: float) -> Iterator[None]:
        """Hold the lock of the only writing thread; raise Unavailable at the deadline."""
        if not self._writing.acquire(timeout=max(0, deadline - time.monotonic())):
            raise Unavailable(BUSY)
        try:
            yield
        finally:
            self._writing.release()

    def _repeat(self, attempt: Callable[[float], Result], *, after_loss: bool) -> Result:
        """Try until it succeeds, as long as an error passes by itself and time is left."""
        deadline = time.monotonic() + self._database.writer_seconds
        was_lost = False
        for number in range(self._attempts):
            try:
                return attempt(deadline)
            except Exception as error:
                if self._dialect.is_too_long(error):
                    migrations.require(self._database, migrations.LONGER_IDENTIFIERS)
                is_lost = self._dialect.is_lost(error)
                was_lost = was_lost or is_lost
                again = self._dialect.is_contention(error) or (after_loss and is_lost)
                if not again or number == self._attempts - 1 or time.monotonic() > deadline:
                    raise self._final(error, was_lost) from error
                # Of different length for each, or those that met would meet again.
                pause = min(LONGEST_PAUSE, 0.005 * 2**number)
                time.sleep(random.uniform(pause / 2, pause))  # noqa: S311
        raise AssertionError("unreachable")

    def _final(self, error: Exception, was_lost: bool) -> Exception:
        """Return the error to raise; OutcomeUnknown if a lost attempt may have been committed."""
        refusal = self._dialect.refusal(error) or error
        if was_lost and not isinstance(refusal, OutcomeUnknown):
            return OutcomeUnknown("The index does not answer now; try again in a moment.")
        return refusal
