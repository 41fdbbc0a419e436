"""Before a search by query tags: how many rows have the values, and are all rows known by them.

Attributes that others choose may have a value that one row has, or half of all rows. Where few
have it the page begins with these, otherwise the search walks on and looks at each row; which of
the two is decided by counting up to that number, and not by the guess of a planner.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import bindparam, func, literal, select

from lenticular.dicom.query_tags import QueryTag
from lenticular.errors import Unavailable
from lenticular.index import migrations
from lenticular.index.search.conditions import (
    Shape,
    is_common,
    is_selective,
    rows_tagged,
    uses_study_index,
)
from lenticular.index.search.page import SearchShape
from lenticular.index.sql.database import Database, Statement
from lenticular.index.sql.schema import query_tags

READY = "Ready"

_KEPT = 100


class Selectivity:
    """Looks ahead in one round trip."""

    def __init__(self, database: Database, few_rows: int) -> None:
        self._database = database
        self._few_rows = few_rows
        self._has_tables = False
        self._kept = lru_cache(_KEPT)(self._prepare)

    def look(
        self, tags: Sequence[QueryTag], search: SearchShape, values: dict[str, Any]
    ) -> tuple[int | None, tuple[str, ...]]:
        """Return the position of the shape to start with, and the tags that are not ready."""
        self._require_tables()
        candidates = _candidates(search)
        asked = {f"tag_{number}": tag.tag_id for number, tag in enumerate(tags)}
        prepare = self._kept if is_common(values) else self._prepare
        statement = prepare(search.shapes, candidates, len(tags))
        with self._database.cursor() as cursor:
            row: Any = statement.run(cursor, {**values, **asked}).fetchone()
        counted = zip(row[len(tags) :], candidates, strict=True)
        few = [each for each in counted if each[0] < self._few_rows]
        adding = (tag.name for tag, status in zip(tags, row, strict=False) if status != READY)
        return min(few)[1] if few else None, tuple(adding)

    def _prepare(
        self, shapes: Sequence[Shape], candidates: Sequence[int], many_tags: int
    ) -> Statement:
        status = (
            select(query_tags.c.status)
            .where(query_tags.c.tag_id == bindparam(f"tag_{number}"))
            .scalar_subquery()
            for number in range(many_tags)
        )
        counts = (
            select(func.count())
            .select_from(
                rows_tagged(shapes, position, self._database.dialect)
                .limit(literal(self._few_rows))
                .subquery()
            )
            .scalar_subquery()
            for position in candidates
        )
        return self._database.prepare(select(*status, *counts))

    def _require_tables(self) -> None:
        if self._has_tables:
            return
        with self._database.connect() as connection:
            self._has_tables = migrations.has(connection, migrations.QUERY_TAGS)
        if not self._has_tables:
            raise Unavailable("The index waits for its migration; run `lenticular migrate`.")


def _candidates(search: SearchShape) -> tuple[int, ...]:
    """Return positions of query tag conditions to start with; none if a study key narrows more."""
    if search.in_study or search.has_lower_key or any(map(uses_study_index, search.shapes)):
        return ()
    tagged = ((n, shape) for n, shape in enumerate(search.shapes) if shape[0] == "tagged")
    return tuple(n for n, shape in tagged if is_selective(shape))
