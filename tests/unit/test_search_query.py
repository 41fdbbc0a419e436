"""From query parameters to a Query (PS3.18 8.3.4)."""

import pytest

from lenticular.dicom.match.matchers import OneOf
from lenticular.dicom.model import Level, Target
from lenticular.errors import InvalidRequest
from lenticular.limits import Limits
from lenticular.transactions.search import parse_query


def query(*parameters, level=Level.STUDY):
    parsed, warnings = parse_query(level, None, parameters)
    assert warnings == []
    return parsed


def columns(parsed):
    return [attribute.column for attribute, _ in parsed.conditions]


def test_without_parameters_everything_is_asked_for():
    parsed = query()

    assert parsed.conditions == ()
    assert (parsed.limit, parsed.offset) == (Limits.search_results, 0)
    assert not parsed.include_all


def test_a_limit_and_an_offset_are_numbers():
    parsed = query(("limit", "25"), ("offset", "50"))

    assert (parsed.limit, parsed.offset) == (25, 50)


def test_a_larger_limit_than_the_largest_is_as_none():
    largest, larger = (query(("limit", str(Limits.search_results + more))) for more in (0, 1))
    assert largest.limit == Limits.search_results
    assert larger.limit == Limits.search_results


def test_a_parameter_that_contradicts_itself_is_refused():
    assert query(("limit", "5"), ("limit", "5")).limit == 5
    with pytest.raises(InvalidRequest):
        query(("limit", "5"), ("limit", "6"))


def test_the_path_says_where_to_search():
    parsed, _ = parse_query(Level.INSTANCE, Target("1.2", "1.3"), [])

    assert (parsed.study_instance_uid, parsed.series_instance_uid) == ("1.2", "1.3")


def test_the_same_attribute_by_keyword_and_tag_is_one_condition():
    parsed = query(("PatientID", "a"), ("00100020", "b"))

    ((attribute, matcher),) = parsed.conditions
    assert attribute.column == "patient_id"
    assert matcher == OneOf(("a", "b"))


def test_universal_matching_is_no_condition_but_the_attribute_is_answered():
    parsed = query(("StudyDescription", "*"))

    assert parsed.conditions == ()
    assert parsed.included == {"00081030"}


def test_the_modality_of_a_study_means_those_in_it():
    assert columns(query(("Modality", "CT"))) == ["modalities_in_study"]
    assert columns(query(("Modality", "CT"), level=Level.SERIES)) == ["modality"]


def test_attributes_of_higher_levels_are_keys_and_of_lower_levels_are_not():
    assert columns(query(("PatientName", "x"), level=Level.INSTANCE)) == ["patient_name"]
    parsed, warnings = parse_query(Level.STUDY, None, [("SOPInstanceUID", "1.2")])
    assert parsed.conditions == ()
    assert "SOPInstanceUID" in warnings[0]


def test_included_fields_come_in_lists_and_repeatedly():
    parsed = query(
        ("includefield", "PatientComments,00081030"),
        ("includefield", " 0010,1010 ".replace(",", "")),
        ("includefield", ""),
    )

    assert parsed.included == {"00104000", "00081030", "00101010"}


def test_an_included_field_may_be_a_path_and_brings_its_sequence():
    parsed = query(("includefield", "00400275.00400009"), level=Level.SERIES)

    assert parsed.included == {"00400275"}


def test_all_is_all():
    assert query(("includefield", "all")).include_all


def test_parameters_of_negotiation_are_left_to_it():
    assert query(("accept", "application/dicom+json")).conditions == ()
