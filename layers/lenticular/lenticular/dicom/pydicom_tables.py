"""The tables of the standard, PS3.6, and of vendors: pydicom's data, without its code.

These modules hold nothing but data and are run alone here. Imported the usual way they would load
all of pydicom, and numpy if it is installed: a quarter of a cold start, for a search that needs one
of them. See docs/decisions/0014-cold-start.md.
"""

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import NamedTuple, cast


class DictionaryEntry(NamedTuple):
    """The entry of an attribute in PS3.6, in the order of pydicom's tables."""

    vr: str
    vm: str
    name: str
    retired: str
    keyword: str


def _run(name: str) -> ModuleType:
    """Return a module of pydicom, run alone; finding a package does not import it."""
    package = find_spec("pydicom")
    spec = PathFinder.find_spec(name, package.submodule_search_locations if package else [])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"pydicom has no {name}.")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_attributes = _run("_dicom_dict")
_BY_TAG: dict[int, tuple[str, str, str, str, str]] = _attributes.DicomDictionary

TAGS: dict[str, int] = {row[4]: tag for tag, row in _BY_TAG.items() if row[4]}
"""The tag of each keyword; a few retired attributes have none."""


def entry(tag: int) -> DictionaryEntry:
    """Return the standard's entry of a tag; raise KeyError if it has none."""
    row = _BY_TAG.get(tag)
    if row is None and not tag >> 16 & 1:
        row = next((row for bits, mask, row in _repeating() if (tag ^ bits) & mask == 0), None)
    if row is None:
        raise KeyError(tag)
    return DictionaryEntry(*row)


def named(keyword: str) -> DictionaryEntry:
    """Return the standard's entry of a keyword; raise KeyError if it has none."""
    return DictionaryEntry(*_BY_TAG[TAGS[keyword]])


def private_entry(tag: int, creator: str) -> tuple[str, str, str, str]:
    """Return VR, multiplicity, name and whether retired of a vendor's element; raise KeyError."""
    rows = _private()[creator]
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    # Whole tags first; most are written for any block (PS3.5 7.8.1), some for any group.
    for key in (group + element, f"{group}xx{element[2:]}", f"{group[:2]}xxxx{element[2:]}"):
        if key in rows:
            return rows[key]
    raise KeyError(tag)


@cache
def uid_names() -> dict[str, str]:
    """Return the name of each UID that the standard registers (PS3.6 Annex A)."""
    return {uid: row[0] for uid, row in _run("_uid_dict").UID_dictionary.items()}


@cache
def _repeating() -> list[tuple[int, int, tuple[str, str, str, str, str]]]:
    """Return the attributes of repeating groups: bits of their tags, and a mask of these."""
    return [
        (
            int(pattern.replace("x", "0"), 16),
            int("".join("0" if digit == "x" else "F" for digit in pattern), 16),
            row,
        )
        for pattern, row in _attributes.RepeatersDictionary.items()
    ]


LONGEST_CREATOR = 64
"""Characters of a private creator, an LO; a longer text is not a creator, and is not cached."""


@cache
def _private() -> dict[str, dict[str, tuple[str, str, str, str]]]:
    """Return the dictionaries of vendors by private creator."""
    tables = _run("_private_dict").private_dictionaries
    return cast("dict[str, dict[str, tuple[str, str, str, str]]]", tables)
