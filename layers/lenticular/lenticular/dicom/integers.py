"""Integers of a data set, read in one way everywhere: Integer String (IS) of PS3.5 6.2.

Devices also write `4.000000`, `3.` and `3e0`, which are the integers 4 and 3.
"""

import re
from decimal import Decimal
from typing import Any

from lenticular.dicom.model import Dataset

MAX_DIGITS = 18
"""The digits that a 64 bit column of the index holds; IS has 10 at most."""

LARGEST_EXACT = 2**53 - 1
"""Beyond it a JSON number may change on its way (RFC 8259, 6), so it is written as a string."""

_PLAIN = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_LONGEST = 64


def integer(value: Any) -> int | None:
    """Return a value as an integer; None if it has a fraction or is not a number."""
    text = str(value).strip(" \0\t\r\n")
    if _PLAIN.fullmatch(text):
        return int(text)
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        return None
    number = Decimal(text)
    if number.adjusted() >= MAX_DIGITS or number != number.to_integral_value():
        return None
    return int(number)


def first_integer(dataset: Dataset, tag: str) -> int | None:
    """Return the first value of an attribute as an integer; None when there is none."""
    values = dataset.get(tag, {}).get("Value")
    return integer(values[0]) if isinstance(values, list) and values else None
