"""Query tags: attributes that a configuration makes search keys, at any depth, private ones too.

A tag has the path by which a query names it (PS3.18 8.3.4.1), the VR by which its values are
compared, and the level whose first instance gives its value. A private attribute is named in a
block of the operator's choice, such as 00191010; in a data set it is looked up in the block that
its creator has reserved there (PS3.5 7.8.1).
"""

import hashlib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lenticular.dicom import pydicom_tables
from lenticular.dicom.match.decimal_values import normal_decimal
from lenticular.dicom.match.matchers import name_groups, normal_text
from lenticular.dicom.match.temporal import date_bounds, datetime_bounds, time_bounds
from lenticular.dicom.model import DICOMWEB_LEVELS, Dataset, Level
from lenticular.dicom.search_attributes import (
    ANSWERED,
    LEVEL_TAGS,
    PATIENT_TAGS,
    Attribute,
    MatchingKind,
    path_of,
    searchable,
)
from lenticular.dicom.tags import TIMEZONE_OFFSET_FROM_UTC
from lenticular.dicom.uids import MAX_IDENTIFIER_LENGTH

Definition = tuple[str, str, str, str]
"""Path, level, VR and private creator as they are configured; the last two may be empty."""

Compared = tuple[int, str]
"""The group of a name (from 0; else 0), and the value as it is compared."""

MAXIMUM_VALUES = 1000
"""Values of one attribute in one row; more, such as the points of a contour, are not indexed."""

LONGEST_CREATOR = 64

_LEVELS = {level.lower(): level for level in DICOMWEB_LEVELS}
_KINDS = {
    **dict.fromkeys(
        ("AE", "AS", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT"), MatchingKind.TEXT
    ),
    **dict.fromkeys(
        ("DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"), MatchingKind.DECIMAL
    ),
    **{
        "PN": MatchingKind.NAME,
        "UI": MatchingKind.UID,
        "DA": MatchingKind.DATE,
        "TM": MatchingKind.TIME,
        "DT": MatchingKind.DATETIME,
    },
}
_KEPT = (Level.SERIES, Level.STUDY)
"""Levels whose rows store the attributes to return; the document of an instance has all."""

_BLOCKS = range(0x10, 0x100)


class InvalidQueryTag(ValueError):
    """An attribute cannot be searched for as configured; the message gives the reason."""


@dataclass(frozen=True, slots=True)
class QueryTag(Attribute):
    """An attribute that a configuration makes searchable; `tag_id` is a hash of the rest."""

    creator: str = ""
    tag_id: int = 0

    @property
    def has_several(self) -> bool:
        """True if all values are compared, not only the first."""
        return True

    @property
    def name(self) -> str:
        """The path as a query names it."""
        return ".".join(self.path)


class QueryTags:
    """All configured query tags, by their paths and by their levels."""

    def __init__(self, tags: Iterable[QueryTag] = ()) -> None:
        self.by_path: Mapping[tuple[str, ...], QueryTag] = {tag.path: tag for tag in tags}
        self._trees = {level: _tree(self.at(level), level) for level in _KEPT}

    def __bool__(self) -> bool:
        return bool(self.by_path)

    def __iter__(self) -> Iterator[QueryTag]:
        return iter(self.by_path.values())

    def at(self, level: Level) -> list[QueryTag]:
        """Return the query tags of a level."""
        return [tag for tag in self if tag.level is level]

    @cached_property
    def creators(self) -> Mapping[str, str]:
        """Private creators by group and block of the paths: `001910`."""
        return {tag[:6]: each.creator for each in self for tag in each.path if _is_private(tag)}

    def keeps(self, level: Level, tag: str) -> bool:
        """Return True if rows of the level store this attribute only because of a query tag."""
        return tag in self._trees.get(level, {})

    def answered(self, level: Level) -> frozenset[str]:
        """Return the tags that `picked` may return, private creators among them."""
        tags = self._trees[level]
        return frozenset((*tags, *(_reservation(tag) for tag in tags if _is_private(tag))))

    def values(self, level: Level, dataset: Dataset) -> Iterator[tuple[QueryTag, Compared]]:
        """Yield each query tag of a level with each of its different values."""
        for tag in self.at(level):
            for compared in _compared(tag, dataset):
                yield tag, compared

    def picked(self, level: Level, dataset: Dataset) -> Dataset:
        """Return the attributes that a row stores for query tags; of sequences a part."""
        return self._pick(dataset, self._trees[level])

    def chosen(self, tags: Set[str], dataset: Dataset) -> Dataset:
        """Return these attributes of a data set, private ones under the tags that queries name."""
        ours: dict[str, Any] = {tag: {} for tag in tags if tag[:6] in self.creators}
        others = {tag: dataset[tag] for tag in tags if tag in dataset and tag not in ours}
        return others | self._pick(dataset, ours)

    def with_creators(self, tags: Set[str]) -> frozenset[str]:
        """Return these tags, and those of the creators of the private ones among them."""
        return frozenset(tags) | {_reservation(tag) for tag in tags if tag[:6] in self.creators}

    def _pick(self, dataset: Dataset, tree: Mapping[str, Any]) -> Dataset:
        """Return the part of a data set that the tree of tags names."""
        picked: Dataset = {}
        for tag, below in tree.items():
            creator = self.creators.get(tag[:6], "") if _is_private(tag) else ""
            element = dataset.get(_located(dataset, tag, creator))
            if element is None:
                continue
            if below:
                items = [self._pick(item, below) for item in _items(element)]
                element = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
            if creator:
                picked[_reservation(tag)] = {"vr": "LO", "Value": [creator]}
            picked[tag] = element
        return dict(sorted(picked.items()))


def define(definitions: Iterable[Definition]) -> QueryTags:
    """Return the query tags of a configuration; raise InvalidQueryTag for an impossible one."""
    tags: dict[tuple[str, ...], QueryTag] = {}
    creators: dict[str, str] = {}
    for definition in definitions:
        tag = _define(*definition)
        if tag.path in tags:
            raise InvalidQueryTag(f"{definition[0]} is configured twice")
        tags[tag.path] = tag
        for private in filter(_is_private, tag.path):
            if creators.setdefault(private[:6], tag.creator) != tag.creator:
                raise InvalidQueryTag(
                    f"{definition[0]} names the block of another creator; name it in one of its "
                    f"own, such as {private[:4]}{int(private[4:6], 16) % 0xFF + 1:02X}{private[6:]}"
                )
    return QueryTags(tags.values())


def _define(written: str, level: str, vr: str, creator: str) -> QueryTag:
    """Return one query tag of a configuration."""
    path = path_of(written)
    if path is None:
        raise InvalidQueryTag(f"{written!r} is not a keyword, tag or path of them")
    if level.lower() not in _LEVELS:
        raise InvalidQueryTag(f"the level of {written} must be study, series or instance")
    native = searchable(path)
    if native is not None:
        raise InvalidQueryTag(f"{written} can be searched for anyway, at the level {native.level}")
    _check_path(written, path, creator)
    vr = vr.upper() or _vr(path[-1], creator)
    if vr not in _KINDS:
        why = f"what is {vr} cannot be searched for" if vr else "its VR must be named"
        raise InvalidQueryTag(f"{written}: {why}")
    fields = "|".join((*path, vr, creator, level.lower()))
    tag_id = int.from_bytes(hashlib.sha256(fields.encode()).digest()[:8]) >> 1
    return QueryTag(path, vr, _LEVELS[level.lower()], _KINDS[vr], "query_tag", creator, tag_id)


def _check_path(written: str, path: tuple[str, ...], creator: str) -> None:
    """Refuse a path that cannot be a query tag."""
    private = [tag for tag in path if _is_private(tag)]
    if private and not creator:
        raise InvalidQueryTag(f"{written} is private and needs its private_creator")
    if creator and not private:
        raise InvalidQueryTag(f"{written} is not private and has no private_creator")
    if len(creator) > LONGEST_CREATOR:
        raise InvalidQueryTag(
            f"{written}: a private creator may have at most {LONGEST_CREATOR} characters"
        )
    if any(tag[4:] < "1000" for tag in private):
        raise InvalidQueryTag(f"{written}: private attributes are numbered from gggg1000")
    if any(tag < "0008" for tag in path):
        raise InvalidQueryTag(f"{written} never occurs in a data set")
    if path == (TIMEZONE_OFFSET_FROM_UTC,):
        raise InvalidQueryTag(
            f"{written} cannot be a query tag: as a query parameter it sets the time zone"
        )
    for tag in path[:-1]:
        if not _is_private(tag) and _public_vr(tag) != "SQ":
            raise InvalidQueryTag(f"{written}: {tag} is not a sequence, so nothing can be below it")


def _vr(tag: str, creator: str) -> str:
    """Return the VR of a tag by the dictionaries."""
    if not _is_private(tag):
        # A choice of numbers is compared by value, whichever it is.
        return _public_vr(tag).removesuffix(" or SS")
    try:
        return pydicom_tables.private_entry(int(tag, 16), creator)[0]
    except KeyError:
        return ""


def _public_vr(tag: str) -> str:
    """Return the VR of a tag of the standard."""
    try:
        return pydicom_tables.entry(int(tag, 16)).vr
    except KeyError:
        return ""


def _is_private(tag: str) -> bool:
    return int(tag[3], 16) % 2 == 1


def _reservation(tag: str) -> str:
    """Return the tag of the private creator of a private tag's block."""
    return f"{tag[:4]}00{tag[4:6]}"


def _located(dataset: Dataset, tag: str, creator: str) -> str:
    """Return the tag of an attribute in this data set, or None if it is absent."""
    if not creator:
        return tag
    for block in _BLOCKS:
        located = f"{tag[:4]}{block:02X}{tag[6:]}"
        if located in dataset:
            reserved = dataset.get(_reservation(located), {}).get("Value") or [None]
            if str(reserved[0]).strip() == creator:
                return located
    return ""


def _items(element: Mapping[str, Any]) -> Iterator[Dataset]:
    """Yield the items of a sequence."""
    return (item for item in element.get("Value") or () if isinstance(item, dict))


def _elements(dataset: Dataset, path: tuple[str, ...], creator: str) -> Iterator[dict[str, Any]]:
    """Yield the elements at the end of a path, in all items of its sequences."""
    tag, *below = path
    element = dataset.get(_located(dataset, tag, creator if _is_private(tag) else ""))
    if element is None:
        return
    if not below:
        yield element
        return
    for item in _items(element):
        yield from _elements(item, tuple(below), creator)


def _compared(tag: QueryTag, dataset: Dataset) -> list[Compared]:
    """Return the values of a query tag in a data set, in compared form."""
    found: dict[Compared, None] = {}
    offset = str(((dataset.get(TIMEZONE_OFFSET_FROM_UTC) or {}).get("Value") or [""])[0])
    for element in _elements(dataset, tag.path, tag.creator):
        for value in _values(element, tag.vr):
            if value is not None and len(found) < MAXIMUM_VALUES:
                found |= dict.fromkeys(_normal(tag, value, offset))
    return list(found)


def _values(element: Mapping[str, Any], vr: str) -> Iterable[Any]:
    """Return the values of an element; of a private one of VR UN, the values in its bytes."""
    if element["vr"] != "UN" or "InlineBinary" not in element:
        return element.get("Value") or ()
    from lenticular.dicom.read.character_sets import character_set
    from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN

    try:
        raw = b64decode(element["InlineBinary"])
        return LITTLE_ENDIAN[vr].encode(raw, character_set(("ISO_IR 192",))) or ()
    except ValueError:
        return ()


def _normal(tag: QueryTag, value: Any, offset: str) -> Iterator[Compared]:
    """Yield a value in compared form; nothing if it is not valid for the VR."""
    if tag.kind is MatchingKind.NAME:
        groups = enumerate(name_groups(value))
        yield from ((part, group) for part, group in groups if group is not None)
        return
    if isinstance(value, dict):
        return
    text = str(value)
    if tag.kind in _BOUNDS:
        bounds = _BOUNDS[tag.kind](text)
        normal = bounds and bounds[0]
    elif tag.kind is MatchingKind.DATETIME:
        bounds = datetime_bounds(text, offset)
        normal = bounds and bounds[0]
    elif tag.kind is MatchingKind.DECIMAL:
        normal = normal_decimal(text, tag.vr)
    else:
        normal = (
            text.strip(" \0")[:MAX_IDENTIFIER_LENGTH]
            if tag.kind is MatchingKind.UID
            else normal_text(text)
        )
    if normal:
        yield 0, normal


_BOUNDS = {MatchingKind.DATE: date_bounds, MatchingKind.TIME: time_bounds}


def _tree(tags: Iterable[QueryTag], level: Level) -> dict[str, Any]:
    """Return the paths of tags as a tree, without tags that rows of the level have anyway."""
    native = LEVEL_TAGS[level] | ANSWERED[level]
    native |= PATIENT_TAGS if level is Level.STUDY else frozenset()
    tree: dict[str, Any] = {}
    for tag in tags:
        branch = tree
        for step in tag.path if tag.tag not in native else ():
            branch = branch.setdefault(step, {})
    return tree


NO_TAGS = QueryTags()
