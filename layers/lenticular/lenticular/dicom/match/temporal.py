"""Dates and times as they are compared: DA, TM and DT of PS3.5 6.2.

The order of the strings is the order in time: `20240229`, `142530.500000` and, in UTC if the offset
is known, `20240229142530.500000`. A value of less precision covers a span of time, so it has two
bounds. The spellings of ACR-NEMA (`2024.02.29`, `14:25:30`) and of ISO 8601
(`2024-02-29T14:25:30Z`) are read too.
"""

import calendar
import re
from datetime import date, datetime, timedelta

_DATE = re.compile(r"([0-9]{4})([./-]?)([0-9]{2})\2([0-9]{2})", re.ASCII)
_WITH_SEPARATORS = re.compile(
    r"""(?<![0-9]) ([0-9]{4}) ([./-]) ([0-9]{2}) \2 ([0-9]{2})
    (?: [T\x20]? ([0-9]{2}) :? ([0-9]{2}) (?: :? ([0-9]{2} (?:\.[0-9]{1,6})? ) )?
        (?: (Z) | ([+\x20-](?:0[0-9]|1[0-4])) :? ([0-9]{2}) )?
    )? (?![0-9])""",
    re.ASCII | re.VERBOSE,
)
_TIME = re.compile(r"([0-9]{2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,6}))?)?)?", re.ASCII)
_MOMENT = r"[0-9]{4,14}(?:\.[0-9]{1,6})?"
# An unescaped plus in a query parameter becomes a space.
_OFFSET = r"[+ -](?:0[0-9]|1[0-4])[0-5][0-9]"
_DATETIME = re.compile(rf"({_MOMENT})({_OFFSET})?", re.ASCII)
_DATETIME_RANGE = re.compile(rf"({_MOMENT}(?:{_OFFSET})?)?-({_MOMENT}(?:{_OFFSET})?)?", re.ASCII)

_FIRST = "00000101000000"
_LAST = "00000000235959"

Bounds = tuple[str, str]


def date_bounds(value: str) -> Bounds | None:
    """Return the first and last day that a DA covers, the same one; None if it is not a DA."""
    match = _DATE.fullmatch(value.strip())
    if match is None:
        return None
    try:
        date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None
    day = match[1] + match[3] + match[4]
    return day, day


def time_bounds(value: str) -> Bounds | None:
    """Return the first and last microsecond that a TM covers; None if it is not a TM."""
    match = _TIME.fullmatch(value.strip())
    if match is None:
        return None
    hour, minute, second, fraction = match.groups()
    # A leap second is the sixtieth.
    if hour > "23" or (minute or "") > "59" or (second or "") > "60":
        return None
    low = f"{hour}{minute or '00'}{second or '00'}.{(fraction or '').ljust(6, '0')}"
    high = f"{hour}{minute or '59'}{second or '59'}.{(fraction or '').ljust(6, '9')}"
    return low, high


def datetime_bounds(value: str, offset: str | None = None) -> Bounds | None:
    """Return the first and last microsecond that a DT covers; None if it is not a DT.

    Without an offset of its own the value has that of TimezoneOffsetFromUTC, if given.
    """
    match = _DATETIME.fullmatch(_compact(value))
    if match is None:
        return None
    try:
        low, high = _widened(match[1])
        shift = _shift(match[2] or offset)
        return _written(low - shift), _written(high - shift)
    except (ValueError, OverflowError):
        return None


def written_offset(minutes: int) -> str:
    """Return an offset from UTC as in Timezone Offset From UTC: `+0100`, `-0530`."""
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}{rest:02}"


def split_range(value: str) -> tuple[str, str] | None:
    """Return the ends of `a-b`, `a-` or `-b`; None if it is not a range."""
    value = _compact(value)
    if "-" not in value:
        return None
    low, _, high = value.partition("-")
    return low, high


def split_datetime_range(value: str) -> tuple[str, str] | None:
    """Return the ends of a range of DTs, whose offsets from UTC may have minus signs of their own.

    `2020-0500` is the year 2020 at the offset -0500, not the range from 2020 to 0500.
    """
    value = _compact(value)
    if "-" not in value or _DATETIME.fullmatch(value):
        return None
    match = _DATETIME_RANGE.fullmatch(value)
    return (match[1] or "", match[2] or "") if match else ("?", "?")


def _compact(value: str) -> str:
    """Return dates and times without the separators of other standards."""
    return _WITH_SEPARATORS.sub(_without_separators, value.strip())


def _without_separators(match: re.Match[str]) -> str:
    year, _, month, day, *time, utc, hours, minutes = (part or "" for part in match.groups())
    offset = "+0000" if utc else hours + minutes
    return "".join((year, month, day, *time, offset))


def _widened(moment: str) -> tuple[datetime, datetime]:
    """Return the first and the last instant that a date and time covers."""
    digits, _, fraction = moment.partition(".")
    if len(digits) % 2 or (fraction and len(digits) != 14):
        raise ValueError(moment)
    last = digits + "1231"[len(digits) - 4 :] if len(digits) < 6 else digits
    if len(last) == 6:
        last += str(calendar.monthrange(int(last[:4]), int(last[4:]))[1])
    return (
        _instant(digits + _FIRST[len(digits) :], fraction.ljust(6, "0")),
        _instant(last + _LAST[len(last) :], fraction.ljust(6, "9")),
    )


def _instant(digits: str, fraction: str) -> datetime:
    """Return an instant of digits and a fraction of a second."""
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    hour, minute, second = int(digits[8:10]), int(digits[10:12]), int(digits[12:])
    if second > 60:
        raise ValueError(digits)
    # Added, for a leap second is the sixtieth.
    since = timedelta(seconds=second, microseconds=int(fraction))
    return datetime(year, month, day, hour, minute) + since


def _shift(offset: str | None) -> timedelta:
    """Return the offset as a time difference."""
    if not offset or not re.fullmatch(r"[+ -][0-9]{4}", offset):
        return timedelta()
    shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    return -shift if offset[0] == "-" else shift


def _written(moment: datetime) -> str:
    """Return an instant as it is compared."""
    return moment.strftime("%Y%m%d%H%M%S.%f").rjust(21, "0")
