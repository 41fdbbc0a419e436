"""Orthanc's `/tools/find` and `/tools/lookup`, on top of the search of the index.

The question is a JSON object; what it asks of attributes is understood as QIDO-RS understands it
(PS3.4 C.2.2.2), and returned as identifiers or as resources.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lenticular import errors
from lenticular.dicom import uids
from lenticular.dicom.model import Dataset, Level, Target
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.dicom.orthanc_tags import Style, full, orthanc_tag, short, simplified
from lenticular.dicom.query_tags import QueryTags
from lenticular.dicom.search_attributes import path_of
from lenticular.index.records import OrthancResource
from lenticular.index.search.searcher import Query
from lenticular.services import Services
from lenticular.transactions.orthanc import resources as browse
from lenticular.transactions.search import parse_query

LARGEST = 10**15

_HAS_WILD_CARDS = re.compile(r"[*?\\]")
_PARENTS = {"ParentStudy": Level.STUDY, "ParentSeries": Level.SERIES}
_FIELDS = {
    *("Level", "Query", "Expand", "Full", "Short", "CaseSensitive", "Since", "Limit"),
    *("Labels", "LabelsConstraint", *_PARENTS),
}

_UID_OF = {
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.INSTANCE: "SOPInstanceUID",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A query of `/tools/find`."""

    level: Level
    keys: dict[str, str]
    expand: bool = False
    style: Style = simplified
    case_sensitive: bool = False
    since: int = 0
    limit: int = 0
    parent: tuple[Level, str] | None = None

    @classmethod
    def parse(cls, body: dict[str, Any]) -> "Question":
        """Read the question; refuse fields that are not known, for they would change the answer."""
        _refuse_other_fields(body)
        level = _level(body.get("Level"))
        style = full if _flag(body, "Full") else short if _flag(body, "Short") else simplified
        return cls(
            level=level,
            keys=_keys(body.get("Query")),
            expand=_flag(body, "Expand"),
            style=style,
            case_sensitive=_flag(body, "CaseSensitive"),
            since=_count(body, "Since"),
            limit=_count(body, "Limit"),
            parent=_parent(body, level),
        )

    def query(
        self, limit: int, offset: int, query_tags: QueryTags, target: Target | None = None
    ) -> Query:
        """Return the search of the index, below the target."""
        level = Level.STUDY if self.level is Level.PATIENT else self.level
        parameters = [*self.keys.items(), ("limit", str(limit)), ("offset", str(offset))]
        query, ignored = parse_query(level, target, parameters, query_tags)
        if ignored:
            raise errors.InvalidRequest(f"At the level {self.level}: {ignored[0]}")
        return query


def find(services: Services, question: Question) -> list[Any]:
    """Return the identifiers of the matches, or with `expand` their descriptions."""
    if question.case_sensitive and any(map(_has_case, question.keys.values())):
        matching = _in_right_case(services, question)
        start, stop = question.since, question.limit and question.since + question.limit
        resources = list(islice(matching, start, stop or None))
        ids = [resource.orthanc_id for resource in resources]
    else:
        ids = list(_ids(services, question, question.since, question.limit))
        resources = (
            services.index.orthanc.resources_of(question.level, ids) if question.expand else []
        )
    if not question.expand:
        return ids
    return [browse.describe(resource, question.style) for resource in resources]


def lookup(services: Services, identifier: str) -> list[dict[str, str]]:
    """Return the patient with this PatientID, and the study, series or instance of this UID."""
    found = [browse.reference(Level.PATIENT, each) for each in _patients(services, identifier)]
    if uids.problem_of(identifier) is None:
        for level, keyword in _UID_OF.items():
            question = Question(level, {keyword: identifier})
            found += [browse.reference(level, each) for each in _ids(services, question)]
    return found


def _patients(services: Services, identifier: str) -> list[str]:
    """Return the patients with this PatientID, whatever its case, as Orthanc finds them."""
    exact = orthanc_id(identifier)
    if services.index.orthanc.resource(Level.PATIENT, exact) is not None:
        return [exact]
    if not identifier.strip() or _HAS_WILD_CARDS.search(identifier):
        return []  # as a key this would match other patients too
    return list(_ids(services, Question(Level.PATIENT, {"PatientID": identifier})))


def _ids(services: Services, question: Question, since: int = 0, limit: int = 0) -> Iterator[str]:
    """Yield the identifiers of what matches, but for case; 0 is no limit."""
    end = since + limit if limit else None
    at_once = services.limits.orthanc_resources
    target = None
    if question.parent is not None:
        target = services.index.orthanc.target_of(*question.parent)
        if target is None:
            return
    while end is None or since < end:
        wanted = at_once if end is None else min(at_once, end - since)
        query = question.query(wanted, since, services.index.query_tags, target)
        page = services.index.searcher.ids(question.level, query)
        yield from page
        if len(page) < wanted:
            return
        since += wanted


def _in_right_case(services: Services, question: Question) -> Iterator[OrthancResource]:
    """Yield resources that match with case and accents, which the index ignores."""
    lettered = {name: key for name, key in question.keys.items() if _has_case(key)}
    ids = _ids(services, question)
    while page := list(islice(ids, services.limits.orthanc_resources)):
        for resource in services.index.orthanc.resources_of(question.level, page):
            dataset = _with_ancestors(services, resource)
            if all(_agrees(dataset, name, key) for name, key in lettered.items()):
                yield resource


def _with_ancestors(services: Services, resource: OrthancResource) -> Dataset:
    """Return the attributes of a resource and of all above it."""
    dataset = {**resource.patient_attributes, **resource.attributes}
    if resource.level in (Level.SERIES, Level.INSTANCE):
        above = browse.parent(services, resource)
        dataset = {**_with_ancestors(services, above), **dataset}
    return dataset


def _agrees(dataset: Dataset, name: str, key: str) -> bool:
    """Return True if the value has the case of the key; computed attributes always match."""
    path = path_of(name)
    if path is None or len(path) > 1 or path[0] not in dataset:
        return True
    told = short({path[0]: dataset[path[0]]})[orthanc_tag(path[0])] or ""
    values = {told, *told.split("\\")}
    patterns = [_pattern(each) for each in key.split("\\")]
    return any(pattern.fullmatch(value) for pattern in patterns for value in values)


def _pattern(key: str) -> re.Pattern[str]:
    """Return the pattern of Wild Card Matching, PS3.4 C.2.2.2.4, with regard to case."""
    return re.compile(re.escape(key).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _has_case(key: str) -> bool:
    return key.lower() != key.upper()


def _refuse_other_fields(body: dict[str, Any]) -> None:
    if body.get("Labels"):
        raise errors.InvalidRequest("There are no labels here, so none can be searched for.")
    if body.get("ParentPatient"):
        raise errors.InvalidRequest(
            'Field "ParentPatient" is not supported; put the PatientID into "Query".'
        )
    for name, value in body.items():
        # Clients also send the fields that they leave empty.
        if value and name not in _FIELDS:
            fields = ", ".join(sorted(_FIELDS))
            raise errors.InvalidRequest(f'Field "{name[:80]}" is not supported: use {fields}.')


def _parent(body: dict[str, Any], level: Level) -> tuple[Level, str] | None:
    """Return the level and identifier of the resource that the results lie below."""
    given = [name for name in _PARENTS if body.get(name)]
    if not given:
        return None
    if len(given) > 1 or not isinstance(body[given[0]], str):
        raise errors.InvalidRequest(f'Field "{given[0]}" should be the only parent, a string')
    above = _PARENTS[given[0]]
    if above.depth >= level.depth:
        raise errors.InvalidRequest(f'Field "{given[0]}" does not go with the level {level}')
    return above, body[given[0]]


def _level(name: Any) -> Level:
    if not isinstance(name, str):
        raise errors.InvalidRequest('Field "Level" is missing, or should be a string')
    for level, plural in browse.PLURAL.items():
        if name.lower() in (level.lower(), plural):
            return level
    raise errors.InvalidRequest("The level must be Patient, Study, Series or Instance.")


def _keys(query: Any) -> dict[str, str]:
    if not isinstance(query, dict):
        raise errors.InvalidRequest('Field "Query" is missing, or should be a JSON object')
    for name, value in query.items():
        if not isinstance(value, str):
            raise errors.InvalidRequest(f'Tag "{name}" should be associated with a string')
        if path_of(name.replace("-", ",")) is None:
            raise errors.InvalidRequest(f"Unknown DICOM tag: {name}")
    # Orthanc also writes a tag as `0010-0020`.
    return {name.replace("-", ","): value for name, value in query.items()}


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise errors.InvalidRequest(f'Field "{name}" should be a Boolean')
    return value


def _count(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise errors.InvalidRequest(f'Field "{name}" should be an integer')
    if value < 0:
        raise errors.InvalidRequest(f'Field "{name}" should be a positive integer')
    return min(value, LARGEST)
