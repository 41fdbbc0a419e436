"""Attribute matching, PS3.4 C.2.2.2: from search keys to matchers of normal values.

Keys and stored values have one normal form: text is folded, components of a person's name are
separated by single spaces, dates, times and numbers have one spelling. So comparing strings byte by
byte, which every database does alike, is the matching that the standard means.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lenticular.dicom.integers import integer
from lenticular.dicom.match.decimal_values import normal_decimal
from lenticular.dicom.match.temporal import (
    date_bounds,
    datetime_bounds,
    split_datetime_range,
    split_range,
    time_bounds,
    written_offset,
)
from lenticular.dicom.match.text_folding import fold
from lenticular.dicom.search_attributes import Attribute, MatchingKind
from lenticular.dicom.uids import problem_of
from lenticular.errors import InvalidRequest

COMPARED_LENGTH = 255
"""Text is compared up to this length; every VR that identifies something is shorter."""

MAXIMUM_KEY = 4096
MAXIMUM_VALUES = 100
MAXIMUM_UIDS = 10_000
MAXIMUM_WORDS = 32
_WORD_BREAKS = re.compile(r"[\s^=,]+")
_NUMBERS = frozenset({"IS", "DS", "FL", "FD", "SS", "US", "SL", "UL", "SV", "UV"})
_EXACT = _NUMBERS | {"UI", "DA", "TM", "DT"}
_WITHOUT_COMMA = _EXACT | {"CS", "AS"}
# The characters of a key that any value matches. A backslash separates values, so no value has
# one (PS3.5 6.4).
_BLANK = {"PN": " *\\^=,", "CS": " *\\,", "AS": " *\\,"}


@dataclass(frozen=True, slots=True)
class OneOf:
    """Single Value and List of UID Matching, C.2.2.2.1 and C.2.2.2.2."""

    values: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Wild Card Matching, C.2.2.2.4: `*` any run of characters, `?` exactly one."""

    pattern: str


@dataclass(frozen=True, slots=True)
class ValueRange:
    """Range Matching, C.2.2.2.5, both ends included; None is an open end."""

    low: str | None
    high: str | None


Moment = tuple[str, str]
"""A day and a time of day."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Range Matching of a date and its time together, both ends included."""

    time: Attribute
    low: Moment | None
    high: Moment | None


@dataclass(frozen=True, slots=True)
class InZones:
    """Matchers by the Timezone Offset From UTC of an instance, such as `+0100`.

    `otherwise` is for instances with another offset, without one, or without a time.
    """

    time: Attribute
    otherwise: "Matcher"
    by_offset: tuple[tuple[str, "Matcher"], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Fuzzy matching of a name: each pattern is the beginning of one of its words."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Groups:
    """A name given by its alphabetic, ideographic and phonetic group (PS3.5 6.2.1)."""

    groups: tuple["Matcher | None", ...]


@dataclass(frozen=True, slots=True)
class Empty:
    """Empty Value Matching, C.2.2.2.7: the attribute is absent or has no value."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any of several matchers."""

    matchers: tuple["Matcher", ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """Multiple Value Matching, C.2.2.2.8: each must match one of the attribute's values."""

    matchers: tuple["Matcher", ...]


Matcher = OneOf | Wildcard | ValueRange | Moments | InZones | Words | Groups | Empty | AnyOf | AllOf


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """Options of matching that the client chooses (PS3.18 8.3.4.2, 8.3.4.5 and 8.3.4.6).

    `offset` is that of the keys' time zone, in minutes from UTC.
    """

    fuzzy: bool = False
    empty: bool = False
    multiple: bool = False
    offset: int | None = None


def parse(
    attribute: Attribute, keys: Sequence[str], options: MatchOptions = MatchOptions()
) -> Matcher | None:
    """Return the matcher for the keys of an attribute; None if any value matches.

    Universal Matching, C.2.2.2.3, is an empty key; a lone `*` means the same, and so does a list of
    such values. (A backslash typed into a viewer's filter makes such a list.) An attribute given
    more than once may match any of its keys, as a list does.
    """
    given = [key for key in keys if not _is_universal(attribute, key)]
    _check_size(attribute, given)
    return _any_of([_parse_key(attribute, key, options) for key in given])


def _parse_key(attribute: Attribute, key: str, options: MatchOptions) -> Matcher:
    """Return the matcher of one key."""
    if options.empty and key.strip() == '""':
        return Empty()
    values = [value for value in _split(attribute.vr, key) if not _is_universal(attribute, value)]
    if not values:
        raise InvalidRequest(f"'{_shown(key)}' is a list without a value.")
    if options.multiple and attribute.has_several and len(values) > 1:
        return AllOf(tuple(_parse_value(attribute, value, options) for value in values))
    matcher = _any_of([_parse_value(attribute, value, options) for value in values])
    assert matcher is not None
    return matcher


def _is_universal(attribute: Attribute, key: str) -> bool:
    """Return True if every value matches the key."""
    return not key.strip(_BLANK.get(attribute.vr, " *" if attribute.vr in _EXACT else " *\\"))


def _check_size(attribute: Attribute, keys: Sequence[str]) -> None:
    """Refuse keys that are too many or too long for a database; lists of UIDs may be long."""
    values = sum(len(_split(attribute.vr, key)) for key in keys)
    if attribute.kind is MatchingKind.UID:
        if values > MAXIMUM_UIDS:
            raise InvalidRequest(f"A list may hold at most {MAXIMUM_UIDS} UIDs.")
    elif values > MAXIMUM_VALUES or sum(map(len, keys)) > MAXIMUM_KEY:
        raise InvalidRequest(
            f"What to search for has {MAXIMUM_KEY} characters and {MAXIMUM_VALUES} values at most."
        )


def _any_of(matchers: list[Matcher]) -> Matcher | None:
    """Return the matchers as one; plain values among them become one list."""
    plain = [value for each in matchers if isinstance(each, OneOf) for value in each.values]
    rest = [each for each in matchers if not isinstance(each, OneOf)]
    joined = ([OneOf(tuple(dict.fromkeys(plain)))] if plain else []) + rest
    return AnyOf(tuple(joined)) if len(joined) > 1 else joined[0] if joined else None


def _parse_value(attribute: Attribute, value: str, options: MatchOptions) -> Matcher:
    """Return the matcher of one value of a key."""
    if attribute.vr == "PN":
        return _name(attribute, value, options)
    if attribute.kind is MatchingKind.DATETIME:
        return _datetime(value, options)
    if attribute.kind is MatchingKind.DECIMAL:
        return _decimal(attribute, value)
    return _PARSERS.get(attribute.kind, _text)(value)


def _split(vr: str, key: str) -> list[str]:
    """Return the values of a key."""
    return re.split(r"[,\\]" if vr in _WITHOUT_COMMA else r"\\", key)


def _uid(value: str) -> str:
    uid = value.strip().rstrip("\0")
    if problem := problem_of(uid):
        raise InvalidRequest(f"'{_shown(value)}' cannot be a UID: it {problem}.")
    return uid


def _number(value: str) -> Matcher:
    number = integer(value)
    if number is None:
        raise InvalidRequest(f"'{_shown(value)}' is not a whole number.")
    return OneOf((number,))


def _decimal(attribute: Attribute, value: str) -> Matcher:
    number = normal_decimal(value, attribute.vr)
    if number is None:
        raise InvalidRequest(f"'{_shown(value)}' is not a number.")
    return OneOf((number,))


def _text(value: str) -> Matcher:
    return _plain_or_wildcard(fold(value))


def _plain_or_wildcard(folded: str) -> Matcher:
    if "*" in folded or "?" in folded:
        return Wildcard(re.sub(r"\*+", "*", folded))
    return OneOf((folded[:COMPARED_LENGTH],))


def _name(attribute: Attribute, value: str, options: MatchOptions) -> Matcher:
    """Return the matcher of a person's name."""
    if options.fuzzy:
        return _words(value)
    if "=" not in value:
        return _name_group(value)
    groups = tuple(
        _name_group(group) if group.strip("*^ ") else None for group in value.split("=")[:3]
    )
    return Groups(groups)


def _words(value: str) -> Words:
    """Return the fuzzy matcher of a name."""
    patterns = tuple(filter(None, map(_wildcard_word, _WORD_BREAKS.split(fold(value)))))
    if not 0 < len(patterns) <= MAXIMUM_WORDS:
        raise InvalidRequest(f"A name to search for must have 1 to {MAXIMUM_WORDS} words.")
    return Words(patterns)


def _wildcard_word(word: str) -> str:
    return "" if not word.strip("*") else re.sub(r"\*+", "*", word).removesuffix("*")


def _name_group(value: str) -> Matcher:
    pattern = normal_name(value)
    # `Smith^*` is also the Smith whose given name is not known: trailing carets are left out.
    if pattern.endswith(" *") and pattern.strip("* "):
        return AnyOf((_plain_or_wildcard(pattern[:-2].rstrip()), _plain_or_wildcard(pattern)))
    return _plain_or_wildcard(pattern)


def _range_of(
    bounds: Callable[[str], tuple[str, str] | None],
    split: Callable[[str], tuple[str, str] | None],
    what: str,
) -> Callable[[str], Matcher]:
    """Return a parser of values and ranges with these bounds."""

    def parse_range(value: str) -> Matcher:
        ends = split(value)
        low, high = ends or (value, value)
        first, last = (bounds(end) if end.strip() else None for end in (low, high))
        if (low.strip() and not first) or (high.strip() and not last) or not (first or last):
            raise InvalidRequest(f"'{_shown(value)}' is not {what} or a range of them.")
        if first and not ends and first[0] == first[1]:
            return OneOf((first[0],))
        return ValueRange(first and first[0], last and last[1])

    return parse_range


_PARSERS: dict[MatchingKind, Callable[[str], Matcher]] = {
    MatchingKind.UID: lambda value: OneOf((_uid(value),)),
    MatchingKind.UIDS: lambda value: OneOf((_uid(value),)),
    MatchingKind.NUMBER: _number,
    MatchingKind.DATE: _range_of(date_bounds, split_range, "a date such as 20240229"),
    MatchingKind.TIME: _range_of(time_bounds, split_range, "a time such as 142530.5"),
}


def _datetime(value: str, options: MatchOptions) -> Matcher:
    offset = None if options.offset is None else written_offset(options.offset)
    bounds = partial(datetime_bounds, offset=offset)
    what = "a date and time such as 20240229142530+0100"
    return _range_of(bounds, split_datetime_range, what)(value)


def normal_text(value: Any) -> str | None:
    """Return text as it is compared; None if nothing is left of it."""
    return fold(str(value))[:COMPARED_LENGTH] or None


def normal_name(group: str) -> str:
    """Return one group of a person's name as it is compared: components with single spaces."""
    return " ".join(fold(group).replace("^", " ").split())[:COMPARED_LENGTH]


def name_groups(value: Any) -> tuple[str | None, str | None, str | None]:
    """Return the three groups of a name in the DICOM JSON Model (PS3.18 F.2.2) as compared."""
    if not isinstance(value, dict):
        value = {"Alphabetic": value}
    alphabetic, ideographic, phonetic = (
        normal_name(str(value.get(group) or "")) or None
        for group in ("Alphabetic", "Ideographic", "Phonetic")
    )
    return alphabetic, ideographic, phonetic


def _shown(value: str) -> str:
    """Return the beginning of a key for a message."""
    return "".join(c if c.isprintable() else "?" for c in value[:64])
