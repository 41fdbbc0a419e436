"""Search transaction (QIDO-RS), PS3.18 10.6 and 8.3.4.

Turns query parameters into a Query over the index, and matches into DICOM JSON. What cannot be
understood is refused; what is not known is left out and said so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from lenticular.dicom.match import timezone_matching
from lenticular.dicom.match.matchers import Matcher, MatchOptions
from lenticular.dicom.model import BULKDATA_BASE, Level, Target
from lenticular.dicom.query_tags import NO_TAGS, QueryTags
from lenticular.dicom.search_attributes import Attribute, path_of, searchable
from lenticular.dicom.tags import MODALITIES_IN_STUDY, MODALITY, TIMEZONE_OFFSET_FROM_UTC
from lenticular.errors import InvalidRequest
from lenticular.index.search.searcher import Match, Query
from lenticular.limits import Limits
from lenticular.services import Services

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_SWITCHES = ("fuzzymatching", "emptyvaluematching", "multiplevaluematching")
_ELSEWHERE = frozenset({"accept", "charset"})  # for content negotiation, PS3.18 8.3.3
_AVAILABILITY = b'"00080056":{"vr":"CS","Value":["ONLINE"]}'
_TIMEZONE = (TIMEZONE_OFFSET_FROM_UTC,)
_MODALITY, _MODALITIES_IN_STUDY = (MODALITY,), (MODALITIES_IN_STUDY,)


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The results as JSON objects; `more` when others are behind them.

    `remaining` is how many, None if that was not counted (PS3.18 8.3.4.4.1). `adding` are paths by
    which not all that is stored can be found yet.
    """

    matches: list[bytes]
    more: bool
    remaining: int | None
    adding: tuple[str, ...]


def parse_query(
    level: Level,
    target: Target | None,
    parameters: Sequence[tuple[str, str]],
    query_tags: QueryTags = NO_TAGS,
    maximum_results: int = Limits.search_results,
) -> tuple[Query, list[str]]:
    """Return the search that these parameters ask for, and a warning for each ignored one.

    `target` is what the path names above the level, `query_tags` are keys by configuration.
    """
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        given.setdefault(name.strip(), []).append(value)
    warnings: list[str] = []
    fuzzy, empty, multiple = (_switch(given, name) for name in _SWITCHES)
    options = MatchOptions(fuzzy, empty, multiple, _offset(given))
    limit, offset = _number(given, "limit"), _number(given, "offset")
    included, include_all = _included(given.pop("includefield", []), warnings)
    conditions, matched = _conditions(level, given, options, query_tags, warnings)
    return Query(
        level=level,
        conditions=conditions,
        limit=min(limit, maximum_results) if limit is not None else maximum_results,
        offset=offset or 0,
        study_instance_uid=target.study_instance_uid if target else None,
        series_instance_uid=target.series_instance_uid if target else None,
        included=included | matched,
        include_all=include_all,
    ), warnings


def search(services: Services, query: Query, base_url: str) -> SearchAnswer:
    """Run the search; `base_url` is the service's, for RetrieveURL."""
    page = services.index.searcher.search(query)
    matches = [_encode(match, base_url) for match in page.matches]
    return SearchAnswer(matches, page.more, page.remaining, page.adding)


def _conditions(
    level: Level,
    given: dict[str, list[str]],
    options: MatchOptions,
    query_tags: QueryTags,
    warnings: list[str],
) -> tuple[tuple[tuple[Attribute, Matcher], ...], frozenset[str]]:
    """Return attributes with their matchers, and the tags of all that are named, to return them."""
    by_attribute: dict[Attribute, list[str]] = {}
    for name, values in given.items():
        attribute = _attribute(level, name, query_tags)
        if attribute is not None:
            by_attribute.setdefault(attribute, []).extend(values)
        elif name.lower() not in _ELSEWHERE:
            warnings.append(f"The parameter {_shown(name)} is not supported and was ignored.")
    conditions = tuple(timezone_matching.conditions(by_attribute, options))
    return conditions, frozenset(attribute.tag for attribute in by_attribute)


def _attribute(level: Level, name: str, query_tags: QueryTags) -> Attribute | None:
    """Return the attribute of this name that can be searched for at the level."""
    path = path_of(name)
    if path == _MODALITY and level is Level.STUDY:
        path = _MODALITIES_IN_STUDY  # what people mean, for a study has no modality of its own
    attribute = searchable(path) or query_tags.by_path.get(path) if path else None
    return attribute if attribute and attribute.level.depth <= level.depth else None


def _included(values: Sequence[str], warnings: list[str]) -> tuple[frozenset[str], bool]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    tags = set()
    for name in names:
        path = path_of(name)
        if path is not None:
            tags.add(path[0])
        elif name != "all":
            warnings.append(f"The includefield {_shown(name)} is not known and was ignored.")
    return frozenset(tags), "all" in names


def _switch(given: dict[str, list[str]], name: str) -> bool:
    value = _single(given, name)
    if value not in (None, "true", "false"):
        raise InvalidRequest(f"{name} must be true or false, in small letters.")
    return value == "true"


def _offset(given: dict[str, list[str]]) -> int | None:
    """Return the time zone of the keys, in minutes from UTC."""
    for name in [name for name in given if path_of(name) == _TIMEZONE]:
        if value := _single(given, name):
            return timezone_matching.parse_offset(value)
    return None


def _number(given: dict[str, list[str]], name: str) -> int | None:
    value = _single(given, name)
    if value is None:
        return None
    if not _NUMBER.fullmatch(value):
        raise InvalidRequest(f"{name} must be a whole number from 0.")
    return int(value)


def _single(given: dict[str, list[str]], name: str) -> str | None:
    values = given.pop(name, [])
    if len(set(values)) > 1:
        raise InvalidRequest(f"{name} is given more than once.")
    return values[0].strip() if values else None


def _encode(match: Match, base_url: str) -> bytes:
    """Return the result as a JSON object with its availability and the URL to retrieve it from."""
    url = orjson.dumps(f"{base_url}/{match.target.path}")
    retrieve_url = b'"00081190":{"vr":"UR","Value":[%s]}' % url
    attributes = sorted([*match.attributes, _AVAILABILITY, retrieve_url])
    base = f'"BulkDataURI":"{base_url}/'.encode()
    placeholder = f'"BulkDataURI":"{BULKDATA_BASE}'.encode()
    return b"{%s}" % b",".join(attributes).replace(placeholder, base)


def _shown(name: str) -> str:
    """Return the beginning of a client's text, in characters that a header may have."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name[:64])
