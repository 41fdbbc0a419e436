"""Values: from the JSON of an element to its bytes, PS3.18 F.2 and PS3.5 6.2.

The inverse of `read/vr_decode.py`, for Explicit VR Little Endian and UTF-8. A ValueError means that
this is not a value of the VR.
"""

import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from lenticular.dicom.json_and_xml.xml_writer import NAME_GROUPS
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN

_LONGEST_DECIMAL = 16  # PS3.5 6.2, DS
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip
# Values of whole numbers: padding would add one. An OW may hold bytes.
_UNIT_BYTES = {
    "US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8,
    "OF": 2, "OL": 2, "OD": 2, "OV": 2,
}  # fmt: skip


def value_bytes(vr: str, values: list[Any]) -> bytes:
    """Return the bytes of these values, without padding."""
    if vr == "AT":
        return b"".join([struct.pack("<HH", *divmod(_tag(value), 0x10000)) for value in values])
    if vr in _NUMBERS:
        return _packed(vr, values)
    if LITTLE_ENDIAN[vr].key != "Value":
        raise ValueError("binaries are InlineBinary or bulk data")
    text = "\\".join([_TEXTS.get(vr, _string)(value) for value in values if value is not None
                      or len(values) > 1])  # fmt: skip
    return text.encode()


def inline_bytes(vr: str, text: str) -> bytes:
    """Return the bytes of an InlineBinary, without padding."""
    raw = b64decode("".join(text.split()), validate=True)
    check_size(vr, len(raw))
    return raw


def check_size(vr: str, size: int) -> None:
    """Raise ValueError if no value of this VR has this size."""
    if vr == "SQ":
        raise ValueError("a sequence cannot be given as bytes")
    if size % _UNIT_BYTES.get(vr, 1):
        raise ValueError(f"{size} bytes are not a whole number of values")


def padding(vr: str) -> bytes:
    """Return the byte that makes a value even (PS3.5 6.2)."""
    return b" " if is_text(vr) and vr != "UI" else b"\0"


def is_text(vr: str) -> bool:
    """Return True if values of this VR are text."""
    return LITTLE_ENDIAN[vr].key == "Value" and vr != "AT" and vr not in _NUMBERS


def _packed(vr: str, values: list[Any]) -> bytes:
    """Return binary numbers as bytes."""
    read: Callable[[Any], Any] = float if vr in ("FL", "FD") else int
    if any(isinstance(value, bool) or (isinstance(value, float) and read is int and value % 1)
           for value in values):  # fmt: skip
        raise ValueError("not a number of this VR")
    try:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *map(read, values))
    except (struct.error, TypeError, OverflowError) as error:
        raise ValueError("out of range") from error


def _tag(value: Any) -> int:
    """Return a tag as a number."""
    if not isinstance(value, str) or len(value) != 8:
        raise ValueError("not a tag")
    return int(value, 16)


def _string(value: Any) -> str:
    """Return a string."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("not a string")
    return value


def _decimal(value: Any) -> str:
    """Return a decimal string."""
    if isinstance(value, float) and len(repr(value)) > _LONGEST_DECIMAL:
        from pydicom.valuerep import format_number_as_ds

        return str(format_number_as_ds(value))
    return _number(value)


def _number(value: Any) -> str:
    """Return a number as text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return _string(value)


def _integer(value: Any) -> str:
    """Return an integer string."""
    return str(int(value)) if isinstance(value, float) and not value % 1 else _number(value)


def _name(value: Any) -> str:
    """Return a person name as text."""
    if not isinstance(value, dict):
        return _string(value)
    groups = [_string(value.get(group)) for group in NAME_GROUPS]
    return "=".join(groups).rstrip("=")


_TEXTS: dict[str, Callable[[Any], str]] = {"DS": _decimal, "IS": _integer, "PN": _name}
