"""Orthanc's identifiers: SHA-1 over the DICOM identifiers from the patient down.

The parts are PatientID, Study, Series and SOP Instance UID as far as the level goes; written as
five groups of eight hexadecimal digits.
"""

import hashlib
import re

from lenticular.dicom.model import Dataset
from lenticular.dicom.tags import PATIENT_ID

_WRITTEN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8}){4}", re.ASCII)


def digest(*parts: str) -> bytes:
    """Return the 20 bytes that identify what the parts name."""
    return hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).digest()


def orthanc_id(*parts: str) -> str:
    """Return the identifier that Orthanc gives to what the parts name."""
    return from_digest(digest(*parts))


def from_digest(identity: bytes) -> str:
    """Return these 20 bytes as an identifier of Orthanc."""
    return identity.hex("-", 4)


def patient_id_of(dataset: Dataset) -> str:
    """Return the PatientID as Orthanc identifies by it: leading spaces count, padding does not."""
    values = (dataset.get(PATIENT_ID) or {}).get("Value") or ()
    return "\\".join("" if value is None else str(value) for value in values).rstrip(" \0")


def to_digest(identifier: str) -> bytes | None:
    """Return the 20 bytes behind a written identifier; None when it is not one."""
    if _WRITTEN.fullmatch(identifier) is None:
        return None
    return bytes.fromhex(identifier.replace("-", ""))
