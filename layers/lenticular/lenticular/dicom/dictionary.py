"""The VRs of elements whose file does not give them: PS3.6, and vendors' dictionaries.

Only elements with several possible VRs are decided here, from other elements of the data set (PS3.5
Annex A.1); all other VRs come from the tables.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from lenticular.dicom import pydicom_tables, tags
from lenticular.dicom.model import Dataset

UNKNOWN = "UN"
_DELIMITERS = 0xFFFE
_LUT_DATA = int(tags.LUT_DATA, 16)
_LUT_DESCRIPTOR = int(tags.LUT_DESCRIPTOR, 16)
_BEHIND_MODALITY_LUT = (tags.VOI_LUT_SEQUENCE, tags.SOFTCOPY_VOI_LUT_SEQUENCE)
_CURVE_DATA, _REPEATED = 0x50003000, 0xFF00FFFF


class _PublicVRs(dict[int, str]):
    """Tag to VR; only tags of the dictionary are stored, so it cannot grow beyond that."""

    def __missing__(self, tag: int) -> str:
        if tag >> 16 == _DELIMITERS:
            return UNKNOWN
        try:
            vr = self[tag] = pydicom_tables.entry(tag).vr
        except KeyError:
            return UNKNOWN
        return vr


PUBLIC: dict[int, str] = _PublicVRs()


def private_vr(tag: int, dataset: Dataset) -> str:
    """Return the VR of a private element, if its creator is known and named in its data set."""
    block = tag >> 8 & 0xFF
    if block == 0:
        return "LO" if tag & 0xFFFF >= 0x10 else UNKNOWN
    creators = dataset.get(f"{tag >> 16:04X}00{block:02X}", {}).get("Value")
    creator = creators[0] if creators else None
    if not isinstance(creator, str) or len(creator) > pydicom_tables.LONGEST_CREATOR:
        return UNKNOWN
    return _private_vr(tag, creator)


@lru_cache(maxsize=8192)
def _private_vr(tag: int, creator: str) -> str:
    """Return the VR that a vendor's dictionary gives."""
    try:
        return pydicom_tables.private_entry(tag, creator)[0]
    except KeyError:
        return UNKNOWN


def resolve(tag: int, vr: str, around: Iterator[Dataset], sequence: str = "") -> str:
    """Return one VR of a choice such as `US or SS`.

    `around` are the data sets from inner to outer, `sequence` is the tag of that whose item the
    innermost is.
    """
    if " or " not in vr:
        return vr
    if vr == "US or SS":
        is_behind = tag == _LUT_DESCRIPTOR and sequence in _BEHIND_MODALITY_LUT
        is_signed = _is_output_signed if is_behind else _is_signed
        return "SS" if is_signed(list(around)) else "US"
    if tag == _LUT_DATA and _first_number(around, tags.LUT_DESCRIPTOR) == 1:
        return "US"
    # The points of a retired curve are bytes of any type (PS3.5-2004 A.1).
    return "OB" if tag & _REPEATED == _CURVE_DATA else "OW"


def _is_signed(around: Sequence[Dataset]) -> bool:
    """Return True if stored values are signed, as most of these attributes are then."""
    return _first_number(around, tags.PIXEL_REPRESENTATION) == 1


def _is_output_signed(around: Sequence[Dataset]) -> bool:
    """Return True if the Modality LUT can give values below zero (PS3.3 C.11.2.1.1)."""
    if any(dataset.get(tags.MODALITY_LUT_SEQUENCE, {}).get("Value") for dataset in around):
        return False
    bits = _number(around, tags.BITS_STORED, 16)
    least = -(2.0 ** (bits - 1)) if _is_signed(around) else 0.0
    ends = (least, least + 2.0**bits - 1)
    slope = _number(around, tags.RESCALE_SLOPE, 1)
    return min(slope * end for end in ends) + _number(around, tags.RESCALE_INTERCEPT, 0) < 0


def _number(around: Iterable[Dataset], key: str, default: float) -> float:
    """Return the first value of the nearest element with this tag as a number."""
    try:
        return float(str(_first_number(around, key)))
    except ValueError:
        return default


def _first_number(around: Iterable[Dataset], key: str) -> object:
    """Return the first value of the nearest element with this tag."""
    for dataset in around:
        values = dataset.get(key, {}).get("Value")
        if values:
            return values[0]
    return None
