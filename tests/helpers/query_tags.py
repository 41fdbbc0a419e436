"""Indexes with query tags for the tests, instances that have their attributes, and questions."""

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
from pydicom.dataset import Dataset
from sqlalchemy import func, select

from lenticular.dicom.model import Level
from lenticular.index import Index
from lenticular.index.sql.schema import TAG_VALUES
from lenticular.limits import Limits
from lenticular.transactions.search import parse_query
from tests.helpers.indexes import new

GANTRY = ("DeviceUID", "series", "", "")
POSITION = ("ImageComments", "instance", "", "")
REVIEWER = ("VerifyingObserverSequence.VerifyingObserverName", "study", "", "")
CODE = ("AcquisitionContextSequence.ConceptCodeSequence.CodeValue", "instance", "", "")
VENDOR = ("00191010", "series", "DS", "ACME 1.0")
ALL = (GANTRY, POSITION, REVIEWER, CODE, VENDOR)


@contextmanager
def opened(url: str, *tags, **limits: int) -> Iterator[Index]:
    """An index; no process is left that stores with another configuration."""
    index = Index(url, query_tags=tags, limits=Limits(**{"backfill_grace": 0, **limits}))
    yield index
    index.close()


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def tagged(study, series=1, instance=1, version=0, *, vendor=1.5, block=0x10, **attributes):
    """An instance that has something of every tag."""
    made = new(
        study,
        series,
        instance,
        version,
        DeviceUID=f"1.2.{study}.{series}",
        ImageComments=f"Comment {instance}",
        VerifyingObserverSequence=[item(VerifyingObserverName=f"Müller^{study}=山田^{study}")],
        AcquisitionContextSequence=[
            item(ConceptCodeSequence=[item(CodeValue=f"C{instance}")]),
            item(ConceptCodeSequence=[item(CodeValue="ANY")]),
        ],
        **attributes,
    )
    made.parsed.dataset[f"001900{block:02X}"] = {"vr": "LO", "Value": ["ACME 1.0"]}
    made.parsed.dataset[f"0019{block:02X}10"] = {"vr": "DS", "Value": [vendor]}
    return made


def index_all(index: Index) -> int:
    """Do what a server does after its start; how many studies it has looked at."""
    index.query_tag_registry.register()
    return go_on(index)


def go_on(index: Index) -> int:
    """Do all that is due; how many studies it has looked at."""
    looked_at = 0
    while (taken := index.query_tag_registry.advance()) is not None:
        looked_at += taken
    return looked_at


def ask(index: Index, level: Level, place=None, **keys):
    """The results, and which tags are not ready."""
    asked = [(name.replace("_", "."), value) for name, value in keys.items()]
    query, warnings = parse_query(level, place, asked, index.query_tags)
    assert warnings == []
    page = index.searcher.search(query)
    return page.matches, page.adding


def found(index: Index, level: Level, place=None, **keys) -> list:
    return sorted(
        (match.target for match in ask(index, level, place, **keys)[0]),
        key=lambda each: (each.study_instance_uid, str(each.series_instance_uid)),
    )


def answers(index: Index, level: Level, **keys) -> list[dict]:
    matches, _ = ask(index, level, **keys)
    return [orjson.loads(b"{%s}" % b",".join(match.attributes)) for match in matches]


def statuses(index: Index) -> dict[str, str]:
    return {each.path: each.status.value for each in index.query_tag_registry.registered()}


def count_values(index: Index) -> list[int]:
    with index.database.connect() as connection:
        counts = (select(func.count()).select_from(table) for table in TAG_VALUES.values())
        return [connection.scalar(count) for count in counts]


def values(index: Index) -> list[list[tuple]]:
    """Everything that is compared, level by level."""
    with index.database.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in TAG_VALUES.values()
        ]
