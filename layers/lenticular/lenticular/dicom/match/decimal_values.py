"""Numbers as they are compared by value: `1`, `1.0` and `10e-1` are equal."""

import re
import struct
from decimal import Decimal
from typing import Any

_LONGEST = 64  # four times what PS3.5 allows in a DS
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SINGLE = struct.Struct("<f")


def normal_decimal(value: Any, vr: str) -> str | None:
    """Return a number in the one spelling in which it is compared; None if it is not a number.

    Binary numbers are equal if they are the same in the precision of their VR.
    """
    text = str(value).strip()
    if len(text) > _LONGEST or not _DECIMAL.fullmatch(text):
        return None
    if vr in ("FL", "FD"):
        try:
            text = repr(_single(float(text)) if vr == "FL" else float(text))
        except OverflowError:
            return None
    number = Decimal(text)
    return str(number.normalize()) if number else "0"


def _single(number: float) -> float:
    """Return the number in the 32 bits of an FL."""
    return float(_SINGLE.unpack(_SINGLE.pack(number))[0])
