"""Values in DICOM JSON: what the file says, as PS3.18 F.2 writes it."""

import base64
import struct
from typing import Any

import orjson
import pytest

from lenticular.dicom.model import Dataset
from lenticular.dicom.read import part10
from lenticular.dicom.read.element_encoding import EXPLICIT_LITTLE
from lenticular.dicom.read.elements import ElementReader
from lenticular.dicom.read.limits import ReadLimits
from tests.helpers.files import raw


def read(*elements: bytes, charset: str | None = None) -> Dataset:
    dataset = part10.parse(raw.file(*elements, charset=charset)).dataset
    return orjson.loads(orjson.dumps(dataset))  # type: ignore[no-any-return]


def value(vr: str, content: bytes | str, tag: int = 0x00400100, **how: Any) -> Any:
    return read(raw.element(tag, vr, content), **how)[f"{tag:08X}"].get("Value")


def test_padding_is_taken_away_and_leading_spaces_stay() -> None:
    assert value("LO", "  AB  \0") == ["  AB"]
    assert value("UI", "1.2.3\0") == ["1.2.3"]
    assert value("UI", " 1.2.3 \\ 1.2.4") == ["1.2.3", "1.2.4"]
    assert value("AE", "  STATION ") == ["STATION"]


def test_an_empty_value_has_no_value_at_all() -> None:
    assert read(raw.element(0x00400100, "LO", "    "))["00400100"] == {"vr": "LO"}
    assert read(raw.element(0x00400100, "US", b""))["00400100"] == {"vr": "US"}
    assert read(raw.element(0x00400100, "SQ", b""))["00400100"] == {"vr": "SQ"}
    assert read(raw.element(0x00400100, "OB", b""))["00400100"] == {"vr": "OB"}


def test_an_empty_value_among_several_is_null() -> None:
    assert value("CS", "A\\\\B ") == ["A", None, "B"]
    assert value("DS", "1\\\\2.5") == [1, None, 2.5]
    assert value("PN", "A^B\\\\C") == [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C"}]


def test_a_backslash_in_text_is_a_character() -> None:
    assert value("LT", "C:\\scans ") == ["C:\\scans"]
    assert value("UT", "  a\\b\r\n") == ["  a\\b\r\n"]
    assert value("UC", "a\\b ") == ["a", "b"]


def test_names_come_in_their_component_groups() -> None:
    assert value("PN", "Doe^Jane=X=Y=Z") == [
        {"Alphabetic": "Doe^Jane", "Ideographic": "X", "Phonetic": "Y"}
    ]
    assert value("PN", "==Y ") == [{"Phonetic": "Y"}]
    assert value("PN", "==") is None


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("1", 1), ("-1024", -1024), ("+5", 5), (" 007 ", 7), ("0.48828125", 0.48828125),
        ("0.48828125000000", 0.48828125), ("100.000000000000", 100.0), ("1e3", 1000.0),
        ("-.5", -0.5), ("5.", 5.0), ("-0.1234567890123", -0.1234567890123),
    ],
)  # fmt: skip
def test_a_decimal_string_is_a_number(written: str, number: float) -> None:
    assert value("DS", written) == [number]


@pytest.mark.parametrize(
    "written",
    ["1.9.10.0", "-", "abc", "1_0", "nan", "inf", "1,5", "0.1234567890123456789", "1e400",
     "1e-400", "1e99999999999999999999", "9" * 70],
)  # fmt: skip
def test_a_decimal_string_that_no_number_says_stays_a_string(written: str) -> None:
    assert value("DS", written) == [written]


def test_integer_strings_are_numbers_where_they_are() -> None:
    assert value("IS", "12\\-3 ") == [12, -3]
    assert value("IS", "1.5\\x\\1A") == ["1.5", "x", "1A"]


@pytest.mark.parametrize(
    ("vr", "code", "numbers"),
    [
        ("US", "H", [0, 65535]), ("SS", "h", [-32768, 5]), ("UL", "I", [2**32 - 1]),
        ("SL", "i", [-(2**31), 7]), ("FL", "f", [0.5, -2.25]), ("FD", "d", [0.1, 1e300]),
        ("UV", "Q", [1, 2]), ("SV", "q", [-1]),
    ],
)  # fmt: skip
def test_binary_numbers_are_numbers(vr: str, code: str, numbers: list[float]) -> None:
    assert value(vr, struct.pack(f"<{len(numbers)}{code}", *numbers)) == numbers


def test_integers_beyond_what_json_holds_are_strings() -> None:
    assert value("UV", struct.pack("<QQ", 2**53 - 1, 2**64 - 1)) == [2**53 - 1, str(2**64 - 1)]
    assert value("SV", struct.pack("<q", -(2**63))) == [str(-(2**63))]


def test_what_is_no_finite_number_has_a_name() -> None:
    infinity = float("inf")
    content = struct.pack("<4d", float("nan"), infinity, -infinity, 1.5)
    assert value("FD", content) == ["NaN", "Infinity", "-Infinity", 1.5]


def test_tags_are_eight_hexadecimal_digits() -> None:
    assert value("AT", raw.words(0x0018, 0x00FF, 0x7FE0, 0x0010)) == ["001800FF", "7FE00010"]


def test_a_value_that_its_vr_cannot_hold_is_kept_as_bytes() -> None:
    odd = read(raw.element(0x00400100, "UL", b"\1\2\3\4\5\6"))["00400100"]
    assert odd == {"vr": "UN", "InlineBinary": base64.b64encode(b"\1\2\3\4\5\6").decode()}


def test_small_binaries_are_in_the_json_and_large_ones_have_their_place() -> None:
    small, large = bytes(range(256)) * 4, b"\7" * 1026
    content = raw.file(raw.element(0x00420011, "OB", small), raw.element(0x00420012, "OB", large))
    parsed = part10.parse(content)
    assert parsed.dataset["00420011"]["InlineBinary"] == base64.b64encode(small).decode()
    assert parsed.dataset["00420012"] == {
        "vr": "OB",
        "BulkDataURI": "@/studies/1.2.3/series/1.2.3.4/instances/1.2.3.4.5/bulkdata/00420012",
    }
    offset, length, vr = parsed.layout.bulkdata["00420012"]
    assert (content[offset : offset + length], vr) == (large, "OB")


def test_bulk_data_in_a_sequence_is_found_by_tags_and_item_index() -> None:
    large = b"\7" * 1026
    inner = raw.element(0x54001010, "OW", large)
    items = raw.item(raw.element(0x54000005, "CS", "X")) + raw.item(inner)
    content = raw.file(raw.element(0x54000100, "SQ", items))
    parsed = part10.parse(content)
    path = "54000100/1/54001010"
    assert list(parsed.layout.bulkdata) == [path]
    element = parsed.dataset["54000100"]["Value"][1]["54001010"]
    assert element["BulkDataURI"].endswith(f"/bulkdata/{path}")
    offset, length, _ = parsed.layout.bulkdata[path]
    assert content[offset : offset + length] == large


def test_very_long_text_and_long_rows_of_numbers_are_bulk_data() -> None:
    parsed = part10.parse(
        raw.file(
            raw.element(0x0040A160, "UT", "x" * 1_100_000),
            raw.element(0x00720074, "UV", b"\1" * 80_000),
        )
    )
    assert set(parsed.layout.bulkdata) == {"0040A160", "00720074"}


def test_pixel_data_of_any_size_is_bulk_data_but_not_when_empty() -> None:
    icon = raw.item(raw.pixels(b"\1\2", "OW"))
    content = raw.file(raw.element(0x00880200, "SQ", icon), raw.pixels(b"\1\2"))
    parsed = part10.parse(content)
    assert list(parsed.layout.bulkdata) == ["00880200/0/7FE00010"]
    assert parsed.dataset["7FE00010"]["BulkDataURI"].endswith("/bulkdata/7FE00010")
    assert parsed.layout.pixels is not None
    empty = part10.parse(raw.file(raw.pixels(b"")))
    assert empty.dataset["7FE00010"] == {"vr": "OB"}
    assert empty.layout.pixels is None


def test_elements_are_in_order_whatever_the_file_does() -> None:
    content = raw.meta() + raw.further() + raw.identifiers()
    parsed = part10.parse(content)
    assert list(parsed.dataset) == sorted(parsed.dataset)
    assert "00080018" in parsed.dataset


def test_group_lengths_and_the_group_of_the_file_are_left_out() -> None:
    dataset = read(
        raw.element(0x00280000, "UL", b"\0\0\0\0"),
        raw.element(0x00280010, "US", raw.words(1)),
        raw.element(0x00020010, "UI", "1.2.3"),
    )
    assert "00280000" not in dataset
    assert "00020010" not in dataset
    assert "00280010" in dataset


def test_the_json_says_utf_8_only_where_a_character_set_was_named() -> None:
    assert read(charset="ISO_IR 100")["00080005"]["Value"] == ["ISO_IR 192"]
    assert "00080005" not in read()


def test_the_json_cannot_grow_without_bounds() -> None:
    text = raw.element(0x0040A160, "UT", "x" * 1_000)
    content = memoryview(raw.element(0x0040A730, "SQ", raw.item(text) * 40))
    reader = ElementReader(content, 0, EXPLICIT_LITTLE, ReadLimits(inline_bytes=10_000))
    reader.read()
    assert len(orjson.dumps(reader.dataset)) < 20_000
    assert len(reader.bulkdata) >= 30
