"""Names in every script, and what is made of bytes that are none."""

# ruff: noqa: RUF001 (letters of many scripts are what this file is about)

from pathlib import Path

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenticular.dicom.read import part10
from lenticular.dicom.read.character_sets import character_set
from tests.helpers.files import raw

CHARSET_FILES = sorted((Path(pydicom.__file__).parent / "data" / "charset_files").glob("*.dcm"))
ESCAPE = b"\x1b"


def name(terms: str, value: bytes) -> str:
    return character_set(tuple(terms.split("\\"))).decode_name(value)


@pytest.mark.parametrize(
    ("terms", "value", "text"),
    [
        ("ISO_IR 100", "Buc^Jérôme".encode("latin_1"), "Buc^Jérôme"),
        ("ISO_IR 101", "Wałęsa".encode("iso8859_2"), "Wałęsa"),
        ("ISO_IR 144", "Люкceмбypг".encode("iso8859_5"), "Люкceмбypг"),
        ("ISO_IR 126", "Διονυσιος".encode("iso8859_7"), "Διονυσιος"),
        ("ISO_IR 127", "قباني^لنزار".encode("iso8859_6"), "قباني^لنزار"),
        ("ISO_IR 138", "שרון^דבורה".encode("iso8859_8"), "שרון^דבורה"),
        ("ISO_IR 148", "Çağlar^Işık".encode("iso8859_9"), "Çağlar^Işık"),
        ("ISO_IR 166", "นามสกุล".encode("tis_620"), "นามสกุล"),
        ("ISO_IR 203", "Œuvre^€".encode("iso8859_15"), "Œuvre^€"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东".encode(), "Wang^XiaoDong=王^小东"),
        ("GB18030", "Wang=王^小东=㐀𠀀".encode("gb18030"), "Wang=王^小东=㐀𠀀"),
        ("GBK", "王^小东".encode("gbk"), "王^小东"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        (
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        ),
        (
            "\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab",
            "Hong^Gildong=洪^吉洞=홍",
        ),
        ("\\ISO 2022 IR 58", b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang=张^小东"),
        ("ISO 2022 IR 100\\ISO 2022 IR 144", b"Dion\xed=\x1b-L\xbb\xee\xda", "Dioní=Люк"),
        ("ISO 2022 IR 6\\ISO 2022 IR 159", b"A=\x1b$(D\x30\x21\x1b(B", "A=丂"),
    ],
)
def test_names_in_every_script_are_read(terms: str, value: bytes, text: str) -> None:
    assert name(terms, value) == text


def test_an_escape_sequence_ends_with_its_component() -> None:
    # Between the delimiters the first character set holds again (PS3.5 6.1.2.5.3).
    assert name("ISO 2022 IR 100\\ISO 2022 IR 144", b"\x1b-L\xbb^\xe9") == "Л^é"


@pytest.mark.parametrize("spelling", ["ISO IR 192", "iso_ir_192", "UTF-8", "ISO-IR 192"])
def test_a_misspelt_character_set_is_understood(spelling: str) -> None:
    assert name(spelling, "Jérôme".encode()) == "Jérôme"


def test_text_of_no_or_an_unknown_character_set_is_read_as_what_it_is() -> None:
    for terms in ("", "ISO_IR 999"):
        assert name(terms, "Jérôme".encode()) == "Jérôme"
        assert name(terms, "Jérôme".encode("latin_1")) == "Jérôme"


def test_text_that_is_not_in_its_character_set_is_read_as_what_it_may_be() -> None:
    assert name("ISO_IR 192", "Jérôme".encode("latin_1")) == "Jérôme"
    assert name("GB18030", "Müller".encode()[:-1] + b"\xff") != ""
    assert name("ISO_IR 192", "Jérôme Jérôme é".encode()[:-1]) == "Jérôme Jérôme \ufffd"


def test_escape_sequences_that_nobody_announced_are_honoured() -> None:
    assert name("", b"\x1b$B;3ED\x1b(B") == "山田"


def test_a_backslash_byte_within_a_character_separates_nothing() -> None:
    # In GB18030 and Shift JIS the second byte of a character may be 5C.
    content = raw.file(charset="GB18030", between=raw.element(0x00081030, "LO", b"\x81\x5c\\x"))
    assert part10.parse(content).dataset["00081030"]["Value"] == ["乗", "x"]


def test_an_item_may_have_a_character_set_of_its_own() -> None:
    russian = raw.element(0x00080005, "CS", "ISO_IR 144") + raw.element(
        0x00080104, "LO", "Люк".encode("iso8859_5")
    )
    inherited = raw.element(0x00080104, "LO", "é".encode("latin_1"))
    sequence = raw.element(0x00081032, "SQ", raw.item(russian) + raw.item(inherited))
    behind = raw.element(0x00100010, "PN", "é".encode("latin_1"))
    content = raw.file(charset="ISO_IR 100", between=sequence + behind)
    dataset = part10.parse(content).dataset
    first, second = dataset["00081032"]["Value"]
    assert first["00080104"]["Value"] == ["Люк"]
    assert first["00080005"]["Value"] == ["ISO_IR 192"]
    assert second["00080104"]["Value"] == ["é"]
    assert dataset["00100010"]["Value"] == [{"Alphabetic": "é"}]


@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: path.stem)
def test_pydicoms_samples_read_as_pydicom_reads_them(path: Path) -> None:
    expected = pydicom.dcmread(path)
    if "StudyInstanceUID" not in expected:
        pytest.skip("a data set that cannot be stored")
    element = part10.parse(path.read_bytes()).dataset["00100010"]
    groups = ("Alphabetic", "Ideographic", "Phonetic")
    name = "=".join(element["Value"][0].get(group, "") for group in groups).rstrip("=")
    assert name == str(expected.PatientName).rstrip("=")


TERMS = st.lists(
    st.sampled_from(
        ["", "ISO_IR 100", "ISO_IR 13", "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 58",
         "ISO_IR 192", "GB18030", "GBK", "ISO_IR 166", "nonsense"]
    ),
    max_size=3,
)  # fmt: skip
PIECES = st.sampled_from(
    [ESCAPE, ESCAPE + b"$B", ESCAPE + b"$)C", ESCAPE + b"(B", ESCAPE + b"$(D", b"^", b"\\", b"\n"]
)


@given(TERMS, st.lists(st.one_of(PIECES, st.binary(max_size=6)), max_size=8))
def test_no_bytes_make_decoding_fail(terms: list[str], pieces: list[bytes]) -> None:
    decoder = character_set(tuple(terms))
    value = b"".join(pieces)
    orjson.dumps([decoder.decode(value), decoder.decode_name(value)])
