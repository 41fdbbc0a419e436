"""Match dates together with times, in the time zone of the query, PS3.18 8.3.4.1.

Combined Date-Time Matching (PS3.4 C.2.2.2.5): a date range and a time range that are open at the
same ends are matched as one range of date-times. TimezoneOffsetFromUTC as a key sets the time zone
of the keys; for an instance with its own offset, the keys are converted into that. Dates and times
of instances without one are compared as written.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from lenticular.dicom.match import matchers
from lenticular.dicom.match.matchers import (
    AllOf,
    AnyOf,
    Empty,
    InZones,
    Matcher,
    MatchOptions,
    Moment,
    Moments,
    OneOf,
    ValueRange,
)
from lenticular.dicom.match.temporal import split_range, written_offset
from lenticular.dicom.search_attributes import SEARCHED, Attribute, MatchingKind
from lenticular.errors import InvalidRequest

_OFFSET = re.compile(r"([+ -]?)([0-9]{2})([0-9]{2})", re.ASCII)
_QUARTER = 15
_FURTHEST_WEST, _FURTHEST_EAST = -12 * 60, 14 * 60
_MIDNIGHT, _LAST_OF_DAY = "000000.000000", "235959.999999"
_FIRST_DAY, _LAST_DAY = "0" * 8, "9" * 8

MAXIMUM_IN_ZONES = 20
"""Dates and times of a query with a time zone: each is compared in a hundred zones."""

_OF_COLUMN = {each.column: each for level in SEARCHED.values() for each in level}
_TIME_OF = {
    each: _OF_COLUMN[each.column.removesuffix("_date") + "_time"]
    for each in _OF_COLUMN.values()
    if each.kind is MatchingKind.DATE and each.column.removesuffix("_date") + "_time" in _OF_COLUMN
}
"""The time that belongs to a date; a birth date has none, and is the same in every time zone."""

_DATE_OF = {time: date for date, time in _TIME_OF.items()}

Condition = tuple[Attribute, Matcher]
Keys = Mapping[Attribute, Sequence[str]]


def parse_offset(value: str) -> int:
    """Return the minutes from UTC of a value such as `+0100`; an unescaped plus is a space."""
    match = _OFFSET.fullmatch(value)
    minutes = int(match[2]) * 60 + int(match[3]) if match and match[3] < "60" else None
    if match is not None and minutes is not None:
        minutes = -minutes if match[1] == "-" else minutes
        if _FURTHEST_WEST <= minutes <= _FURTHEST_EAST:
            return minutes
    raise InvalidRequest("TimezoneOffsetFromUTC must be an offset such as +0100 or -0530.")


def conditions(keys: Keys, options: MatchOptions) -> Iterator[Condition]:
    """Yield the conditions of a search; dates and times are combined and moved to the zone."""
    combined = {date: time for date, time in _TIME_OF.items() if _are_combined(keys, date, time)}
    in_zones = 0
    for attribute, values in keys.items():
        matcher = matchers.parse(attribute, values, options)
        if attribute in combined.values() or matcher is None:
            continue
        if attribute in combined:
            time = combined[attribute]
            times = matchers.parse(time, keys[time], options)
            matcher = _together(time, matcher, times)
        in_zones += _count(matcher) if attribute in _TIME_OF or attribute in _DATE_OF else 0
        if options.offset is not None and in_zones > MAXIMUM_IN_ZONES:
            raise InvalidRequest(
                f"A search in a time zone may have at most {MAXIMUM_IN_ZONES} dates and times."
            )
        yield attribute, _in_zones(attribute, matcher, options)


def _count(matcher: Matcher) -> int:
    """Count the values and ranges of a matcher."""
    match matcher:
        case OneOf(wanted):
            return len(wanted)
        case AnyOf(matchers):
            return sum(map(_count, matchers))
    return 1


def _are_combined(keys: Keys, date: Attribute, time: Attribute) -> bool:
    """Return True if both are one range each, and open at the same ends."""
    forms = [_open_ends(keys.get(each, ())) for each in (date, time)]
    return forms[0] is not None and forms[0] == forms[1]


def _open_ends(keys: Sequence[str]) -> tuple[bool, bool] | None:
    """Return which ends of a single range are open; None for other keys."""
    ends = split_range(keys[0]) if len(keys) == 1 and not set(keys[0]) & set(",\\") else None
    return (bool(ends[0].strip()), bool(ends[1].strip())) if ends else None


def _together(time: Attribute, dates: Matcher, times: Matcher | None) -> Matcher:
    """Return a date matcher and a time matcher as one."""
    assert isinstance(dates, ValueRange)
    assert isinstance(times, ValueRange)
    low = (dates.low, times.low) if dates.low and times.low else None
    high = (dates.high, times.high) if dates.high and times.high else None
    return Moments(time, low, high)


def _in_zones(attribute: Attribute, matcher: Matcher, options: MatchOptions) -> Matcher:
    """Return the matcher for instances of any time zone, if the keys have one."""
    if options.offset is None or matcher == Empty():
        return matcher
    if isinstance(matcher, AnyOf) and Empty() in matcher.matchers:
        # An empty value has no time zone.
        return AnyOf(tuple(_in_zones(attribute, each, options) for each in matcher.matchers))
    if attribute in _TIME_OF:
        time, moments = _TIME_OF[attribute], _as_moments(_TIME_OF[attribute], matcher)
        zones = InZones(time, matcher, _by_offset(moments, options.offset, _moved))
        # A database index finds the days, but not times in a hundred time zones.
        return AllOf((_days(moments), zones))
    if attribute in _DATE_OF:
        return InZones(attribute, matcher, _by_offset(matcher, options.offset, _turned))
    return matcher


def _by_offset(
    matcher: Matcher, offset: int, shift: Callable[[Matcher, timedelta], Matcher]
) -> tuple[tuple[str, Matcher], ...]:
    """Return the matcher for each possible offset, for keys given at this one."""
    minutes = range(_FURTHEST_WEST, _FURTHEST_EAST + 1, _QUARTER)
    return tuple(
        (written_offset(each), shift(matcher, timedelta(minutes=each - offset))) for each in minutes
    )


def _as_moments(time: Attribute, dates: Matcher) -> Matcher:
    """Return days as the time from midnight to midnight."""
    match dates:
        case OneOf(days):
            return AnyOf(tuple(_from_day_to_day(time, str(day), str(day)) for day in days))
        case ValueRange(low, high):
            return _from_day_to_day(time, low, high)
        case AnyOf(matchers):
            return AnyOf(tuple(_as_moments(time, each) for each in matchers))
    return dates


def _from_day_to_day(time: Attribute, first: str | None, last: str | None) -> Moments:
    """Return the range from the beginning of a day to the end of another."""
    low = (first, _MIDNIGHT) if first else None
    high = (last, _LAST_OF_DAY) if last else None
    return Moments(time, low, high)


def _days(moments: Matcher) -> Matcher:
    """Return the days on which these times may be in some time zone."""
    each = list(_each(moments))
    earliest = min(one.low[0] if one.low else _FIRST_DAY for one in each)
    latest = max(one.high[0] if one.high else _LAST_DAY for one in each)
    return ValueRange(_neighbour(earliest, -1), _neighbour(latest, 1))


def _neighbour(day: str, by: int) -> str:
    """Return the day before or after."""
    moment = _shift((day, _MIDNIGHT), timedelta(days=by))
    return moment[0] if moment else day


def _each(matcher: Matcher) -> Iterator[Moments]:
    """Yield the ranges of a matcher."""
    if isinstance(matcher, AnyOf):
        for each in matcher.matchers:
            yield from _each(each)
    else:
        assert isinstance(matcher, Moments)
        yield matcher


def _moved(matcher: Matcher, by: timedelta) -> Matcher:
    """Return a matcher moved by an offset."""
    if isinstance(matcher, AnyOf):
        return AnyOf(tuple(_moved(each, by) for each in matcher.matchers))
    assert isinstance(matcher, Moments)
    low, high = (end and _shift(end, by) for end in (matcher.low, matcher.high))
    return replace(matcher, low=low, high=high)


def _turned(matcher: Matcher, by: timedelta) -> Matcher:
    """Return times of day in another time zone, where they may pass midnight."""
    match matcher:
        case OneOf(times):
            return OneOf(tuple(_turn(str(time), by) for time in times))
        case ValueRange(low, high) if not (low and high and low > high):
            first, last = _turn(low or _MIDNIGHT, by), _turn(high or _LAST_OF_DAY, by)
            if first <= last:
                return ValueRange(first, last)
            return AnyOf((ValueRange(first, None), ValueRange(None, last)))
        case AnyOf(matchers):
            return AnyOf(tuple(_turned(each, by) for each in matchers))
    return matcher


def _turn(time: str, by: timedelta) -> str:
    """Return a time of day moved by an offset."""
    moved = _shift(("20000102", time), by)
    assert moved is not None
    return moved[1]


def _shift(moment: Moment, by: timedelta) -> Moment | None:
    """Return the date and time that much later; None beyond the years of the calendar."""
    day, time = moment
    since = timedelta(
        hours=int(time[:2]),
        minutes=int(time[2:4]),
        seconds=int(time[4:6]),
        microseconds=int(time[7:]),
    )
    try:
        moved = datetime(int(day[:4]), int(day[4:6]), int(day[6:])) + since + by
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04}{moved:%m%d}", f"{moved:%H%M%S.%f}"
