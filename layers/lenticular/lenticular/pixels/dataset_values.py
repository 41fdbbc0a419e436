"""Attributes of a dataset in the DICOM JSON Model, as numbers, codes and bytes.

Values come from files of every age and make, so each function returns None (or nothing) if a value
is absent, empty or of a wrong type: an odd attribute that a picture does not need is no reason to
refuse it.
"""

import base64
import binascii
import math
import struct
from collections.abc import Callable, Iterator
from typing import Any

from lenticular.dicom.integers import integer as as_integer
from lenticular.dicom.model import Dataset

BulkReader = Callable[[str], bytes]
"""Returns the bytes of a value outside the dataset, little-endian, by its path in a BulkDataURI."""

_BULKDATA = "/bulkdata/"
_WORDS = {"US": "H", "SS": "h", "UL": "I", "SL": "i"}


def values(dataset: Dataset, tag: str) -> list[Any]:
    """Return all values of an attribute; none if it is absent or has no Value."""
    found = dataset.get(tag, {}).get("Value")
    return found if isinstance(found, list) else []


def numbers(dataset: Dataset, tag: str) -> list[float]:
    """Return the finite numbers among the values; DS and IS may be numbers or text."""
    return list(_numbers(dataset.get(tag, {})))


def number(dataset: Dataset, tag: str) -> float | None:
    """Return the first number of an attribute."""
    return next(_numbers(dataset.get(tag, {})), None)


def integer(dataset: Dataset, tag: str) -> int | None:
    """Return the first number of an attribute, if it is an integer."""
    return as_integer(number(dataset, tag))


def integers(dataset: Dataset, tag: str) -> list[int]:
    """Return the integers among the values."""
    found = (as_integer(value) for value in _numbers(dataset.get(tag, {})))
    return [value for value in found if value is not None]


def code(dataset: Dataset, tag: str) -> str:
    """Return the first value of a code string or UID: trimmed, in upper case, empty when absent."""
    found = values(dataset, tag)
    return str(found[0]).strip(" \0").upper() if found and found[0] is not None else ""


def item(dataset: Dataset, tag: str) -> Dataset | None:
    """Return the first item of a sequence."""
    found = values(dataset, tag)
    return found[0] if found and isinstance(found[0], dict) else None


def content(dataset: Dataset, tag: str, bulk: BulkReader) -> bytes:
    """Return the bytes of an attribute, inline or bulk data; numbers become words of 16 bits."""
    element = dataset.get(tag, {})
    if "InlineBinary" in element:
        return _inline(element)
    uri = element.get("BulkDataURI")
    if isinstance(uri, str):
        return bulk(uri.partition(_BULKDATA)[2])
    words = [int(value) & 0xFFFF for value in _numbers(element)]
    return struct.pack(f"<{len(words)}H", *words)


def _numbers(element: dict[str, Any]) -> Iterator[float]:
    """Yield the values as numbers."""
    if "InlineBinary" in element:  # the VR was not known: UN
        raw = _inline(element)
        letter = _WORDS.get(element.get("vr", ""), "H")
        count = len(raw) // struct.calcsize(letter)
        yield from struct.unpack_from(f"<{count}{letter}", raw)
        return
    found = element.get("Value")
    for value in found if isinstance(found, list) else ():
        try:
            value_as_number = float(value)
        except (TypeError, ValueError):
            continue
        if math.isfinite(value_as_number):
            yield value_as_number


def _inline(element: dict[str, Any]) -> bytes:
    """Return the bytes of an InlineBinary."""
    try:
        return base64.b64decode(element["InlineBinary"])
    except (TypeError, ValueError, binascii.Error):
        return b""
