"""Search: one statement for a page of studies, series or instances.

The page is found first, over narrow rows in the order of an index, and what is answered is
fetched for it alone. Order: newest study first, then series and instances by their numbers,
then by arrival, so that pages never overlap.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, Table, UnaryExpression, select
from sqlalchemy.sql.operators import custom_op

from lenticular.dicom.attributes import Attribute
from lenticular.dicom.instance import Level, Target
from lenticular.dicom.matching import Matcher
from lenticular.dicom.orthanc_id import from_digest
from lenticular.index.answers import SEARCHED_LEVELS, Recipe
from lenticular.index.conditions import TABLES, condition
from lenticular.index.database import Database
from lenticular.index.schema import instances, patients, series, studies

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


def search(database: Database, query: Query) -> Page:
    """Run a search."""
    if query.limit == 0:
        return Page([], more=False)
    in_path = {
        level
        for level, uid in (
            (Level.STUDY, query.study_instance_uid),
            (Level.SERIES, query.series_instance_uid),
        )
        if uid is not None and level is not query.level
    }
    recipe = Recipe.of(query.level, in_path, query.included, query.include_all)
    with database.connect() as connection:
        found = connection.execute(_statement(query, recipe)).all()
    depth = SEARCHED_LEVELS.index(query.level) + 1
    matches = [
        Match(Target(*row[:depth]), recipe.attributes(row[depth:])) for row in found[: query.limit]
    ]
    return Page(matches, more=len(found) > query.limit)


def search_ids(database: Database, query: Query, level: Level) -> list[str]:
    """The Orthanc ids of what a search finds; for patients, of a search for their studies."""
    table: Table = patients if level is Level.PATIENT else TABLES[level]
    found = select(table.c.orthanc_id)
    if level is Level.PATIENT:
        matching = select(studies.c.patient_row_id).where(*_conditions(query))
        found = found.where(patients.c.row_id.in_(matching)).order_by(patients.c.row_id)
    else:
        found = found.select_from(_joined(query)).where(*_conditions(query))
        found = found.order_by(*_ORDER_OF[level])
    with database.connect() as connection:
        ids = connection.scalars(found.offset(query.offset).limit(query.limit))
        return [from_digest(each) for each in ids]


def _statement(query: Query, recipe: Recipe) -> Select[Any]:
    page, table = _page(query), TABLES[query.level]
    rows = page.join(table, table.c.row_id == _as_given(page.c.row_id))
    if query.level is Level.INSTANCE:
        rows = rows.join(series, series.c.row_id == instances.c.series_row_id)
    if query.level is not Level.STUDY:
        rows = rows.join(studies, studies.c.row_id == series.c.study_row_id)
    for attributes, key in recipe.tables:
        rows = rows.join(attributes, key)
    uids = _UIDS[: SEARCHED_LEVELS.index(query.level) + 1]
    order = [_as_given(column) for column in _ORDER_OF[query.level]]
    return select(*uids, *recipe.columns).select_from(rows).order_by(*order)


def _page(query: Query) -> Subquery:
    """The ids of the results, and of one more to know that there is one."""
    return (
        select(TABLES[query.level].c.row_id)
        .select_from(_joined(query))
        .where(*_conditions(query))
        .order_by(*_ORDER_OF[query.level])
        .limit(query.limit + 1)
        .offset(query.offset)
        .subquery("page")
    )


def _conditions(query: Query) -> list[ColumnElement[bool]]:
    conditions = [condition(attribute, matcher) for attribute, matcher in query.conditions]
    if query.study_instance_uid is not None:
        conditions.append(studies.c.study_instance_uid == query.study_instance_uid)
    if query.series_instance_uid is not None:
        conditions.append(series.c.series_instance_uid == query.series_instance_uid)
    return conditions


def _joined(query: Query) -> FromClause:
    """Studies down to the level.

    From the studies down everything comes in order and a page ends early, unless a unique key
    of a lower level is asked for: then the planner may start there.
    """
    keys = {attribute.column for attribute, _ in query.conditions}
    down = keys.isdisjoint({"series_instance_uid", "sop_instance_uid"})
    study_row_id: Any = _as_given(studies.c.row_id) if down else studies.c.row_id
    series_row_id: Any = _as_given(series.c.row_id) if down else series.c.row_id
    rows: FromClause = studies
    if query.level is not Level.STUDY:
        rows = rows.join(series, series.c.study_row_id == study_row_id)
    if query.level is Level.INSTANCE:
        rows = rows.join(instances, instances.c.series_row_id == series_row_id)
    return rows


def _as_given(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """`+column`: the same value, but the planner does not turn the join or the order around."""
    return UnaryExpression(column, operator=custom_op("+"))
