"""Whatever is asked of a search, it answers or says why not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenticular.dicom.model import Level
from lenticular.dicom.search_attributes import SEARCHED
from lenticular.errors import InvalidRequest
from lenticular.index import Index
from lenticular.transactions.search import parse_query
from tests.helpers.indexes import new

NAMES = [".".join(each.path) for attributes in SEARCHED.values() for each in attributes]
OTHERS = ["limit", "offset", "includefield", "fuzzymatching", "emptyvaluematching"]
OTHERS += ["TimezoneOffsetFromUTC"]
# What keys are made of, so that chance finds the corners.
PIECES = [
    "*",
    "?",
    "\\",
    ",",
    "-",
    "^",
    "=",
    ".",
    "+",
    "!",
    "%",
    "_",
    '""',
    " ",
    "a",
    "山",
    "\u0301",
]
PIECES += ["1", "2024", "20240229", "10", "1.2", "0500", "true", "all", "ModalitiesInStudy", "\0"]
PIECES += ["+0100", "20240101-20250101", "10-11"]

keys = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=20)
parameters = st.lists(st.tuples(st.sampled_from(NAMES + OTHERS * 3), keys), max_size=5)


@pytest.fixture(scope="module")
def index(index_url):
    opened = Index(index_url)
    opened.migrate()
    opened.writer.add([new("s", series, 1) for series in (1, 2)])
    yield opened
    opened.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(level=st.sampled_from(list(SEARCHED)), asked=parameters)
def test_any_question_is_answered_or_refused(index, level, asked):
    try:
        query, _ = parse_query(level, None, asked)
    except InvalidRequest:
        return
    page = index.searcher.search(query)
    assert len(page.matches) <= query.limit
    found = index.searcher.ids(level, query)
    assert len(found) == len(page.matches)
    if level is Level.STUDY:
        assert len(index.searcher.ids(Level.PATIENT, query)) <= query.limit
