"""Search: one statement for a page of studies, series or instances.

The page is found first, over narrow rows in the order of an index, and what is answered is
fetched for it alone. Order: newest study first, then series and instances by their numbers,
then by arrival, so that pages never overlap.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Subquery,
    UnaryExpression,
    bindparam,
    select,
)
from sqlalchemy.sql.operators import custom_op

from lenticular.dicom.attributes import Attribute
from lenticular.dicom.instance import Level, Target
from lenticular.dicom.matching import Matcher
from lenticular.dicom.orthanc_id import from_digest
from lenticular.index.answers import SEARCHED_LEVELS, Recipe
from lenticular.index.conditions import (
    TABLES,
    Shape,
    Values,
    conditions,
    parameters,
    shape_of,
)
from lenticular.index.database import Database, Statement
from lenticular.index.schema import instances, patients, series, studies

STATEMENTS_KEPT = 500
"""Compiled statements, of the kinds of questions asked last."""

COMMON_PARAMETERS = 64
_LIMIT, _OFFSET = bindparam("limit", type_=BigInteger), bindparam("offset", type_=BigInteger)
_UIDS = (studies.c.study_instance_uid, series.c.series_instance_uid, instances.c.sop_instance_uid)
_ORDER: tuple[ColumnElement[Any], ...] = (
    studies.c.study_date.desc(),
    studies.c.study_time.desc(),
    studies.c.row_id.desc(),
    series.c.series_number,
    series.c.row_id,
    instances.c.instance_number,
    instances.c.row_id,
)
_ORDER_OF = {Level.STUDY: _ORDER[:3], Level.SERIES: _ORDER[:5], Level.INSTANCE: _ORDER}


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
    limit_given: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """One result: where it is, and its attributes as encoded DICOM JSON, in ascending order."""

    target: Target
    attributes: list[bytes]


@dataclass(frozen=True, slots=True)
class Page:
    """The results within limit and offset, and whether there are more behind them."""

    matches: list[Match]
    more: bool


@dataclass(frozen=True, slots=True)
class _Form:
    """What is alike in all questions of a kind: all but the values, the limit and the offset."""

    level: Level
    shapes: tuple[Shape, ...]
    columns: frozenset[str]
    in_study: bool
    in_series: bool

    @property
    def in_path(self) -> frozenset[Level]:
        """The levels that the path names above the one searched for."""
        named = ((Level.STUDY, self.in_study), (Level.SERIES, self.in_series))
        return frozenset(level for level, is_named in named if is_named and level is not self.level)


class Searcher:
    """Runs searches; a statement is composed once for all questions of a kind."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept_results = lru_cache(STATEMENTS_KEPT)(self._prepare_results)
        self._kept_ids = lru_cache(STATEMENTS_KEPT)(self._prepare_ids)

    def search(self, query: Query) -> Page:
        """The page of results."""
        if query.limit == 0:
            return Page([], more=False)
        form, values = _form(query)
        prepare = self._kept_results if _is_common(values) else self._prepare_results
        recipe, statement = prepare(form, query.included, query.include_all)
        with self._database.cursor() as cursor:
            # One more than asked for, to know that there is one.
            values["limit"] += 1
            found: list[Any] = list(statement.run(cursor, values).fetchall())
        depth = _depth(query.level)
        matches = [
            Match(Target(*row[:depth]), recipe.attributes(row[depth:]))
            for row in found[: query.limit]
        ]
        return Page(matches, more=len(found) > query.limit)

    def ids(self, level: Level, query: Query) -> list[str]:
        """The Orthanc ids of what is found; for patients, of those whose studies are."""
        form, values = _form(query)
        prepare = self._kept_ids if _is_common(values) else self._prepare_ids
        with self._database.cursor() as cursor:
            found: list[Any] = list(prepare(level, form).run(cursor, values).fetchall())
        return [from_digest(row[0]) for row in found]

    def _prepare_results(
        self, form: _Form, included: frozenset[str], include_all: bool
    ) -> tuple[Recipe, Statement]:
        recipe = Recipe.of(form.level, form.in_path, included, include_all)
        page, table = _page(form), TABLES[form.level]
        rows = page.join(table, table.c.row_id == _as_given(page.c.row_id))
        if form.level is Level.INSTANCE:
            rows = rows.join(series, series.c.row_id == instances.c.series_row_id)
        if form.level is not Level.STUDY:
            rows = rows.join(studies, studies.c.row_id == series.c.study_row_id)
        for attributes, key in recipe.tables:
            rows = rows.join(attributes, key)
        order = [_as_given(column) for column in _ORDER_OF[form.level]]
        uids = _UIDS[: _depth(form.level)]
        results = select(*uids, *recipe.columns).select_from(rows).order_by(*order)
        return recipe, self._database.prepare(results)

    def _prepare_ids(self, level: Level, form: _Form) -> Statement:
        if level is Level.PATIENT:
            matching = select(studies.c.patient_row_id).where(*_conditions(form))
            found = select(patients.c.orthanc_id).where(patients.c.row_id.in_(matching))
            found = found.order_by(patients.c.row_id)
        else:
            found = select(TABLES[level].c.orthanc_id).select_from(_joined(form))
            found = found.where(*_conditions(form)).order_by(*_ORDER_OF[level])
        return self._database.prepare(found.limit(_LIMIT).offset(_OFFSET))


def _form(query: Query) -> tuple[_Form, dict[str, Any]]:
    """The form of a question, and the parameters that make it this one."""
    values: Values = []
    form = _Form(
        query.level,
        tuple(shape_of(attribute, matcher, values) for attribute, matcher in query.conditions),
        frozenset(attribute.column for attribute, _ in query.conditions),
        query.study_instance_uid is not None,
        query.series_instance_uid is not None,
    )
    return form, {
        **parameters(values),
        "study_uid": query.study_instance_uid,
        "series_uid": query.series_instance_uid,
        "limit": query.limit,
        "offset": query.offset,
    }


def _is_common(parameters: dict[str, Any]) -> bool:
    """Whether others will ask the like: a long list of UIDs is of a length of its own."""
    return len(parameters) < COMMON_PARAMETERS


def _page(form: _Form) -> Subquery:
    """The ids of the results."""
    return (
        select(TABLES[form.level].c.row_id)
        .select_from(_joined(form))
        .where(*_conditions(form))
        .order_by(*_ORDER_OF[form.level])
        .limit(_LIMIT)
        .offset(_OFFSET)
        .subquery("page")
    )


def _conditions(form: _Form) -> list[ColumnElement[bool]]:
    found = conditions(form.shapes)
    if form.in_study:
        found.append(studies.c.study_instance_uid == bindparam("study_uid"))
    if form.in_series:
        found.append(series.c.series_instance_uid == bindparam("series_uid"))
    return found


def _joined(form: _Form) -> FromClause:
    """Studies down to the level.

    From the studies down everything comes in order and a page ends early, unless a unique key
    of a lower level is asked for: then the planner may start there.
    """
    down = form.columns.isdisjoint({"series_instance_uid", "sop_instance_uid"})
    study_row_id: Any = _as_given(studies.c.row_id) if down else studies.c.row_id
    series_row_id: Any = _as_given(series.c.row_id) if down else series.c.row_id
    rows: FromClause = studies
    if form.level is not Level.STUDY:
        rows = rows.join(series, series.c.study_row_id == study_row_id)
    if form.level is Level.INSTANCE:
        rows = rows.join(instances, instances.c.series_row_id == series_row_id)
    return rows


def _depth(level: Level) -> int:
    return SEARCHED_LEVELS.index(level) + 1


def _as_given(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """`+column`: the same value, but the planner does not turn the join or the order around."""
    return UnaryExpression(column, operator=custom_op("+"))
