"""Folding: what people type finds what is stored."""

# ruff: noqa: RUF001 (letters of many scripts are what this file is about)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.dicom.match.text_folding import fold


@pytest.mark.parametrize(
    ("stored", "typed"),
    [
        ("MÜLLER", "muller"),
        ("Buc^Jérôme", "buc^jerome"),
        ("Łódź", "lodz"),
        ("Sørensen", "sorensen"),
        ("Đorđević", "dordevic"),
        ("Straße", "STRASSE"),
        ("Ærø", "aero"),
        ("İstanbul", "istanbul"),
        ("Iğdır", "igdir"),
        ("Διονυσιος", "ΔΙΟΝΥΣΙΟΣ"),
        ("Λυκεῖον", "λυκειον"),
        ("Люкceмбypг", "ЛЮКCEМБYPГ"),
        ("Семёнов", "семенов"),
        ("שָׁלוֹם", "שלום"),
        ("قَبَّانِي", "قباني"),
        ("أحمد", "احمد"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ^タロウ"),
        ("ＹＡＭＡＤＡ", "yamada"),
        ("  padded  ", "padded"),
    ],
)
def test_case_accents_width_and_padding_make_no_difference(stored: str, typed: str) -> None:
    assert fold(stored) == fold(typed)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ハ", "バ"), ("は", "ぱ"), ("김", "기"), ("कि", "क"), ("a b", "ab"), ("王", "小")],
)
def test_what_tells_words_apart_in_its_script_stays(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_hangul_comes_back_composed() -> None:
    assert fold("김희중") == "김희중"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_folding_what_is_folded_changes_nothing(value: str) -> None:
    assert fold(fold(value)) == fold(value)
