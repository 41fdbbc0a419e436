"""From a matcher to SQL: every matching of PS3.4 C.2.2.2 over the folded columns.

Beginnings of text become ranges, for which every database uses an index; what LIKE would take
for its own wildcards is escaped.
"""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Table, and_, or_

from lenticular.dicom.attributes import Attribute, Kind
from lenticular.dicom.instance import Level
from lenticular.dicom.matching import (
    AllOf,
    AnyOf,
    Empty,
    Groups,
    Matcher,
    OneOf,
    Range,
    Wildcard,
    Words,
)
from lenticular.index.rows import LIST_MARK
from lenticular.index.schema import NAME_GROUPS, column_names, instances, series, studies

TABLES: dict[Level, Table] = {
    Level.STUDY: studies,
    Level.SERIES: series,
    Level.INSTANCE: instances,
}

_ESCAPE = "!"
_LAST_CHARACTER = "\U0010ffff"
_LIKE = str.maketrans({"*": "%", "?": "_", **{c: _ESCAPE + c for c in ("%", "_", _ESCAPE)}})

Condition = ColumnElement[bool]
Column = ColumnElement[str]


def condition(attribute: Attribute, matcher: Matcher) -> Condition:
    """What must hold of the row that has the attribute."""
    columns: list[Column] = [TABLES[attribute.level].c[name] for name in column_names(attribute)]
    several = attribute.kind in (Kind.TEXTS, Kind.UIDS)
    return _matches(columns, matcher, _element_matches if several else _value_matches)


def _matches(
    columns: list[Column], matcher: Matcher, one: Callable[[Column, Matcher], Condition]
) -> Condition:
    """Conditions over the columns of an attribute: any of the groups of a name will do."""
    match matcher:
        case AnyOf(matchers):
            return or_(*(_matches(columns, each, one) for each in matchers))
        case AllOf(matchers):
            return and_(*(_matches(columns, each, one) for each in matchers))
        case Empty():
            return and_(*(column.is_(None) for column in columns))
        case Groups(groups):
            # A column for each group, or all groups in one.
            own = columns if len(columns) == len(NAME_GROUPS) else columns * len(NAME_GROUPS)
            pairs = [(c, group) for c, group in zip(own, groups, strict=False) if group is not None]
            return and_(*(_matches([column], group, one) for column, group in pairs))
        case Words(patterns) if len(patterns) > 1:
            return and_(*(_matches(columns, Words((word,)), one) for word in patterns))
    return or_(*(one(column, matcher) for column in columns))


def _value_matches(column: Column, matcher: Matcher) -> Condition:
    match matcher:
        case OneOf((value,)):
            return column == value
        case OneOf(values):
            return column.in_(values)
        case Wildcard(pattern):
            return _like(column, pattern)
        case Words((word,)):
            return or_(_like(column, word + "*"), _like(column, f"* {word}*"))
        case Range(low, high):
            ends = (
                column >= low if low is not None else None,
                column <= high if high is not None else None,
            )
            return and_(*(end for end in ends if end is not None))
    raise TypeError(f"{matcher} does not match a value")


def _element_matches(column: Column, matcher: Matcher) -> Condition:
    """One of the elements of a list matches, each of which stands between marks."""
    match matcher:
        case OneOf(values):
            return or_(*(_contains(column, f"{LIST_MARK}{_literal(v)}{LIST_MARK}") for v in values))
        case Wildcard(pattern):
            return _contains(column, f"{LIST_MARK}{pattern.translate(_LIKE)}{LIST_MARK}")
        case Words((word,)):
            like = word.translate(_LIKE)
            return or_(_contains(column, LIST_MARK + like), _contains(column, " " + like))
    raise TypeError(f"{matcher} does not match an element")


def _like(column: Column, pattern: str) -> Condition:
    beginning = pattern[: min(pattern.find(c) % (len(pattern) + 1) for c in "*?")]
    like = column.like(pattern.translate(_LIKE), escape=_ESCAPE)
    if not beginning:
        return like
    in_range = and_(column >= beginning, column < beginning + _LAST_CHARACTER)
    return in_range if pattern == beginning + "*" else and_(in_range, like)


def _contains(column: Column, like: str) -> Condition:
    return column.like(f"%{like}%", escape=_ESCAPE)


def _literal(value: str | int) -> str:
    return "".join(_ESCAPE + c if c in ("%", "_", _ESCAPE) else c for c in str(value))
