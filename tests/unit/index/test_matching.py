"""Keys and values in the form in which they meet, PS3.4 C.2.2.2."""
# ruff: noqa: RUF001

import pytest

from lenticular.dicom.match.matchers import (
    AllOf,
    AnyOf,
    Empty,
    Groups,
    MatchOptions,
    OneOf,
    ValueRange,
    Wildcard,
    Words,
    name_groups,
    normal_text,
    parse,
)
from lenticular.dicom.match.temporal import date_bounds, datetime_bounds, time_bounds
from lenticular.dicom.search_attributes import path_of, searchable
from lenticular.errors import InvalidRequest


def parsed(keyword, *keys, **manner):
    return parse(searchable(path_of(keyword)), keys, MatchOptions(**manner))


@pytest.mark.parametrize(
    ("keyword", "key", "matcher"),
    [
        ("PatientID", " aB ", OneOf(("ab",))),
        ("PatientID", "a,b", OneOf(("a,b",))),
        ("PatientID", "a\\b", OneOf(("a", "b"))),
        ("PatientID", "a**b?", Wildcard("a*b?")),
        ("PatientID", "a\\b*", AnyOf((OneOf(("a",)), Wildcard("b*")))),
        ("PatientID", "***", None),
        ("PatientID", "\\", None),
        ("PatientID", "*\\*", None),
        ("PatientName", "*\\*", None),
        ("PatientName", "*,\\^*", None),
        ("ModalitiesInStudy", "\\,", None),
        ("PatientName", "*doe\\*", Wildcard("*doe")),
        ("PatientSex", "M,F", OneOf(("m", "f"))),
        ("StudyInstanceUID", "1.2,1.3\\1.2", OneOf(("1.2", "1.3"))),
        ("StudyInstanceUID", "1.2,", OneOf(("1.2",))),
        ("InstanceNumber", "+07", OneOf((7,))),
        ("InstanceNumber", "-1", OneOf((-1,))),
        ("StudyDate", "20240101-20240131", ValueRange("20240101", "20240131")),
        ("StudyDate", " 20240101 - ", ValueRange("20240101", None)),
        ("StudyTime", "-1030", ValueRange(None, "103059.999999")),
        ("PatientName", "Doe^Jane^^", OneOf(("doe jane",))),
        ("PatientName", "doe^*", AnyOf((OneOf(("doe",)), Wildcard("doe *")))),
        ("PatientName", "a=b", Groups((OneOf(("a",)), OneOf(("b",))))),
        ("PatientName", "=*=c", Groups((None, None, OneOf(("c",))))),
    ],
)
def test_a_key_is_understood_by_its_vr(keyword, key, matcher):
    assert parsed(keyword, key) == matcher


def test_fuzzy_keys_are_words():
    assert parsed("PatientName", "*Doe*^jan, A", fuzzy=True) == Words(("*doe", "jan", "a"))
    assert parsed("PatientName", "^*", fuzzy=True) is None
    assert parsed("PatientID", "Doe Jane", fuzzy=True) == OneOf(("doe jane",))


def test_empty_and_multiple_values_are_matched_only_when_asked_for():
    assert parsed("PatientID", '""', empty=True) == Empty()
    assert parsed("PatientID", '""') == OneOf(('""',))
    several = AllOf((OneOf(("ct",)), OneOf(("mr",))))
    assert parsed("ModalitiesInStudy", "CT\\MR", multiple=True) == several
    assert parsed("ModalitiesInStudy", "CT\\MR") == OneOf(("ct", "mr"))
    assert parsed("PatientSex", "M\\F", multiple=True) == OneOf(("m", "f"))


def test_keys_given_together_are_a_choice():
    assert parsed("PatientID", "a", "", "b") == OneOf(("a", "b"))
    assert parsed("PatientID", "", "*") is None


@pytest.mark.parametrize(
    ("keyword", "key"),
    [
        ("StudyDate", "2024"),
        ("StudyDate", "20240101-20240102-20240103"),
        ("StudyDate", "202401*"),
        ("StudyDate", ","),
        ("StudyTime", "1"),
        ("StudyTime", "10:3"),
        ("AcquisitionDateTime", "20240101-x"),
        ("AcquisitionDateTime", "202401011"),
        ("AcquisitionDateTime", "20240101.5"),
        ("InstanceNumber", "1.5"),
        ("InstanceNumber", "٣"),
        ("StudyInstanceUID", "1/2"),
        ("StudyInstanceUID", "1." * 80),
        ("StudyDate", "\\"),
        ("StudyInstanceUID", ","),
    ],
)
def test_a_malformed_key_is_refused(keyword, key):
    with pytest.raises(InvalidRequest):
        parsed(keyword, key)


@pytest.mark.parametrize(
    ("value", "bounds"),
    [
        ("2024", ("20240101000000.000000", "20241231235959.999999")),
        ("202402", ("20240201000000.000000", "20240229235959.999999")),
        ("20240229", ("20240229000000.000000", "20240229235959.999999")),
        ("2024022914", ("20240229140000.000000", "20240229145959.999999")),
        ("20240229142530.5", ("20240229142530.500000", "20240229142530.599999")),
        ("20240229000000+0100", ("20240228230000.000000", "20240228230000.999999")),
        ("2024-0500", ("20240101050000.000000", "20250101045959.999999")),
        ("20161231235960", ("20170101000000.000000", "20170101000000.999999")),
        ("20230229", None),
        ("0001+0100", None),
        ("99991231235959-0100", None),
        ("20240101000000+9900", None),
        ("", None),
    ],
)
def test_a_date_time_covers_what_its_precision_says(value, bounds):
    assert datetime_bounds(value) == bounds


def test_the_dataset_tells_the_offset_of_what_has_none():
    assert datetime_bounds("20240101120000", "+0200")[0] == "20240101100000.000000"
    assert datetime_bounds("20240101120000+0000", "+0200")[0] == "20240101120000.000000"
    assert datetime_bounds("20240101120000", "nonsense")[0] == "20240101120000.000000"


def test_dates_and_times_that_are_none_have_no_bounds():
    for value in ("20241301", "2024.1.1", "2024.0101", "00000101", "", "２０２４０１０１"):
        assert date_bounds(value) is None
    for value in ("24", "1060", "10:30:61", "103", "10.5", ""):
        assert time_bounds(value) is None


@pytest.mark.parametrize("value", ["20240229", "2024.02.29", "2024-02-29", "2024/02/29"])
def test_a_date_may_have_separators(value):
    assert date_bounds(value) == ("20240229", "20240229")
    assert parsed("StudyDate", value) == OneOf(("20240229",))
    for key in (f"{value}-", f"-{value}", f"{value}-{value}", f"20240101-{value}"):
        assert isinstance(parsed("StudyDate", key), ValueRange)


@pytest.mark.parametrize(
    ("value", "first"),
    [
        ("2024-02-29T14:25:30Z", "20240229142530.000000"),
        ("2024-02-29 14:25:30.5+01:00", "20240229132530.500000"),
        ("2024-02-29T14:25", "20240229142500.000000"),
        ("2024-02-29", "20240229000000.000000"),
    ],
)
def test_a_date_and_time_may_be_written_as_iso_8601_has_it(value, first):
    assert datetime_bounds(value)[0] == first
    for key in (f"{value}-", f"-{value}", f"{value}-2024-03-01"):
        assert isinstance(parsed("AcquisitionDateTime", key), ValueRange)


def test_values_have_the_form_of_keys():
    assert normal_text(" ÄB\u3000") == "ab"
    assert normal_text("  ") is None
    assert len(normal_text("x" * 1000)) == 255
    groups = {"Alphabetic": "Yamada^^Tarou", "Ideographic": "山田^太郎"}
    assert name_groups(groups) == ("yamada tarou", "山田 太郎", None)
    assert name_groups("Doe^Jane") == ("doe jane", None, None)
    assert name_groups(None) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("PatientID", ("00100020",)),
        ("patientid", ("00100020",)),
        ("0020000d", ("0020000D",)),
        ("0020,000D", ("0020000D",)),
        ("RequestAttributesSequence.RequestedProcedureID", ("00400275", "00401001")),
        ("00400275.00401001", ("00400275", "00401001")),
        ("00091001", ("00091001",)),
        ("", None),
        ("Nonsense", None),
        ("PatientID.", None),
        ("0010002", None),
    ],
)
def test_an_attribute_is_named_by_keyword_tag_or_path(name, path):
    assert path_of(name) == path
