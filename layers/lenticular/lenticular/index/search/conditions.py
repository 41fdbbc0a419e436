"""From matchers to SQL: every matching of PS3.4 C.2.2.2 over the folded columns.

In two steps, so that a statement is composed and compiled once for all questions of a kind: a
matcher becomes a Shape, a nested tuple that says how columns are compared, and the values they
are compared with; a Shape becomes a condition with a parameter for each of the values.

Beginnings of text become ranges, for which every database uses an index; what LIKE would take
for its own wildcards is escaped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import count
from operator import eq, ge, gt, le, lt
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, case, or_, select

from lenticular.dicom.match.matchers import (
    AllOf,
    AnyOf,
    Empty,
    Groups,
    InZones,
    Matcher,
    Moments,
    OneOf,
    ValueRange,
    Wildcard,
    Words,
)
from lenticular.dicom.model import Level
from lenticular.dicom.query_tags import QueryTag
from lenticular.dicom.search_attributes import Attribute
from lenticular.index.search.projection import offset_from_utc
from lenticular.index.sql.dialect import Dialect
from lenticular.index.sql.schema import (
    NAME_GROUPS,
    TAG_VALUES,
    column_names,
    instances,
    series,
    studies,
)
from lenticular.index.write.rows import LIST_MARK

TABLES: dict[Level, Table] = {
    Level.STUDY: studies,
    Level.SERIES: series,
    Level.INSTANCE: instances,
}

Shape = tuple[Any, ...]
"""("and" | "or", shape, …), ("null", column), ("in", column, how many), (">=" | "<=" | ">" | "<" |
"like", column) or ("zone", level, shape otherwise, (offset, shape), …); a column is a level and a
name. Of what is searched for by configuration ("tagged" | "untagged", level, shape): there is a row
of values for which that holds, or none."""

COMMON_PARAMETERS = 64

Values = list[str | int]
Column = tuple[Level, str]

_INDEXED: frozenset[Column] = frozenset(
    (Level.STUDY, name)
    for name in (
        *("study_instance_uid", "patient_id", "accession_number"),
        *("patient_name", "patient_name_ideographic", "patient_name_phonetic"),
    )
)
"""Columns of studies with an index that leads to few; that of dates is the order anyway."""

_JOINS: dict[str, Callable[..., Any]] = {"and": and_, "or": or_}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "in": eq,
    ">=": ge,
    "<=": le,
    ">": gt,
    "<": lt,
    "like": lambda column, pattern: column.like(pattern, escape=_ESCAPE),
}
_ESCAPE = "!"
_LAST_CHARACTER = "\U0010ffff"
_LITERAL = str.maketrans({c: _ESCAPE + c for c in ("%", "_", _ESCAPE)})
_LIKE = {**_LITERAL, ord("*"): "%", ord("?"): "_"}


def shape_of(attribute: Attribute, matcher: Matcher, values: Values) -> Shape:
    """Return the shape of a condition, and append the values that it compares with."""
    if isinstance(attribute, QueryTag):
        return _tagged(attribute, matcher, values)
    columns = [(attribute.level, name) for name in column_names(attribute)]
    return _shape(columns, matcher, values, attribute.has_several)


def conditions(shapes: Iterable[Shape], dialect: Dialect) -> list[ColumnElement[bool]]:
    """Return the shapes in SQL, with the parameters `value_0`, `value_1` and so on."""
    numbers = count()
    return [_condition(shape, numbers, dialect) for shape in shapes]


def rows_tagged(shapes: Sequence[Shape], position: int, dialect: Dialect) -> Select[Any]:
    """Return a query for the rows whose query tag values satisfy the shape at this position."""
    numbers = count()
    for shape in shapes[:position]:
        _condition(shape, numbers, dialect)  # for the numbers of its parameters
    return _rows_tagged(shapes[position], numbers, dialect)


def is_selective(shape: Shape) -> bool:
    """Return True if a database index finds the matching rows: one value, or a range."""
    kind, *rest = shape
    if kind == "tagged":
        return is_selective(rest[1])
    if kind == "or":
        return all(map(is_selective, rest))
    if kind == "and":
        ends = {each[0] for each in rest}
        is_range = ">=" in ends and not ends.isdisjoint(("<", "<="))
        return is_range or any(map(is_selective, rest))
    return bool(kind == "in" and rest[0][1] == "value")


def uses_study_index(shape: Shape) -> bool:
    """Return True if an index of the table of studies finds the matching rows."""
    kind, *rest = shape
    if kind == "and":
        return any(map(uses_study_index, rest))
    if kind == "or":
        return all(map(uses_study_index, rest))
    return kind not in ("like", "zone", "tagged", "untagged") and rest[0] in _INDEXED


def parameters(values: Values) -> dict[str, Any]:
    """Return the values as those parameters."""
    return {f"value_{number}": value for number, value in enumerate(values)}


def is_common(parameters: Sized) -> bool:
    """Return True if a compiled statement is worth keeping; not for long lists of UIDs."""
    return len(parameters) < COMMON_PARAMETERS


def _condition(
    shape: Shape,
    numbers: Iterator[int],
    dialect: Dialect,
    tables: Mapping[Level, Table] = TABLES,
) -> Any:
    kind, *rest = shape
    if kind in _JOINS:
        return _JOINS[kind](*(_condition(each, numbers, dialect, tables) for each in rest))
    if kind == "zone":
        level, otherwise, *by_offset = rest
        unknown = _condition(otherwise, numbers, dialect)
        known = {offset: _condition(each, numbers, dialect) for offset, each in by_offset}
        return case(known, value=offset_from_utc(level, dialect), else_=unknown)
    if kind in ("tagged", "untagged"):
        level = rest[0]
        same = TAG_VALUES[level].c.row_id == TABLES[level].c.row_id
        found = _rows_tagged(shape, numbers, dialect).where(same).correlate(TABLES[level])
        # No EXISTS, and this index: MariaDB would look for all rows that have such a value.
        index = f"ix_{TAG_VALUES[level].name}_row_id_tag_id"
        found = dialect.force_index(found, TAG_VALUES[level], index)
        one = found.limit(1).scalar_subquery()
        return one.is_not(None) if kind == "tagged" else one.is_(None)
    (level, name), *how_many = rest
    column = tables[level].c[name]
    if kind == "null":
        return column.is_(None)
    values: list[Any] = [bindparam(f"value_{next(numbers)}") for _ in range(*how_many or (1,))]
    if kind == "in" and len(values) > 1:
        return column.in_(values)
    return _COMPARISONS[kind](column, values[0])


def _rows_tagged(shape: Shape, numbers: Iterator[int], dialect: Dialect) -> Select[Any]:
    _, level, inner = shape
    found = select(TAG_VALUES[level].c.row_id)
    return found.where(_condition(inner, numbers, dialect, TAG_VALUES))


def _tagged(tag: QueryTag, matcher: Matcher, values: Values, part: int | None = None) -> Shape:
    """Return the shape of a condition on query tag values; `part` is a group of names."""
    match matcher:
        case AllOf(matchers):
            return ("and", *(_tagged(tag, each, values, part) for each in matchers))
        case AnyOf(matchers) if not _is_of_one_row(matcher):
            return ("or", *(_tagged(tag, each, values, part) for each in matchers))
        case Groups(groups):
            asked = [(n, group) for n, group in enumerate(groups) if group is not None]
            return ("and", *(_tagged(tag, group, values, n) for n, group in asked))
        case Words(patterns) if len(patterns) > 1:
            words = (Words((pattern,)) for pattern in patterns)
            return ("and", *(_tagged(tag, word, values, part) for word in words))
    inner: list[Shape] = []
    for name, value in (("tag_id", tag.tag_id), ("part", part)):
        if value is not None:
            inner.append(("in", (tag.level, name), 1))
            values.append(value)
    if isinstance(matcher, Empty):
        return ("untagged", tag.level, ("and", *inner))
    inner.append(_shape([(tag.level, "value")], matcher, values, several=False))
    return ("tagged", tag.level, ("and", *inner))


def _is_of_one_row(matcher: Matcher) -> bool:
    """Return True if one row of values decides the match."""
    if isinstance(matcher, AnyOf):
        return all(map(_is_of_one_row, matcher.matchers))
    return isinstance(matcher, OneOf | Wildcard | ValueRange)


def _shape(columns: list[Column], matcher: Matcher, values: Values, several: bool) -> Shape:
    match matcher:
        case AnyOf(matchers):
            return ("or", *(_shape(columns, each, values, several) for each in matchers))
        case AllOf(matchers):
            return ("and", *(_shape(columns, each, values, several) for each in matchers))
        case Empty():
            return ("and", *(("null", column) for column in columns))
        case Groups(groups):
            # A column for each group, or all groups in one.
            own = columns if len(columns) == len(NAME_GROUPS) else columns * len(NAME_GROUPS)
            pairs = [(c, group) for c, group in zip(own, groups, strict=False) if group is not None]
            return ("and", *(_shape([c], group, values, several) for c, group in pairs))
        case Words(patterns) if len(patterns) > 1:
            words = (Words((pattern,)) for pattern in patterns)
            return ("and", *(_shape(columns, word, values, several) for word in words))
    compare = _element_shape if several else _value_shape
    return ("or", *(compare(column, matcher, values) for column in columns))


def _moments_shape(date: Column, moments: Moments, values: Values) -> Shape:
    """Return the shape of a range of date-times; a database index of dates finds the days."""
    time = _column(moments.time)
    steps: list[Shape] = []
    for end, closed, beyond in ((moments.low, ">=", ">"), (moments.high, "<=", "<")):
        if end is not None:
            day, moment = end
            values += [day, day, moment]
            steps += [(closed, date), ("or", (beyond, date), (closed, time))]
    return ("and", *steps)


def _zones_shape(column: Column, zones: InZones, values: Values) -> Shape:
    """Return the shape of matchers by an instance's offset; without a time it has no zone."""

    def shape(matcher: Matcher) -> Shape:
        return _shape([column], matcher, values, several=False)

    timeless = ("and", ("null", _column(zones.time)), shape(zones.otherwise))
    unknown = shape(zones.otherwise)
    known = [(offset, shape(matcher)) for offset, matcher in zones.by_offset]
    return ("or", timeless, ("zone", zones.time.level, unknown, *known))


def _column(attribute: Attribute) -> Column:
    return attribute.level, attribute.column


def _value_shape(column: Column, matcher: Matcher, values: Values) -> Shape:
    match matcher:
        case OneOf(wanted):
            values += wanted
            return ("in", column, len(wanted))
        case Wildcard(pattern):
            return _like(column, pattern, values)
        case Words((word,)):
            beginning = _like(column, word + "*", values)
            return ("or", beginning, _like(column, f"* {word}*", values))
        case ValueRange(low, high):
            ends = [(">=", low), ("<=", high)]
            values += [end for _, end in ends if end is not None]
            return ("and", *((kind, column) for kind, end in ends if end is not None))
        case Moments():
            return _moments_shape(column, matcher, values)
        case InZones():
            return _zones_shape(column, matcher, values)
    raise TypeError(f"{matcher} does not match a value")


def _element_shape(column: Column, matcher: Matcher, values: Values) -> Shape:
    """Return the shape that one element of a list matches; marks separate the elements."""
    match matcher:
        case OneOf(wanted):
            likes = [f"{LIST_MARK}{str(value).translate(_LITERAL)}{LIST_MARK}" for value in wanted]
        case Wildcard(pattern):
            likes = [f"{LIST_MARK}{pattern.translate(_LIKE)}{LIST_MARK}"]
        case Words((word,)):
            likes = [before + word.translate(_LIKE) for before in (LIST_MARK, " ")]
        case _:
            raise TypeError(f"{matcher} does not match an element")
    values += [f"%{like}%" for like in likes]
    return ("or", *(("like", column) for _ in likes))


def _like(column: Column, pattern: str, values: Values) -> Shape:
    beginning = pattern[: min(pattern.find(c) % (len(pattern) + 1) for c in "*?")]
    steps: list[Shape] = []
    if beginning:
        values += [beginning, beginning + _LAST_CHARACTER]
        steps += [(">=", column), ("<", column)]
    if not beginning or pattern != beginning + "*":
        values.append(pattern.translate(_LIKE))
        steps.append(("like", column))
    return ("and", *steps)
