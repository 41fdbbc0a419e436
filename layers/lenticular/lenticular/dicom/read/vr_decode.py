"""Values: from the bytes of an element to its JSON, PS3.5 6.2 and PS3.18 F.2.

A `VrCodec` describes a VR in one byte order. Its `encode` returns the content of `key` in the
element's JSON, None if the value is empty, and raises ValueError if the bytes cannot be a value of
this VR.
"""

import math
import re
import struct
from array import array
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from lenticular.dicom.integers import LARGEST_EXACT, integer
from lenticular.dicom.read.character_sets import CharacterSet

Encode = Callable[[bytes, CharacterSet], Any]

TEXT_LIMIT = 1024 * 1024
NUMBERS_LIMIT = 64 * 1024
BINARY_LIMIT = 1024

PADDING = " \0"
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SIMPLE_DECIMALS = re.compile(r"[0-9+\-. \\]*", re.ASCII)
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_EXACT_DIGITS = 15  # digits of a decimal that a double preserves
_LONGEST_DECIMAL = 64  # four times what PS3.5 allows


@dataclass(frozen=True, slots=True)
class VrCodec:
    """A VR in one byte order; a value longer than `limit` becomes bulk data."""

    vr: str
    key: str
    encode: Encode
    limit: int
    has_long_header: bool = False  # 32 bit length in Explicit VR, PS3.5 7.1.2


def strings(raw: bytes, character_set: CharacterSet) -> list[str | None] | None:
    """Return one or several strings, without the padding behind them."""
    text = character_set.decode(raw).rstrip(PADDING)
    if "\\" in text:
        return [part.rstrip(PADDING) or None for part in text.split("\\")]
    return [text] if text else None


def trimmed(raw: bytes, character_set: CharacterSet) -> list[str | None] | None:
    """Return UIDs or Application Entity titles, in which leading spaces mean nothing either."""
    values = strings(raw, character_set)
    return values and [value.strip(PADDING) or None if value else None for value in values]


def as_written(raw: bytes, character_set: CharacterSet) -> list[str] | None:
    """Return the characters of the file as one string, without the padding behind them."""
    value = character_set.decode(raw).rstrip(PADDING)
    return [value] if value else None


def name_as_written(raw: bytes, character_set: CharacterSet) -> list[str] | None:
    """Return the characters of person names as one string."""
    value = character_set.decode_name(raw).rstrip(PADDING)
    return [value] if value else None


def text(raw: bytes, character_set: CharacterSet) -> list[str] | None:
    """Return a single text, in which a backslash is a character."""
    value = character_set.decode(raw).rstrip(PADDING)
    return [value] if value else None


def names(raw: bytes, character_set: CharacterSet) -> list[dict[str, str] | None] | None:
    """Return person names in their component groups, PS3.18 F.2.2."""
    value = character_set.decode_name(raw).rstrip(PADDING)
    if not value:
        return None
    found = [_name(part) for part in value.split("\\")]
    return None if found == [None] else found


def _name(value: str) -> dict[str, str] | None:
    """Return the groups of one person name."""
    if "=" not in value:
        value = value.rstrip(PADDING)
        return {"Alphabetic": value} if value else None
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), value.split("="), strict=False)
    return {group: part for group, text in groups if (part := text.rstrip(PADDING))} or None


def decimals(raw: bytes, character_set: CharacterSet) -> list[int | float | str | None] | None:
    """Return decimal strings as numbers, if the number means the same as the string."""
    value = character_set.decode(raw).strip(PADDING)
    if not value:
        return None
    # A structure set has hundreds of thousands, nearly all of them of this simple form.
    read = _simple_decimal if _SIMPLE_DECIMALS.fullmatch(value) else _decimal
    return [read(part.strip(PADDING)) for part in value.split("\\")]


def _simple_decimal(value: str) -> int | float | str | None:
    """Return a decimal string of the simplest spelling as a number."""
    try:
        if "." in value:
            if len(value) <= _EXACT_DIGITS + 1:
                return float(value)
        elif len(value) <= _EXACT_DIGITS:
            return int(value)
    except ValueError:
        pass
    return _decimal(value)


def _decimal(value: str) -> int | float | str | None:
    """Return a decimal string as a number, or as the string."""
    if len(value) > _LONGEST_DECIMAL or _DECIMAL.fullmatch(value) is None:
        return value or None
    if len(value) <= _EXACT_DIGITS and _INTEGER.fullmatch(value):
        return int(value)  # also beside other text
    number = float(value)
    return number if Decimal(repr(number)) == Decimal(value) else value


def integers(raw: bytes, character_set: CharacterSet) -> list[int | str | None] | None:
    """Return integer strings as numbers, if they are."""
    value = character_set.decode(raw).strip(PADDING)
    if not value:
        return None
    return [_integer(part.strip(PADDING)) for part in value.split("\\")]


def _integer(value: str) -> int | str | None:
    """Return an integer string as a number, or as the string."""
    number = integer(value)
    if number is None or abs(number) > LARGEST_EXACT:
        return value or None
    return number


def _numbers(layout: struct.Struct, raw: bytes, _: CharacterSet) -> list[Any] | None:
    """Return binary numbers."""
    if len(raw) == layout.size:
        return list(layout.unpack(raw))
    if len(raw) % layout.size:
        raise ValueError("the length is not a multiple of the size of a number")
    return [number for (number,) in layout.iter_unpack(raw)] or None


def _floats(layout: struct.Struct, raw: bytes, _: CharacterSet) -> list[float | str] | None:
    """Return binary floating point numbers."""
    numbers = _numbers(layout, raw, _)
    if numbers is None or all(map(math.isfinite, numbers)):
        return numbers
    return [number if math.isfinite(number) else _not_finite(number) for number in numbers]


def _not_finite(number: float) -> str:
    """Return a name for NaN or infinity, which JSON lacks; Python and JavaScript can read it."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def _long_integers(layout: struct.Struct, raw: bytes, _: CharacterSet) -> list[int | str] | None:
    """Return 64 bit integers."""
    numbers = _numbers(layout, raw, _)
    return numbers and [n if abs(n) <= LARGEST_EXACT else str(n) for n in numbers]


def _tags(layout: struct.Struct, raw: bytes, _: CharacterSet) -> list[str] | None:
    """Return attribute tags."""
    if len(raw) % layout.size:
        raise ValueError("the length is not a multiple of the size of a tag")
    return [f"{group:04X}{element:04X}" for group, element in layout.iter_unpack(raw)] or None


def binary(raw: bytes, _: CharacterSet) -> str | None:
    """Return bytes in Base64, PS3.18 F.2.7."""
    return b2a_base64(raw, newline=False).decode("ascii") if raw else None


def _swapped(size: int, raw: bytes, character_set: CharacterSet) -> str | None:
    """Return words of a big-endian file in Base64."""
    return binary(swap(size, raw), character_set)


def swap(word_bytes: int, raw: bytes) -> bytes:
    """Return the bytes with each word reversed; an incomplete word at the end stays."""
    code = {2: "H", 4: "I", 8: "Q"}.get(word_bytes)
    if code is None:
        return raw
    whole = len(raw) // word_bytes * word_bytes
    words = array(code, raw[:whole])
    words.byteswap()
    return words.tobytes() + raw[whole:]


WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
_NUMBER_BYTES = {"US": 2, "SS": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8}


def little_endian(vr: str, raw: bytes) -> bytes:
    """Return the value of a big-endian file in little endian (PS3.18 F.2.7 and 8.7.3)."""
    return swap(WORD_BYTES.get(vr) or _NUMBER_BYTES.get(vr, 1), raw)


_STRINGS: dict[str, Encode] = {
    **dict.fromkeys(["AS", "CS", "DA", "DT", "LO", "SH", "TM", "UC"], strings),
    **dict.fromkeys(["LT", "ST", "UR", "UT"], text),
    **dict.fromkeys(["AE", "UI"], trimmed),
    "PN": names,
    "DS": decimals,
    "IS": integers,
}
_NUMBERS = {
    "US": ("H", _numbers),
    "SS": ("h", _numbers),
    "UL": ("I", _numbers),
    "SL": ("i", _numbers),
    "FL": ("f", _floats),
    "FD": ("d", _floats),
    "UV": ("Q", _long_integers),
    "SV": ("q", _long_integers),
    "AT": ("HH", _tags),
}
_BINARIES = (*WORD_BYTES, "OB", "UN", "SQ")
_LONG_HEADERS = frozenset({*_BINARIES, "SV", "UC", "UR", "UT", "UV"})


def _codecs(order: str, texts: dict[str, Encode]) -> dict[str, VrCodec]:
    """Return the codec of each VR."""

    def numbers(code: str, encode: Callable[..., Any]) -> Encode:
        return partial(encode, struct.Struct(order + code))

    def binaries(vr: str) -> Encode:
        return binary if order == "<" else partial(_swapped, WORD_BYTES.get(vr, 1))

    codecs = [
        *(VrCodec(vr, "Value", encode, TEXT_LIMIT) for vr, encode in texts.items()),
        *(VrCodec(vr, "Value", numbers(*how), NUMBERS_LIMIT) for vr, how in _NUMBERS.items()),
        *(VrCodec(vr, "InlineBinary", binaries(vr), BINARY_LIMIT) for vr in _BINARIES),
    ]
    return {codec.vr: replace(codec, has_long_header=codec.vr in _LONG_HEADERS) for codec in codecs}


LITTLE_ENDIAN = _codecs("<", _STRINGS)
BIG_ENDIAN = _codecs(">", _STRINGS)
_AS_WRITTEN: dict[str, Encode] = {
    **dict.fromkeys(_STRINGS, as_written),
    "PN": name_as_written,
}
LITTLE_ENDIAN_AS_WRITTEN = _codecs("<", _AS_WRITTEN)
BIG_ENDIAN_AS_WRITTEN = _codecs(">", _AS_WRITTEN)
