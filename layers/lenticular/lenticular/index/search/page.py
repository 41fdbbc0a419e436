"""The page of a search: which rows are on it, found over narrow rows in the order of an index.

Order: newest study first, then series and instances by their numbers, then by arrival, so that
pages never overlap. From the studies down everything comes in this order and a page ends early,
unless a unique key of a lower level is asked for: then the planner may start there.

SQLite does that by itself if its planner may not reorder joins. MySQL sorts all
that match as soon as the order is that of several tables. There the studies of the page are found
first, which is in the order of one table, with how many matches each has; then only these are put
in order. Rows are numbered, for to sort what is answered would copy it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    UnaryExpression,
    bindparam,
    func,
    select,
)

from lenticular.dicom.model import Level
from lenticular.index.search.conditions import (
    TABLES,
    Shape,
    conditions,
    rows_tagged,
    uses_study_index,
)
from lenticular.index.sql.dialect import Dialect
from lenticular.index.sql.schema import instances, series, studies

LIMIT = bindparam("limit", type_=BigInteger)
OFFSET = bindparam("offset", type_=BigInteger)
END = bindparam("end", type_=BigInteger)
"""Offset and limit together."""

_OF_STUDIES: tuple[ColumnElement[Any], ...] = (
    studies.c.study_date.desc(),
    studies.c.study_time.desc(),
    studies.c.row_id.desc(),
)
_WITHIN: tuple[ColumnElement[Any], ...] = (
    series.c.series_number,
    series.c.row_id,
    instances.c.instance_number,
    instances.c.row_id,
)
ORDER = {
    Level.STUDY: _OF_STUDIES,
    Level.SERIES: _OF_STUDIES + _WITHIN[:2],
    Level.INSTANCE: _OF_STUDIES + _WITHIN,
}
_BELOW_STUDIES = {Level.SERIES: _WITHIN[:2], Level.INSTANCE: _WITHIN}
_LOWER_KEYS = frozenset({"series_instance_uid", "sop_instance_uid"})
_ORDER_INDEX = "ix_studies_study_date_study_time_row_id"


@dataclass(frozen=True, slots=True)
class SearchShape:
    """The shape of a search: all but the values, the limit and the offset.

    `start` is the position of the shape to begin with: the few rows whose values are such.
    """

    level: Level
    shapes: tuple[Shape, ...]
    columns: frozenset[str]
    in_study: bool
    in_series: bool
    start: int | None = None

    @property
    def in_path(self) -> frozenset[Level]:
        """The levels that the path names above the one searched for."""
        named = ((Level.STUDY, self.in_study), (Level.SERIES, self.in_series))
        return frozenset(level for level, is_named in named if is_named and level is not self.level)

    @property
    def has_lower_key(self) -> bool:
        """True if a series or an instance is selected by its UID."""
        return not self.columns.isdisjoint(_LOWER_KEYS)

    @property
    def is_of_all_studies(self) -> bool:
        """True if no index selects few studies, so that all are walked in their order."""
        is_narrow = self.in_study or self.has_lower_key or self.start is not None
        return not (is_narrow or any(map(uses_study_index, self.shapes)))

    @property
    def has_tags(self) -> bool:
        """True if the search has conditions on query tags."""
        return "query_tag" in self.columns

    def conditions(self, dialect: Dialect) -> list[ColumnElement[bool]]:
        """Return the conditions on the joined rows."""
        found = conditions(self.shapes, dialect)
        if self.start is not None:
            del found[self.start]  # the rows that are begun with are those for which it holds
        if self.in_study:
            found.append(studies.c.study_instance_uid == bindparam("study_uid"))
        if self.in_series:
            found.append(series.c.series_instance_uid == bindparam("series_uid"))
        return found


def page_in_order(search: SearchShape, dialect: Dialect) -> Subquery:
    """Return the row ids of the results, from a database that keeps the order of joins."""
    found = (
        select(TABLES[search.level].c.row_id)
        .select_from(joined(search, dialect))
        .where(*search.conditions(dialect))
    )
    return found.order_by(*ORDER[search.level]).limit(LIMIT).offset(OFFSET).subquery("page")


def numbered_page(search: SearchShape, dialect: Dialect) -> Subquery:
    """Return the row ids of the results, each with its position in the order."""
    is_narrow = search.in_study or search.has_lower_key or search.start is not None
    if search.level is Level.STUDY or is_narrow:
        return _sorted_page(search, dialect)
    return _page_by_study(search, dialect)


def joined(search: SearchShape, dialect: Dialect) -> FromClause:
    """Return the join of studies down to the level; with `start`, beginning at the tagged rows."""
    if search.start is not None:
        return _joined_to_tagged(search, search.start, dialect)
    down = not search.has_lower_key
    study_row_id: Any = dialect.no_reorder(studies.c.row_id) if down else studies.c.row_id
    series_row_id: Any = dialect.no_reorder(series.c.row_id) if down else series.c.row_id
    rows: FromClause = studies
    if search.level is not Level.STUDY:
        rows = rows.join(series, series.c.study_row_id == study_row_id)
    if search.level is Level.INSTANCE:
        rows = rows.join(instances, instances.c.series_row_id == series_row_id)
    return rows


def _joined_to_tagged(search: SearchShape, start: int, dialect: Dialect) -> FromClause:
    level = search.shapes[start][1]
    tagged = rows_tagged(search.shapes, start, dialect).distinct().subquery("tagged")
    table = TABLES[level]
    rows: FromClause = tagged.join(table, table.c.row_id == dialect.no_reorder(tagged.c.row_id))
    if level is Level.INSTANCE:
        rows = rows.join(series, series.c.row_id == dialect.no_reorder(instances.c.series_row_id))
    if level is not Level.STUDY:
        rows = rows.join(studies, studies.c.row_id == dialect.no_reorder(series.c.study_row_id))
    elif search.level is not Level.STUDY:
        rows = rows.join(series, series.c.study_row_id == dialect.no_reorder(studies.c.row_id))
    if search.level is Level.INSTANCE and level is not Level.INSTANCE:
        rows = rows.join(
            instances, instances.c.series_row_id == dialect.no_reorder(series.c.row_id)
        )
    return rows


def _sorted_page(search: SearchShape, dialect: Dialect) -> Subquery:
    """Return a page whose order one database index gives, or that has few rows to sort."""
    order = ORDER[search.level]
    keys = [_plain(column).label(f"key_{number}") for number, column in enumerate(order)]
    found = select(TABLES[search.level].c.row_id, *keys).select_from(joined(search, dialect))
    found = _force_order_index(search, found, dialect)
    if search.has_tags and not search.has_lower_key:
        # Or the server might begin with all that have a value, however many that are.
        found = dialect.force_join_order(found)
    found = found.where(*search.conditions(dialect)).order_by(*order).limit(LIMIT).offset(OFFSET)
    rows = found.subquery("found")
    again = [
        rows.c[key.name].desc() if number < len(_OF_STUDIES) else rows.c[key.name]
        for number, key in enumerate(keys)
    ]
    position = func.row_number().over(order_by=again).label("position")
    return select(rows.c.row_id, position).subquery("page")


def _page_by_study(search: SearchShape, dialect: Dialect) -> Subquery:
    """Return a page across studies: first the studies on it, then their rows."""
    touched = _touched_studies(search, dialect)
    table = TABLES[search.level]
    rows: FromClause = touched.join(studies, studies.c.row_id == touched.c.row_id)
    rows = rows.join(series, series.c.study_row_id == studies.c.row_id)
    if search.level is Level.INSTANCE:
        rows = rows.join(instances, instances.c.series_row_id == series.c.row_id)
    in_study = func.row_number().over(
        partition_by=touched.c.row_id, order_by=_BELOW_STUDIES[search.level]
    )
    found = select(table.c.row_id, (touched.c.before + in_study).label("position"))
    found = dialect.force_join_order(found.select_from(rows).where(*search.conditions(dialect)))
    numbered = found.subquery("numbered")
    on_page = (numbered.c.position > OFFSET, numbered.c.position <= END)
    return select(numbered.c.row_id, numbered.c.position).where(*on_page).subquery("page")


def _touched_studies(search: SearchShape, dialect: Dialect) -> Subquery:
    """Return the studies with rows on the page, and the number of matches before each."""
    walked: Select[Any] = select(studies.c.row_id, studies.c.study_date, studies.c.study_time)
    walked = walked.select_from(joined(search, dialect)).where(*search.conditions(dialect))
    walked = dialect.force_join_order(_force_order_index(search, walked, dialect))
    rows = walked.order_by(*_OF_STUDIES).limit(END).subquery("walked")
    counted = select(*rows.c, func.count().label("matches")).group_by(*rows.c).subquery("counted")
    order = (counted.c.study_date.desc(), counted.c.study_time.desc(), counted.c.row_id.desc())
    until = func.sum(counted.c.matches).over(order_by=order)
    summed = select(counted.c.row_id, counted.c.matches, until.label("until")).subquery("summed")
    before = (summed.c.until - summed.c.matches).label("before")
    return select(summed.c.row_id, before).where(summed.c.until > OFFSET).subquery("touched")


def _force_order_index(search: SearchShape, found: Select[Any], dialect: Dialect) -> Select[Any]:
    """Force the index of the order on a search of all studies, so that not all are sorted."""
    return dialect.force_index(found, studies, _ORDER_INDEX) if search.is_of_all_studies else found


def _plain(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column.element if isinstance(column, UnaryExpression) else column
