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

from tests.helpers import samples, wire
from tests.helpers.files.charset_names import NAMES, PATIENT_NAME, file_of, groups_of, name_in

IDS = [f"{charset if isinstance(charset, str) else charset[-1]} {name}" for charset, name in NAMES]


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
