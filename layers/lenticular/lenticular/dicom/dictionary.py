"""Which VR an element has when the file does not say: PS3.6, and vendors' own dictionaries.

Everything comes from the tables of the standard and of vendors; only what several VRs are possible
for is decided here, by what the data set says of itself (PS3.5 Annex A.1).
"""

from collections.abc import Iterator
from functools import lru_cache

from lenticular.dicom import pydicom_tables, tags
from lenticular.dicom.model import Dataset

UNKNOWN = "UN"
_DELIMITERS = 0xFFFE
_LUT_DATA = 0x00283006
_CURVE_DATA, _REPEATED = 0x50003000, 0xFF00FFFF


class _PublicVRs(dict[int, str]):
    """Tag to VR; only what exists is kept, so it cannot grow beyond the dictionary."""

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
    """The VR of a private element, if its creator is known and named in its data set."""
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
    try:
        return pydicom_tables.private_entry(tag, creator)[0]
    except KeyError:
        return UNKNOWN


def resolve(tag: int, vr: str, around: Iterator[Dataset]) -> str:
    """One VR of a choice such as `US or SS`; `around` are the data sets from inner to outer."""
    if " or " not in vr:
        return vr
    if vr == "US or SS":
        return "SS" if _first_number(around, tags.PIXEL_REPRESENTATION) == 1 else "US"
    if tag == _LUT_DATA and _first_number(around, tags.LUT_DESCRIPTOR) == 1:
        return "US"
    # The points of a retired curve are bytes, whatever they hold (PS3.5-2004 A.1).
    return "OB" if tag & _REPEATED == _CURVE_DATA else "OW"


def _first_number(around: Iterator[Dataset], key: str) -> object:
    """The first value of the nearest element with this tag."""
    for dataset in around:
        values = dataset.get(key, {}).get("Value")
        if values:
            return values[0]
    return None
