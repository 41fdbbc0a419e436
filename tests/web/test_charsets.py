"""Names in every script come back as correct UTF-8 and are found by searching for them.

Character sets as PS3.3 C.12.1.1.2 and PS3.5 6.1 define them.
"""
# ruff: noqa: RUF001 (letters that look like others are what this file is about)

import io
import os
import warnings
from pathlib import Path

import pydicom
import pytest

from tests import samples, wire

PATIENT_NAME = "00100010"

NAMES = [
    ("ISO_IR 6", "Smith^John"),
    ("ISO_IR 100", "Müller^Jörg"),
    ("ISO_IR 100", "Buc^Jérôme"),
    ("ISO_IR 101", "Łęcki^Stanisław"),
    ("ISO_IR 109", "Ĝanġan^Ħal"),
    ("ISO_IR 110", "Ķēniņš^Jānis"),
    ("ISO_IR 144", "Люкceмбypг^Роза"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 126", "Διονυσιος^Λάμπρος"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 148", "Çavuşoğlu^İsmail"),
    ("ISO_IR 203", "Œuvre^Zoë"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 166", "สมชาย^ใจดี"),
    ("ISO_IR 192", "Ångström^Ñandú"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ("ISO_IR 192", "Đặng^Thị Hồng"),
    ("ISO_IR 192", "हिन्दी^राम"),
    ("ISO_IR 192", "𠮷野^家"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("GBK", "Zhang^Wei=张^伟"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 13", "ISO 2022 IR 87"], "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    (["ISO 2022 IR 6", "ISO 2022 IR 87", "ISO 2022 IR 159"], "Okada^Jun=岡田^丂"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    (["", "ISO 2022 IR 58"], "Zhang^XiaoDong=张^小东"),
    (["ISO 2022 IR 100", "ISO 2022 IR 144"], "Dürer^Роза"),
]
IDS = [f"{charset if isinstance(charset, str) else charset[-1]} {name}" for charset, name in NAMES]

# pydicom cannot write these: it knows no ISO_IR 203, and forgets the escapes of ISO 2022 IR 58.
ENCODED = {
    "Œuvre^Zoë": "Œuvre^Zoë".encode("iso8859_15"),
    # The example of PS3.5 K.2.
    "Zhang^XiaoDong=张^小东": b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
}

GROUPS = ("Alphabetic", "Ideographic", "Phonetic")


def file_of(charset: str | list[str], name: str) -> bytes:
    """A file with the name in this character set."""
    if name not in ENCODED:
        return samples.ct("a", SpecificCharacterSet=charset, PatientName=name)
    encoded = ENCODED[name] + b" " * (len(ENCODED[name]) % 2)
    stand_in = "^".ljust(len(encoded), "Q")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = samples.ct("a", SpecificCharacterSet=charset, PatientName=stand_in)
    return content.replace(stand_in.encode(), encoded)


def groups_of(name: str) -> dict[str, str]:
    """The component groups of a name as DICOM JSON has them (PS3.18 F.2.2)."""
    groups = zip(GROUPS, name.split("="), strict=False)
    return {kind: group.rstrip("^ ") for kind, group in groups if group.rstrip("^ ")}


def name_in(client, url: str) -> dict[str, str]:
    """The patient's name in an instance's metadata."""
    answer = client.get(url + "/metadata")
    answer.content.decode("utf-8")
    (dataset,) = answer.json()
    assert dataset.get("00080005", {}).get("Value", ["ISO_IR 192"]) == ["ISO_IR 192"]
    return dataset.get(PATIENT_NAME, {}).get("Value", [{}])[0]


def finds(client, **parameters: str) -> bool:
    """Whether a search finds the one study there is."""
    matches = wire.search(client, "/studies", **parameters)
    return wire.uids(matches) == [samples.study_uid("a")]


@pytest.mark.parametrize(("charset", "name"), NAMES, ids=IDS)
def test_a_name_comes_back_as_it_was_and_is_found(client, charset, name):
    wire.must_store(client, file_of(charset, name))

    groups = groups_of(name)
    assert name_in(client, wire.DICOMWEB + samples.path("a")) == groups
    (match,) = wire.search(client, "/studies")
    assert match[PATIENT_NAME]["Value"] == [groups]
    for group in groups.values():
        family, _, _ = group.partition("^")
        assert finds(client, PatientName=group), group
        assert finds(client, PatientName=f"{family}*"), family
        assert finds(client, PatientName=f"*{group[1:]}"), group
        assert finds(client, PatientName=group.swapcase()), group
    assert finds(client, fuzzymatching="true", PatientName=groups["Alphabetic"].split("^")[0])


@pytest.mark.parametrize(("charset", "name"), NAMES, ids=IDS)
def test_a_name_is_found_through_orthanc_s_routes(client, charset, name):
    wire.must_store(client, file_of(charset, name))

    alphabetic = groups_of(name)["Alphabetic"]
    query = {"Level": "Study", "Query": {"PatientName": f"{alphabetic}*"}, "Expand": True}
    (study,) = client.post("/tools/find", json=query).json()
    assert study["PatientMainDicomTags"]["PatientName"].startswith(alphabetic)


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Müller^Jörg", "muller*"),
        ("Müller^Jörg", "MÜLLER^JORG"),
        ("Mu\u0308ller^Jo\u0308rg", "Müller^Jörg"),
        ("Łęcki^Stanisław", "łecki*"),
        ("Διονύσιος^Λάμπρος", "διονυσιος*"),
        ("Роза^Люксембург", "РОЗА*"),
        ("Straße^Anna", "STRASSE*"),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", "ヤマダ*"),
        ("Ｙａｍａｄａ^Ｔａｒｏ", "yamada*"),
        ("Đặng^Hồng", "dang*"),
        ("Smith^John", "?mith^j*"),
        ("O'Brien^Seán", "o'brien^sean"),
    ],
)
def test_case_accents_and_width_make_no_difference(client, stored, asked):
    wire.must_store(client, samples.ct("a", PatientName=stored))

    assert finds(client, PatientName=asked)


def test_two_different_names_are_not_taken_for_one_another(client):
    wire.must_store(client, samples.ct("a", PatientName="山田^太郎"))

    for other in ("山本^太郎", "太郎", "山", "やまだ*", "川*"):
        assert wire.search(client, "/studies", PatientName=other) == []


def charset_files() -> list[Path]:
    """pydicom's character-set samples, and the corpus's."""
    folder = Path(pydicom.__file__).parent / "data" / "charset_files"
    corpus = os.environ.get("LENTICULAR_CORPUS")
    more = sorted(Path(corpus, "charsets").rglob("*.dcm")) if corpus else []
    # A file without the UIDs cannot be stored; those of pydicom that lack them test sequences.
    return [path for path in sorted(folder.glob("*.dcm")) + more if "SQ" not in path.name]


@pytest.mark.parametrize("path", charset_files(), ids=lambda path: "/".join(path.parts[-2:]))
def test_the_name_in_this_file_is_what_pydicom_reads_and_is_found(client, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = path.read_bytes()
        dataset = pydicom.dcmread(io.BytesIO(content))
        dataset.decode()
        name = str(dataset.get("PatientName", ""))
    answer = wire.store(client, content)
    assert answer.status_code == 200, answer.text
    (reference,) = wire.items(answer.json(), "00081199")

    groups = groups_of(name)
    assert name_in(client, wire.value(reference, "00081190")) == groups
    for group in groups.values():
        found = wire.search(client, "/studies", PatientName=group)
        assert wire.uids(found) == [dataset.StudyInstanceUID]


def test_a_character_set_of_an_item_holds_for_the_item_alone(client):
    inner = samples.dataset("inner")
    content = samples.dataset("a", PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100")
    item = pydicom.Dataset()
    item.SpecificCharacterSet = "ISO_IR 144"
    item.PatientName = "Роза^Люксембург"
    content.ReferencedPatientSequence = [item]
    wire.must_store(client, samples.encode(content))

    (dataset,) = client.get(wire.DICOMWEB + samples.path("a") + "/metadata").json()

    assert dataset[PATIENT_NAME]["Value"][0]["Alphabetic"] == "Müller^Jörg"
    (found,) = wire.items(dataset, "00081120")
    assert found[PATIENT_NAME]["Value"][0]["Alphabetic"] == "Роза^Люксембург"
    assert inner.PatientName != "Роза^Люксембург"


@pytest.mark.parametrize(
    "charset", ["ISO_IR 999", "utf-8", "ISO_IR 192\\ISO 2022 IR 87", "\\\\", ""]
)
def test_an_unknown_character_set_still_gives_valid_utf_8(client, charset):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = samples.ct("a", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    padded = charset.encode().ljust(26, b" ")
    length = len(padded).to_bytes(2, "little")
    content = content.replace(b"CS\n\0ISO_IR 100", b"CS" + length + padded)

    answer = wire.store(client, content)

    assert answer.status_code == 200, answer.text
    metadata = client.get(wire.DICOMWEB + samples.path("a") + "/metadata")
    assert "ller^J" in metadata.content.decode("utf-8")
