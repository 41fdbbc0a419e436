"""Search: one statement for a page of studies, series or instances.

The page is found first (`page.py`), over narrow rows in the order of an index, and what is
answered is fetched for it alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, func, select

from lenticular.dicom.match.matchers import Matcher
from lenticular.dicom.model import Level, Target
from lenticular.dicom.orthanc_id import from_digest
from lenticular.dicom.query_tags import QueryTag, QueryTags
from lenticular.dicom.search_attributes import Attribute
from lenticular.index.search.conditions import TABLES, Values, is_common, parameters, shape_of
from lenticular.index.search.page import (
    LIMIT,
    OFFSET,
    ORDER,
    SearchShape,
    joined,
    numbered_page,
    page_in_order,
)
from lenticular.index.search.projection import Projection
from lenticular.index.search.query_tag_selectivity import Selectivity
from lenticular.index.sql.database import Database, Statement
from lenticular.index.sql.schema import instances, patients, series, studies
from lenticular.limits import Limits

STATEMENTS_KEPT = 500
"""Compiled statements, of the kinds of questions asked last."""

_UIDS = (studies.c.study_instance_uid, series.c.series_instance_uid, instances.c.sop_instance_uid)


@dataclass(frozen=True, slots=True)
class Query:
    """A search: what at which level, below which study and series, of which attributes.

    `included` are tags asked for beyond what is answered anyway.
    """

    level: Level
    conditions: tuple[tuple[Attribute, Matcher], ...]
    limit: int
    offset: int = 0
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    included: frozenset[str] = frozenset()
    include_all: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One result: its UIDs, and its attributes as encoded DICOM JSON, in ascending order."""

    target: Target
    attributes: list[bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """The results within limit and offset, and whether there are more behind them.

    `remaining` is how many are behind them, None if that was not counted. `adding` are the paths
    that were searched for while not all that is stored is known by them.
    """

    matches: list[Match]
    more: bool
    remaining: int | None = 0
    adding: tuple[str, ...] = ()


class Searcher:
    """Runs searches; a statement is composed once for all questions of a kind."""

    def __init__(self, database: Database, tags: QueryTags, limits: Limits) -> None:
        self._database = database
        self._dialect = database.dialect
        self._tags = tags
        self._counted_results = limits.counted_results
        self._scout = Selectivity(database, limits.few_rows)
        self._cached_results = lru_cache(STATEMENTS_KEPT)(self._prepare_results)
        self._kept_counts = lru_cache(STATEMENTS_KEPT)(self._prepare_count)
        self._cached_ids = lru_cache(STATEMENTS_KEPT)(self._prepare_ids)

    def search(self, query: Query) -> Page:
        """Return a page of results."""
        if query.limit == 0:
            return Page([], more=False)
        # One more than asked for, to know that there is one.
        search, values = _shape_of_search(query, query.limit + 1)
        search, adding = self._look_ahead(query, search, values)
        is_cached = is_common(values) and is_common(query.included)
        prepare = self._cached_results if is_cached else self._prepare_results
        recipe, statement = prepare(search, query.included, query.include_all)
        found = self._rows(statement, values)
        depth = query.level.depth
        matches = [
            Match(Target(*row[:depth]), recipe.attributes(row[depth:]))
            for row in found[: query.limit]
        ]
        more = len(found) > query.limit
        remaining = self._count_remaining(query, search, values) if more else 0
        return Page(matches, more, remaining, adding)

    def ids(self, level: Level, query: Query) -> list[str]:
        """Return the Orthanc ids of the matches; for patients, of those with matching studies."""
        search, values = _shape_of_search(query, query.limit)
        search, _ = self._look_ahead(query, search, values)
        prepare = self._cached_ids if is_common(values) else self._prepare_ids
        return [from_digest(row[0]) for row in self._rows(prepare(level, search), values)]

    def _count_remaining(
        self, query: Query, search: SearchShape, values: dict[str, Any]
    ) -> int | None:
        """Count the results behind the page; None if they are too many, or costly to count.

        Conditions without an index would have to be looked at in every study.
        """
        if search.is_of_all_studies and search.shapes:
            return None
        prepare = self._kept_counts if is_common(values) else self._prepare_count
        behind = {"limit": self._counted_results + 1, "offset": query.offset + query.limit}
        with self._database.cursor() as cursor:
            counted: int = prepare(search).run(cursor, values | behind).fetchall()[0][0]
        return counted if counted <= self._counted_results else None

    def _look_ahead(
        self, query: Query, search: SearchShape, values: dict[str, Any]
    ) -> tuple[SearchShape, tuple[str, ...]]:
        """Return the search with its start, and the query tags that lack values yet."""
        tags = [each for each, _ in query.conditions if isinstance(each, QueryTag)]
        if not tags:
            return search, ()
        start, adding = self._scout.look(tags, search, values)
        return replace(search, start=start), adding

    def _rows(self, statement: Statement, values: dict[str, Any]) -> list[Any]:
        with self._database.cursor() as cursor:
            found: list[Any] = list(statement.run(cursor, values).fetchall())
        if self._dialect.keeps_join_order:
            return found
        # The position is the first column, which projections and ids do not include.
        return [row[1:] for row in sorted(found, key=itemgetter(0))]

    def _prepare_results(
        self, search: SearchShape, included: frozenset[str], include_all: bool
    ) -> tuple[Projection, Statement]:
        recipe = Projection.of(search.level, search.in_path, included, include_all, self._tags)
        page, table = self._page(search), TABLES[search.level]
        rows = page.join(table, table.c.row_id == self._dialect.no_reorder(page.c.row_id))
        if search.level is Level.INSTANCE:
            rows = rows.join(series, series.c.row_id == instances.c.series_row_id)
        if search.level is not Level.STUDY:
            rows = rows.join(studies, studies.c.row_id == series.c.study_row_id)
        for attributes, key in recipe.tables:
            rows = rows.join(attributes, key)
        columns = (*_UIDS[: search.level.depth], *recipe.columns)
        return recipe, self._database.prepare(self._in_order(search, page, columns, rows))

    def _prepare_ids(self, level: Level, search: SearchShape) -> Statement:
        if level is Level.PATIENT:
            matching = select(studies.c.patient_row_id).select_from(joined(search, self._dialect))
            matching = matching.where(*search.conditions(self._dialect))
            position = () if self._dialect.keeps_join_order else (patients.c.row_id,)
            found = select(*position, patients.c.orthanc_id)
            found = found.where(patients.c.row_id.in_(matching)).order_by(patients.c.row_id)
            return self._database.prepare(found.limit(LIMIT).offset(OFFSET))
        table = TABLES[level]
        if not self._dialect.keeps_join_order:
            page = numbered_page(search, self._dialect)
            rows = page.join(table, table.c.row_id == page.c.row_id)
            return self._database.prepare(self._in_order(search, page, [table.c.orthanc_id], rows))
        found = (
            select(table.c.orthanc_id)
            .select_from(joined(search, self._dialect))
            .where(*search.conditions(self._dialect))
        )
        return self._database.prepare(found.order_by(*ORDER[level]).limit(LIMIT).offset(OFFSET))

    def _prepare_count(self, search: SearchShape) -> Statement:
        rows = joined(search, self._dialect)
        found = select(TABLES[search.level].c.row_id).select_from(rows)
        behind = found.where(*search.conditions(self._dialect)).limit(LIMIT).offset(OFFSET)
        return self._database.prepare(select(func.count()).select_from(behind.subquery("behind")))

    def _page(self, search: SearchShape) -> Subquery:
        find = page_in_order if self._dialect.keeps_join_order else numbered_page
        return find(search, self._dialect)

    def _in_order(
        self,
        search: SearchShape,
        page: Subquery,
        columns: Sequence[ColumnElement[Any]],
        rows: FromClause,
    ) -> Select[Any]:
        """Return a query for columns of the rows of a page, with their position first."""
        if self._dialect.keeps_join_order:
            order = [self._dialect.no_reorder(column) for column in ORDER[search.level]]
            return select(*columns).select_from(rows).order_by(*order)
        found = select(page.c.position, *columns).select_from(rows)
        return self._dialect.force_join_order(found)


def _shape_of_search(query: Query, limit: int) -> tuple[SearchShape, dict[str, Any]]:
    """Return the shape of a search, and the values of its parameters."""
    values: Values = []
    search = SearchShape(
        query.level,
        tuple(shape_of(attribute, matcher, values) for attribute, matcher in query.conditions),
        frozenset(attribute.column for attribute, _ in query.conditions),
        query.study_instance_uid is not None,
        query.series_instance_uid is not None,
    )
    return search, {
        **parameters(values),
        "study_uid": query.study_instance_uid,
        "series_uid": query.series_instance_uid,
        "limit": limit,
        "offset": query.offset,
        "end": query.offset + limit,
    }
