"""Filling in the values of query tags of what was stored before, within a transaction.

They are read from the documents of instances. A study and a series take theirs from the first
instance that exists, and store the attributes to return with them.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, func, insert, select, update
from sqlalchemy.engine import Connection

from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.query_tags import QueryTags
from lenticular.index.sql import document_bytes
from lenticular.index.sql.schema import (
    TAG_VALUES,
    documents,
    instances,
    series,
    series_attributes,
    study_attributes,
)
from lenticular.index.write import rows

_ATTRIBUTES: dict[Level, tuple[Table, Any]] = {
    Level.STUDY: (study_attributes, study_attributes.c.study_row_id),
    Level.SERIES: (series_attributes, series_attributes.c.series_row_id),
}
_DOCUMENTED = (documents.c.series_row_id == instances.c.series_row_id) & (
    documents.c.instance_row_id == instances.c.row_id
)


@dataclass(frozen=True, slots=True)
class Backfill:
    """Fills in the tags that are being added, in studies that the caller has locked.

    `tags` are all that are configured: the answers of others are removed.
    """

    connection: Connection
    adding: QueryTags
    tags: QueryTags

    def levels(self, study: int, levels: Set[Level]) -> None:
        """Write the values of a study and its series, at these levels."""
        of_study = series.c.study_row_id == study
        if Level.STUDY in levels:
            first = select(func.min(instances.c.row_id)).join(series).where(of_study)
            self._fill(Level.STUDY, study, self.connection.scalar(first))
        if Level.SERIES in levels:
            each_first = (
                select(series.c.row_id, func.min(instances.c.row_id))
                .join(instances)
                .where(of_study)
                .group_by(series.c.row_id)
            )
            for row_id, instance in self.connection.execute(each_first).all():
                self._fill(Level.SERIES, row_id, instance)

    def instances(self, study: int, after: int, at_once: int) -> int:
        """Write the values of the next instances. Return the last row id, 0 at the end."""
        here = QueryTags(self.adding.at(Level.INSTANCE))
        if not here:
            return 0
        found = self.connection.execute(
            select(documents.c.instance_row_id, documents.c.body)
            .join(series, series.c.row_id == documents.c.series_row_id)
            .where(series.c.study_row_id == study, documents.c.instance_row_id > after)
            .order_by(documents.c.instance_row_id)
            .limit(at_once)
        ).all()
        values = [
            row
            for instance, body in found
            for row in rows.tag_values(
                Level.INSTANCE, document_bytes.decode(body), here, row_id=instance
            )
        ]
        self._replace(Level.INSTANCE, [instance for instance, _ in found], values, here)
        return int(found[-1][0]) if len(found) == at_once else 0

    def _fill(self, level: Level, row_id: int, instance: int | None) -> None:
        """Write the tag values and the attributes of a study or a series, from an instance."""
        table, key = _ATTRIBUTES[level]
        extra = self.connection.scalar(select(table.c.extra).where(key == row_id)) or b""
        here = self._missing(level, row_id, extra)
        answered = here.answered(level)
        new: Dataset = {}
        if here:
            dataset = self._dataset(instance)
            values = rows.tag_values(level, dataset, here, row_id=row_id)
            self._replace(level, [row_id], values, here)
            # Of all tags, or what they share a sequence with would be left out of it.
            picked = self.tags.picked(level, dataset)
            new = {tag: picked[tag] for tag in picked if tag in answered}
        again = rows.extra_again(extra, level, self.tags.answered(level) - answered, new)
        if again != extra:
            self.connection.execute(update(table).where(key == row_id).values(extra=again))

    def _missing(self, level: Level, row_id: int, extra: bytes) -> QueryTags:
        """Return the tags to fill in here.

        Tags with values are skipped: the instance they came from may have been deleted.
        """
        adding, values = self.adding.at(level), TAG_VALUES[level].c
        ids = [tag.tag_id for tag in adding]
        found = select(values.tag_id).where(values.row_id == row_id, values.tag_id.in_(ids))
        known = set(self.connection.scalars(found)) if ids else set()
        unanswered = self.tags.answered(level) - rows.tags_in(extra)
        return QueryTags(tag for tag in adding if tag.tag_id not in known or tag.tag in unanswered)

    def _dataset(self, instance: int | None) -> Dataset:
        found = select(documents.c.body).join(instances, _DOCUMENTED)
        body = self.connection.scalar(found.where(instances.c.row_id == instance))
        return {} if body is None else document_bytes.decode(body)

    def _replace(
        self, level: Level, row_ids: Sequence[int], values: Sequence[rows.Row], tags: QueryTags
    ) -> None:
        table = TAG_VALUES[level]
        ids = [tag.tag_id for tag in tags]
        these = table.c.row_id.in_(row_ids) & table.c.tag_id.in_(ids)
        self.connection.execute(delete(table).where(these))
        if values:
            self.connection.execute(insert(table), values)
