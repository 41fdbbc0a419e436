"""Which attributes can be made search keys, and what is compared of them."""

from base64 import b64encode

import pytest

from lenticular.dicom.match.decimal_values import normal_decimal
from lenticular.dicom.model import Level
from lenticular.dicom.query_tags import MAXIMUM_VALUES, InvalidQueryTag, define


def one(path: str, level: str = "instance", vr: str = "", creator: str = ""):
    (tag,) = define([(path, level, vr, creator)])
    return tag


def compared(dataset, *definition: str):
    tags = define([(*definition, *("instance", "", "")[len(definition) - 1 :])])
    return [value for _, value in tags.values(Level.INSTANCE, dataset)]


@pytest.mark.parametrize(
    ("path", "tags", "vr"),
    [
        ("DeviceUID", ("00181002",), "UI"),
        ("00181002", ("00181002",), "UI"),
        ("0018,1002", ("00181002",), "UI"),
        ("deviceuid", ("00181002",), "UI"),
        ("0040A730.0040A043.00080104", ("0040A730", "0040A043", "00080104"), "LO"),
        ("ContentSequence.ContentSequence.TextValue", ("0040A730", "0040A730", "0040A160"), "UT"),
        ("SmallestImagePixelValue", ("00280106",), "US"),
    ],
)
def test_an_attribute_is_named_as_a_query_names_it(path, tags, vr):
    tag = one(path)
    assert (tag.path, tag.vr, tag.level) == (tags, vr, Level.INSTANCE)


def test_the_vr_of_a_private_attribute_is_looked_up_or_named():
    assert one("00191002", creator="GEMS_ACQU_01").vr == "SL"
    assert one("00191010", vr="ds", creator="ACME").vr == "DS"
    assert one("00091001.00091002", vr="LO", creator="ACME").path == ("00091001", "00091002")


@pytest.mark.parametrize(
    ("definitions", "why"),
    [
        ([("Nonsense", "series", "", "")], "not a keyword"),
        ([("DeviceUID", "", "", "")], "level"),
        ([("DeviceUID", "patient", "", "")], "level"),
        ([("StudyDate", "study", "", "")], "anyway"),
        ([("SeriesDescription", "instance", "", "")], "anyway"),
        ([("RequestAttributesSequence.RequestedProcedureID", "series", "", "")], "anyway"),
        ([("PixelData", "instance", "", "")], "OB or OW cannot"),
        ([("ContentSequence", "instance", "", "")], "SQ cannot"),
        ([("DeviceUID", "series", "ZZ", "")], "ZZ cannot"),
        ([("PatientWeight.CodeValue", "series", "", "")], "not a sequence"),
        ([("00191010", "series", "DS", "")], "private_creator"),
        ([("00191010", "series", "", "ACME")], "VR must be named"),
        ([("00191010", "series", "DS", "A" * 65)], "64 characters"),
        ([("00190010", "series", "LO", "ACME")], "gggg1000"),
        ([("DeviceUID", "series", "", "ACME")], "not private"),
        ([("TimezoneOffsetFromUTC", "study", "", "")], "time zone"),
        ([("00020010", "series", "", "")], "data set"),
        ([("DeviceUID", "series", "", ""), ("00181002", "study", "", "")], "twice"),
        ([("00191010", "series", "DS", "A"), ("00191011", "series", "DS", "B")], "00191111"),
    ],
)
def test_what_cannot_be_searched_for_is_refused_with_the_reason(definitions, why):
    with pytest.raises(InvalidQueryTag, match=why):
        define(definitions)


def test_the_number_of_a_tag_depends_on_all_that_it_says_and_on_nothing_else():
    numbers = {
        *(one("DeviceUID").tag_id, one("DeviceUID", "study").tag_id, one("PatientSize").tag_id),
        *(one("00191010", vr="DS", creator=creator).tag_id for creator in "AB"),
        one("00191010", vr="IS", creator="A").tag_id,
    }
    assert len(numbers) == 6
    assert one("00181002").tag_id == one("DeviceUID").tag_id
    assert all(0 <= number < 2**63 for number in numbers)


def test_all_values_in_all_items_are_compared_once():
    code = {"vr": "SH", "Value": ["B", "A", None, "a"]}
    dataset = {
        "00400555": {"vr": "SQ", "Value": [{"00080100": code}, {}, {"00080100": {"vr": "SH"}}]}
    }
    assert compared(dataset, "AcquisitionContextSequence.CodeValue") == [(0, "b"), (0, "a")]
    assert compared({}, "AcquisitionContextSequence.CodeValue") == []
    assert compared({"00400555": {"vr": "UN"}}, "AcquisitionContextSequence.CodeValue") == []


def test_more_values_than_anyone_searches_for_are_left_out():
    dataset = {"00209161": {"vr": "LO", "Value": list(range(MAXIMUM_VALUES + 1))}}
    assert len(compared(dataset, "ConcatenationUID", "instance", "LO")) == MAXIMUM_VALUES


def test_a_private_attribute_is_found_in_the_block_of_its_creator():
    dataset = {
        "00190010": {"vr": "LO", "Value": ["OTHER"]},
        "001900F1": {"vr": "LO", "Value": ["ACME "]},
        "00191010": {"vr": "DS", "Value": [1]},
        "0019F110": {"vr": "DS", "Value": [2]},
    }
    private = ("00191010", "instance", "DS", "ACME")
    assert compared(dataset, *private) == [(0, "2")]
    assert compared({"00191010": {"vr": "DS", "Value": [1]}}, *private) == []
    tags = define([private])
    assert tags.chosen(frozenset({"00191010"}), dataset) == {
        "00190010": {"vr": "LO", "Value": ["ACME"]},
        "00191010": {"vr": "DS", "Value": [2]},
    }


def test_a_private_sequence_reserves_its_block_in_each_item():
    inner = {"00090020": {"vr": "LO", "Value": ["ACME"]}, "00092001": {"vr": "LO", "Value": ["x"]}}
    dataset = {
        "00090011": {"vr": "LO", "Value": ["ACME"]},
        "00091102": {"vr": "SQ", "Value": [inner]},
    }
    assert compared(dataset, "00091002.00091001", "instance", "LO", "ACME") == [(0, "x")]


def test_bytes_of_a_private_attribute_are_read_by_the_vr_that_is_configured():
    unknown = {"vr": "UN", "InlineBinary": b64encode(b"1.50\\2 ").decode()}
    dataset = {"00190010": {"vr": "LO", "Value": ["ACME"]}, "00191010": unknown}
    assert compared(dataset, "00191010", "instance", "DS", "ACME") == [(0, "1.5"), (0, "2")]
    assert compared(dataset, "00191010", "instance", "FD", "ACME") == []


def test_moments_are_compared_in_utc_and_what_is_none_is_left_out():
    dataset = {
        "00080201": {"vr": "SH", "Value": ["+0200"]},
        "0040A13A": {"vr": "DT", "Value": ["20240301010000", "nonsense"]},
        "00189517": {"vr": "DT", "Value": ["20240301"]},
    }
    assert compared(dataset, "0040A13A") == [(0, "20240229230000.000000")]


@pytest.mark.parametrize(
    ("vr", "spellings", "normal"),
    [
        ("DS", ["1", "1.0", "+1", " 10e-1", 1, 1.0, "1."], "1"),
        ("DS", ["-0.50", "-.5", "-5E-1", -0.5], "-0.5"),
        ("IS", ["100", "0100", "1e2", 100], "1E+2"),
        ("DS", ["0", "-0", "0.00", 0.0], "0"),
        ("FL", ["0.1", 0.10000000149011612], "0.10000000149011612"),
        ("FD", ["0.1", 0.1, "1e-1"], "0.1"),
        ("UV", ["18446744073709551615", 2**64 - 1], "18446744073709551615"),
        ("DS", ["", "x", "1,5", "NaN", "1e9999", "1" * 65, "\u0661", None], None),
        ("FL", ["1e300"], None),
    ],
)
def test_numbers_are_compared_by_value(vr, spellings, normal):
    assert {normal_decimal(each, vr) for each in spellings} == {normal}
