"""Integers: one reading of IS for JSON, searches, frames and pictures."""

import pytest

from lenticular.dicom.integers import first_integer, integer


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *[("4", 4), ("4.000000", 4), ("4.", 4), ("4e0", 4), ("+4", 4), (" 04 ", 4), (4.0, 4)],
        *[("-4.0", -4), (4, 4), ("40e-1", 4), ("0.0", 0), ("-0", 0), ("1e3", 1000)],
    ],
)
def test_a_number_without_a_fraction_is_an_integer(text: object, number: int) -> None:
    assert integer(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *["4.5", "", ".", "four", "4 5", "1e999", "9" * 19, "0." + "0" * 70, "1_0", "٤"],
        *[None, True, float("nan"), float("inf"), {}, []],
    ],
)
def test_anything_else_is_none(text: object) -> None:
    assert integer(text) is None


def test_the_first_value_of_an_attribute_counts() -> None:
    assert first_integer({"00280008": {"vr": "IS", "Value": ["3.0", 7]}}, "00280008") == 3
    assert first_integer({"00280008": {"vr": "IS"}}, "00280008") is None
    assert first_integer({}, "00280008") is None
