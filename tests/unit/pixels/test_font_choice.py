"""Letters of other scripts than Latin: their font, their order, and how they join."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lenticular.pixels.font_choice import MISSING, font, legible
from lenticular.pixels.right_to_left import join_arabic, visual
from lenticular.pixels.text_drawing import annotated, patient_lines

NAMES = [
    "山田 太郎",
    "Иванов",
    "אברהם",
    "محمد",
    "김희중",
    "สมชาย",
    "Παπαδόπουλος",
    "Müller",
    "Հայկ",
]


def drawn(text: str) -> np.ndarray:
    image = Image.new("L", (600, 48))
    ImageDraw.Draw(image).text((2, 2), text, fill=255, font=font(32, text))
    return np.asarray(image)


@pytest.mark.parametrize("name", NAMES)
def test_a_letter_of_this_script_is_drawn_and_is_no_other(name):
    shown = legible(name)

    assert shown == name
    letters = set(shown) - {" "}
    pictures = {drawn(letter).tobytes() for letter in letters}
    assert len(pictures) == len(letters)
    assert all(np.frombuffer(picture, np.uint8).any() for picture in pictures)
    assert drawn(MISSING).tobytes() not in pictures


def test_what_no_font_has_is_marked_and_what_nobody_sees_is_left_out():
    assert legible("A\U0001f600\ue000B") == f"A{MISSING}{MISSING}B"
    assert legible("A\u200f\u202eB\tC\x1bD") == "AB C D"
    assert legible("Jo\u0308rg") == "Jörg"
    assert legible("x" * 100) == "x" * 64


@pytest.mark.parametrize(
    ("read", "seen"),
    [
        ("Doe, Jane (1)", "Doe, Jane (1)"),
        ("אברהם כהן", "ןהכ םהרבא"),
        ("אב 12-34 גד", "דג 12-34 בא"),
        ("Ελ (Γ) אב 12-34 גד", "Ελ (Γ) דג 12-34 בא"),
        ("אב (Smith 5) גד", "דג (Smith 5) בא"),
        ("אב (1) ABC", "ABC (1) בא"),
        ("CT אב, גד MR", "CT דג ,בא MR"),
        ("1970-01-01 אב", "בא 1970-01-01"),
        ("٣٤ CT", "٣٤ CT"),
        ("", ""),
    ],
)
def test_letters_that_run_to_the_left_stand_in_their_order(read, seen):
    assert visual(read) == seen


def test_arabic_letters_join_their_neighbours():
    def forms(text: str) -> list[int]:
        return [ord(letter) for letter in join_arabic(text)]

    assert forms("محمد") == [0xFEE3, 0xFEA4, 0xFEE4, 0xFEAA]
    assert forms("دد") == [0xFEA9, 0xFEA9]
    assert forms("سلام") == [0xFEB3, 0xFEFC, 0xFEE1]
    assert forms("بَب") == [0xFE91, 0x064E, 0xFE90]
    assert join_arabic("Doe") == "Doe"


def test_a_long_line_takes_no_longer_for_its_direction():
    line = "א" + " ." * 100_000 + "b"

    assert len(visual(line)) == len(line)


def test_names_of_east_asia_begin_with_the_family_and_others_with_what_is_given():
    def named(text: str) -> list[str]:
        return patient_lines({"00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]}})

    assert named("山田^太郎") == ["山田 太郎"]
    assert named("김^희중") == ["김 희중"]
    assert named("Иванов^Иван") == ["Иван Иванов"]


@pytest.mark.parametrize("name", ["山田^太郎", "Иванов^Иван", "אברהם^כהן"])
def test_an_annotation_in_letters_of_this_script_differs_from_any_other(name):
    def shown(text: str) -> np.ndarray:
        dataset = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]}}
        return annotated(np.full((128, 256), 90, np.uint8), dataset, ["patient"])

    other = "".join(sorted(name.replace("^", ""))[::-1])
    assert not np.array_equal(shown(name), shown(other))
    assert not np.array_equal(shown(name), shown("?" * len(other)))
