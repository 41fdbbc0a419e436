"""Values as people read them."""

import pytest

from lenticular.dicom import display_text


@pytest.mark.parametrize(
    ("vr", "value", "text"),
    [
        ("DA", "20240229", "2024-02-29"),
        ("DA", "2024.02.29", "2024-02-29"),
        ("DA", "202402", "202402"),
        ("TM", "101112.5", "10:11:12"),
        ("TM", "1011", "10:11"),
        ("DT", "20240229101112.25+0100", "2024-02-29 10:11:12 +0100"),
        ("DT", "20240229", "2024-02-29"),
        ("PN", {"Alphabetic": "Doe^Jane^Q^Dr^MD"}, "Dr Jane Q Doe MD"),
        ("PN", {"Ideographic": "山田^太郎"}, "山田 太郎"),
        ("PN", {}, ""),
        ("DS", 1.5, "1.5"),
        ("DS", 0.1 + 0.2, "0.3"),
        ("IS", 12, "12"),
        ("LO", " padded ", "padded"),
    ],
)
def test_a_value_reads_as_people_write_it(vr, value, text):
    assert display_text.text({"00100010": {"vr": vr, "Value": [value]}}, "00100010") == text


def test_several_values_are_a_list_and_none_are_nothing():
    dataset = {"00080060": {"vr": "CS", "Value": ["CT", None, "MR"]}, "00080061": {"vr": "CS"}}

    assert display_text.text(dataset, "00080060") == "CT, MR"
    assert display_text.text(dataset, "00080061") == display_text.text(dataset, "00080062") == ""


def test_a_code_is_its_meaning_or_else_itself():
    full = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["mm"]},
                                   "00080104": {"vr": "LO", "Value": ["millimeter"]}}]}  # fmt: skip
    bare = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["mm"]}}]}

    dataset = {"0040A043": full, "0040A168": bare}

    assert display_text.meaning(dataset, "0040A043") == "millimeter"
    assert display_text.meaning(dataset, "0040A168") == "mm"
    assert display_text.meaning(dataset, "004008EA") == ""
