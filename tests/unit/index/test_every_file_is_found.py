"""Whatever a file holds, it can be filed, and searching for its own values finds it."""

import orjson
import pytest

from lenticular.dicom.model import Dataset, Target
from lenticular.dicom.read import part10
from lenticular.dicom.search_attributes import SEARCHED, Attribute, MatchingKind
from lenticular.errors import InvalidInstance, InvalidRequest
from lenticular.index import Index
from lenticular.index.records import NewInstance
from lenticular.transactions.search import parse_query


@pytest.fixture(scope="module")
def index(index_url):
    opened = Index(index_url)
    opened.migrate()
    yield opened
    opened.close()


def values_of(dataset: Dataset, path: tuple[str, ...]) -> list:
    """The values of an attribute, of all items when it is inside a sequence."""
    datasets = [dataset]
    for tag in path[:-1]:
        items = [item for each in datasets for item in each.get(tag, {}).get("Value", [])]
        datasets = [item for item in items if isinstance(item, dict)]
    values = [value for each in datasets for value in each.get(path[-1], {}).get("Value", [])]
    return [value for value in values if value is not None]


def keys_of(attribute: Attribute, dataset: Dataset) -> list[str]:
    """Keys that the dataset must match; only text can be anything at all."""
    keys: list[str] = []
    if attribute.column.startswith("number_of_") and attribute.column != "number_of_frames":
        return keys  # counted by us, whatever the file says
    for value in values_of(dataset, attribute.path):
        written = [each for each in value.values() if each] if isinstance(value, dict) else [value]
        keys += [str(each) for each in written]
    if attribute.kind in (MatchingKind.DATE, MatchingKind.TIME, MatchingKind.DATETIME):
        keys = [key for key in keys if "-" not in key]
    return [key for key in keys if key.strip("^ *") and "\\" not in key and len(key) < 1000]


def test_every_file_is_found_by_its_own_values(index, any_file):
    try:
        parsed = part10.parse(any_file.read_bytes())
    except InvalidInstance:
        pytest.skip("no DICOM instance")
    uids = (parsed.study_instance_uid, parsed.series_instance_uid, parsed.sop_instance_uid)
    index.writer.add([NewInstance(parsed, str(any_file), any_file.stat().st_size, bytes(32))])
    try:
        for level, attributes in SEARCHED.items():
            for attribute in attributes:
                for key in keys_of(attribute, parsed.dataset):
                    assert is_found(index, level, attribute, key), (attribute, key)
            assert is_answered(index, level)
    finally:
        assert index.writer.remove(Target(*uids)) is not None


def is_found(index, level, attribute, key) -> bool:
    try:
        query, _ = parse_query(level, None, [(".".join(attribute.path), key)])
    except InvalidRequest:
        return True  # the file holds what cannot be a value of its VR
    return len(index.searcher.search(query).matches) == 1


def is_answered(index, level) -> bool:
    """Whether the answer with everything in it is DICOM JSON in ascending order."""
    query, _ = parse_query(level, None, [("includefield", "all")])
    (match,) = index.searcher.search(query).matches
    answer = orjson.loads(b"{%s}" % b",".join(match.attributes))
    return list(answer) == sorted(answer)
