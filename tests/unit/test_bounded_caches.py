"""What clients and files may make long is not remembered for the next request."""

import tracemalloc
from contextlib import closing

import pytest

from lenticular.dicom import dictionary, orthanc_tags
from lenticular.dicom.model import Level
from lenticular.dicom.read import character_sets
from lenticular.dicom.search_attributes import path_of
from lenticular.index.search.searcher import Query
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.web.http.accept import parse_ranges

TIMES = 300
LONG = 100_000
MAY_KEEP = 3_000_000


def private(creator: str) -> dict:
    return {
        "00090010": {"vr": "LO", "Value": [creator]},
        "00091001": {"vr": "UN", "InlineBinary": "AA=="},
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "read",
    [
        path_of,
        lambda text: parse_ranges("a/" + text),
        lambda text: character_sets.character_set((text, text)),
        lambda text: character_sets.character_set(
            tuple(f"{text[:6]}{number}" for number in range(9999))
        ),
        lambda text: dictionary.private_vr(0x00091001, private(text)),
        lambda text: orthanc_tags.simplified(private(text)),
    ],
    ids=["names", "Accept", "character sets", "many character sets", "private VRs", "Orthanc's"],
)
def test_long_texts_are_not_kept(read):
    read("x")
    tracemalloc.start()
    for number in range(TIMES):
        read(f"{number:06}".ljust(LONG, "x"))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert kept < MAY_KEEP


def test_statements_for_long_lists_of_attributes_are_not_kept(tmp_path):
    with closing(open_services(Settings(data=tmp_path))) as services:
        services.index.migrate()
        tracemalloc.start()
        for number in range(30):
            tags = frozenset(f"{number:04X}{element:04X}" for element in range(2000))
            services.index.searcher.search(Query(Level.STUDY, (), limit=1, included=tags))
        kept, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert kept < MAY_KEEP
