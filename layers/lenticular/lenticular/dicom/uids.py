"""Unique identifiers, PS3.5 9.1, and identifiers that some programs write in their place."""

import re

# A component with a leading zero (`1.02.3`) breaks PS3.5 9.1, but scanners and converters write
# them and every archive stores them, so there is no warning.
_VALID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)

MAX_LENGTH = 64
MAX_IDENTIFIER_LENGTH = 128
"""Characters of an identifier that is no UID; the index has columns of this width."""
_MAX_ENCODED_LENGTH = 200  # leaves room for the rest of a file name of 255 bytes

_UNADDRESSABLE = frozenset('/\\"')

# SOP classes of PS3.4 Annex GG and others whose objects belong to no patient and no study.
_NON_PATIENT_SOP_CLASSES = frozenset(
    f"1.2.840.10008.5.1.4.{suffix}"
    for suffix in (
        "38.1",  # Hanging Protocol
        "39.1",  # Color Palette
        "43.1",  # Generic Implant Template
        "44.1",  # Implant Assembly Template
        "45.1",  # Implant Template Group
        "1.1.200.1",  # CT Defined Procedure Protocol
        "1.1.200.3",  # Protocol Approval
        "1.1.200.7",  # XA Defined Procedure Protocol
        "1.1.201.1",  # Inventory
    )
)


def is_valid(uid: str) -> bool:
    """Return True for at most 64 characters of digits, in components between single dots."""
    return len(uid) <= MAX_LENGTH and _VALID.fullmatch(uid) is not None


def is_non_patient(sop_class_uid: str) -> bool:
    """Return True for the SOP classes whose objects belong to no study (PS3.4 GG.3)."""
    return sop_class_uid in _NON_PATIENT_SOP_CLASSES


def problem_of(identifier: str) -> str | None:
    """Return the reason why this text cannot be an identifier; None if it can.

    Anonymisers write hashes and UUIDs in place of UIDs. Every text that fits into a URL and a file
    name identifies an object.
    """
    if not identifier:
        return "is empty"
    if not identifier.isprintable():
        return "has a control character"
    if not _UNADDRESSABLE.isdisjoint(identifier):
        return "has a slash or a quotation mark"
    if not any(map(str.isalnum, identifier)):
        return "has neither a letter nor a digit"
    if len(identifier) > MAX_IDENTIFIER_LENGTH or len(encode(identifier)) > _MAX_ENCODED_LENGTH:
        return f"is too long: at most {MAX_IDENTIFIER_LENGTH} characters"
    return None


def encode(identifier: str) -> str:
    """Return a name for files: a UID itself, or a different name for each other identifier.

    It has digits, small letters, `.`, `_` and `%` only: some file systems do not distinguish
    `A` from `a`.
    """
    return _UNSAFE.sub(_encoded, identifier)


def decode(name: str) -> str | None:
    """Return the identifier of which `encode` made this name; None if it did not."""
    try:
        identifier = _ENCODED.sub(_decoded, name).encode("latin-1").decode()
    except ValueError:
        return None
    return identifier if encode(identifier) == name else None


_UNSAFE = re.compile(r"[^0-9a-z.]")
_ENCODED = re.compile(r"_([a-z])|%([0-9a-f]{2})")


def _encoded(match: re.Match[str]) -> str:
    character = match[0]
    if "A" <= character <= "Z":
        return "_" + character.lower()
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def _decoded(match: re.Match[str]) -> str:
    return match[1].upper() if match[1] else chr(int(match[2], 16))
