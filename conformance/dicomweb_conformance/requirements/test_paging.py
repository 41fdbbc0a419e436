"""PS3.18 8.3.4.4: the pages of a search, and what is left behind them."""

import pytest

from dicomweb_conformance.client import JSON, ok, values
from dicomweb_conformance.levels import RECOMMENDED
from dicomweb_conformance.requirements.test_search import SOP_UID, mine


def test_8_3_4_4_limit_and_offset_page_through_the_matches(service):
    pages = [
        service.search("/instances", **mine(limit="3", offset=str(offset))) for offset in (0, 3, 6)
    ]

    assert [len(page) for page in pages] == [3, 3, 2]
    assert len({uid for page in pages for uid in values(page, SOP_UID)}) == 8


def test_8_3_4_4_an_offset_beyond_the_end_gives_nothing(service):
    assert service.search("/studies", **mine(offset="100")) == []


@pytest.mark.parametrize(("limit", "offset", "left"), [(1, 0, 7), (3, 2, 3), (7, 0, 1)])
def test_8_3_4_4_1_a_warning_says_how_many_results_are_left(service, limit, offset, left):
    parameters = mine(limit=str(limit), offset=str(offset))
    response = ok(service.get("/instances", JSON, params=parameters))

    warning = response.headers.get("Warning", "")
    assert warning.startswith("299 "), "no Warning 299"
    assert f"There are {left} additional results that can be requested" in warning


def test_8_3_4_4_1_no_warning_when_all_results_are_returned(service):
    response = ok(service.get("/instances", JSON, params=mine(limit="8")))

    assert "additional results" not in response.headers.get("Warning", "")


def test_8_3_4_4_1_the_same_search_has_the_same_order(service):
    first, second = (values(service.search("/instances", **mine()), SOP_UID) for _ in range(2))

    assert first == second


@RECOMMENDED
def test_8_3_4_4_limit_0_returns_nothing(service):
    assert service.search("/studies", **mine(limit="0")) == []
