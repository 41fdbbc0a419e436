"""Values: from the JSON of an element to its bytes, PS3.18 F.2 and PS3.5 6.2.

The way back from `values.py`, for Explicit VR Little Endian and UTF-8. A ValueError says that
this is no value of the VR.
"""

import struct
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from lenticular.dicom.exchange.xml_writer import NAME_GROUPS
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN

_LONGEST_DECIMAL = 16  # PS3.5 6.2, DS
_NUMBERS = {
    "US": "H", "SS": "h", "UL": "I", "SL": "i", "UV": "Q", "SV": "q", "FL": "f", "FD": "d",
}  # fmt: skip


def value_bytes(vr: str, values: list[Any]) -> bytes:
    """The bytes of these values, padded to even length."""
    if vr == "AT":
        return b"".join([struct.pack("<HH", *divmod(_tag(value), 0x10000)) for value in values])
    if vr in _NUMBERS:
        return _packed(vr, values)
    if LITTLE_ENDIAN[vr].key != "Value":
        raise ValueError("binaries are InlineBinary or bulk data")
    text = "\\".join([_TEXTS.get(vr, _string)(value) for value in values if value is not None
                      or len(values) > 1])  # fmt: skip
    return padded(vr, text.encode())


def inline_bytes(vr: str, text: str) -> bytes:
    """The bytes of an InlineBinary, padded to even length."""
    if vr == "SQ":
        raise ValueError("a sequence is no bytes")
    return padded(vr, b64decode("".join(text.split()), validate=True))


def padded(vr: str, raw: bytes) -> bytes:
    """The bytes with the padding of their VR, where they need it."""
    if len(raw) % 2 == 0:
        return raw
    return raw + (b" " if LITTLE_ENDIAN[vr].key == "Value" and vr != "UI" else b"\0")


def _packed(vr: str, values: list[Any]) -> bytes:
    read: Callable[[Any], Any] = float if vr in ("FL", "FD") else int
    if any(isinstance(value, bool) or (isinstance(value, float) and read is int and value % 1)
           for value in values):  # fmt: skip
        raise ValueError("no number of this kind")
    try:
        return struct.pack(f"<{len(values)}{_NUMBERS[vr]}", *map(read, values))
    except (struct.error, TypeError, OverflowError) as error:
        raise ValueError("out of range") from error


def _tag(value: Any) -> int:
    if not isinstance(value, str) or len(value) != 8:
        raise ValueError("no tag")
    return int(value, 16)


def _string(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError("no string")
    return value


def _decimal(value: Any) -> str:
    if isinstance(value, float) and len(repr(value)) > _LONGEST_DECIMAL:
        from pydicom.valuerep import format_number_as_ds

        return str(format_number_as_ds(value))
    return _number(value)


def _number(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return _string(value)


def _integer(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and not value % 1 else _number(value)


def _name(value: Any) -> str:
    if not isinstance(value, dict):
        return _string(value)
    groups = [_string(value.get(group)) for group in NAME_GROUPS]
    return "=".join(groups).rstrip("=")


_TEXTS: dict[str, Callable[[Any], str]] = {"DS": _decimal, "IS": _integer, "PN": _name}
