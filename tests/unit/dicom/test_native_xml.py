"""The Native DICOM Model in XML, PS3.19 A.1, against the DICOM JSON Model, PS3.18 Annex F."""

import xml.etree.ElementTree as ET
from pathlib import Path

import orjson
import pytest

from lenticular.dicom.json_and_xml.xml_reader import MAX_VALUES_LEFT_OUT, from_xml
from lenticular.dicom.json_and_xml.xml_writer import NAMESPACE, to_xml
from lenticular.dicom.read import part10
from lenticular.errors import InvalidInstance

N = "{" + NAMESPACE + "}"


def attribute(dataset: dict, tag: str) -> ET.Element:
    """The DicomAttribute of this tag, as another parser than ours reads it."""
    found = ET.fromstring(to_xml(dataset)).find(f"{N}DicomAttribute[@tag='{tag}']")
    assert found is not None
    return found


def document(content: str) -> bytes:
    return f'<NativeDicomModel xmlns="{NAMESPACE}">{content}</NativeDicomModel>'.encode()


def one(vr: str, content: str, tag: str = "00091001") -> dict:
    """The JSON of one element."""
    text = f'<DicomAttribute tag="{tag}" vr="{vr}">{content}</DicomAttribute>'
    return from_xml(document(text))[tag]


def nested(depth: int) -> dict:
    dataset: dict = {"00080060": {"vr": "CS", "Value": ["CT"]}}
    for _ in range(depth):
        dataset = {"00082112": {"vr": "SQ", "Value": [dataset]}}
    return dataset


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("AE", ["A", None, "B"]),
        ("AS", ["034Y"]),
        ("AT", ["00100010", "7FE00010"]),
        ("CS", [None, "X", None]),
        ("DA", ["20240229"]),
        ("DS", [1, 1.5, -0.0, 1e-05, "1.10000000000000000001", "not a number", None]),
        ("DT", ["20240229101112.5+0100"]),
        ("FD", [0.1, "NaN", "Infinity", "-Infinity", 1e300]),
        ("FL", [0.10000000149011612, "NaN"]),
        ("IS", [1, -2, "1.5", None]),
        ("LO", ["<&>\"'", " leading", "日本語 😀"]),
        ("LT", ["line\r\nline\rline\n\ttab\\backslash"]),
        ("SH", ["x"]),
        ("SL", [-(2**31), 2**31 - 1]),
        ("SS", [-32768]),
        ("ST", ["  two  spaces"]),
        ("SV", [-5, "-9223372036854775808"]),
        ("TM", ["101112.5"]),
        ("UC", ["x" * 5000]),
        ("UI", ["1.2.3"]),
        ("UL", [2**32 - 1]),
        ("UR", ["http://example.org/?a=1&b=2"]),
        ("US", [0, 65535]),
        ("UT", ["]]>"]),
        ("UV", [7, "18446744073709551615"]),
    ],
)
def test_values_of_every_vr_come_back_as_they_were(vr: str, values: list):
    dataset = {"00091001": {"vr": vr, "Value": values}}
    assert orjson.dumps(from_xml(to_xml(dataset))) == orjson.dumps(dataset)


@pytest.mark.parametrize("vr", ["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
def test_binaries_come_back_inline_by_reference_and_empty(vr: str):
    dataset = {
        "00091001": {"vr": vr, "InlineBinary": "AAEC/w=="},
        "00091002": {"vr": vr, "BulkDataURI": 'http://x/bulkdata/1?a="&b=<'},
        "00091003": {"vr": vr},
    }
    assert from_xml(to_xml(dataset)) == dataset
    assert attribute(dataset, "00091001").findtext(f"{N}InlineBinary") == "AAEC/w=="


def test_an_attribute_has_its_keyword_and_its_values_numbers():
    dataset = {"00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}}
    found = attribute(dataset, "00080008")
    assert found.attrib == {"tag": "00080008", "vr": "CS", "keyword": "ImageType"}
    assert [(value.get("number"), value.text) for value in found] == [
        ("1", "ORIGINAL"), ("2", None), ("3", "AXIAL")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
        {"Alphabetic": "Doe^^^Dr.^PhD"},
        {"Alphabetic": "^Only given"},
        {"Alphabetic": "Doe^^^^"},
        {"Alphabetic": "a^b^c^d^e^f^^"},
        {"Ideographic": "山田"},
        None,
    ],
)
def test_person_names_come_back_with_every_caret(name):
    dataset = {"00101001": {"vr": "PN", "Value": [name, {"Alphabetic": "X"}]}}
    assert from_xml(to_xml(dataset)) == dataset


def test_a_person_name_is_taken_apart():
    dataset = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane^^Dr."}]}}
    alphabetic = attribute(dataset, "00100010").find(f"{N}PersonName/{N}Alphabetic")
    assert [(part.tag.removeprefix(N), part.text) for part in alphabetic] == [
        ("FamilyName", "Doe"), ("GivenName", "Jane"), ("NamePrefix", "Dr.")
    ]  # fmt: skip


def test_a_private_attribute_names_its_creator_in_place_of_its_block():
    dataset = {
        "00290010": {"vr": "LO", "Value": ["ACME & SONS"]},
        "00290011": {"vr": "LO", "Value": ["OTHER"]},
        "00291001": {"vr": "US", "Value": [1]},
        "00291101": {"vr": "US", "Value": [2]},
        "002912FF": {"vr": "UN"},
    }
    found = ET.fromstring(to_xml(dataset)).findall(f"{N}DicomAttribute[@privateCreator]")
    assert [(each.get("tag"), each.get("privateCreator")) for each in found] == [
        ("00290001", "ACME & SONS"), ("00290001", "OTHER")
    ]  # fmt: skip
    assert from_xml(to_xml(dataset)) == dataset


def test_two_blocks_of_one_creator_are_not_mixed_up():
    dataset = {
        "00290010": {"vr": "LO", "Value": ["ACME"]},
        "00290011": {"vr": "LO", "Value": ["ACME"]},
        "00291001": {"vr": "US", "Value": [1]},
        "00291101": {"vr": "US", "Value": [2]},
    }
    assert from_xml(to_xml(dataset)) == dataset


def test_a_creator_that_only_the_attribute_names_gets_a_block():
    text = '<DicomAttribute tag="00290001" vr="US" privateCreator="{}"><Value number="1">{}</Value>'
    found = from_xml(
        document("".join(text.format(*each) + "</DicomAttribute>" for each in ("A1", "B2")))
    )
    assert found == {
        "00290010": {"vr": "LO", "Value": ["A"]},
        "00290011": {"vr": "LO", "Value": ["B"]},
        "00291001": {"vr": "US", "Value": [1]},
        "00291101": {"vr": "US", "Value": [2]},
    }


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("LO", ["a\x1b$B", None, "b\x00c"]),
        ("UT", ["form\x0cfeed\\ \ufffe"]),
        ("PN", [{"Alphabetic": "A\x01^B", "Phonetic": "C"}, None]),
        ("DS", ["1\x02", 2]),
    ],
)
def test_characters_that_xml_forbids_travel_as_bytes(vr: str, values: list):
    dataset = {"00091001": {"vr": vr, "Value": values}}
    assert attribute(dataset, "00091001").find(f"{N}InlineBinary") is not None
    assert from_xml(to_xml(dataset)) == dataset


def test_sequences_nest_as_deep_as_json_shows_them_and_no_deeper():
    dataset = nested(64)
    assert from_xml(to_xml(dataset)) == dataset
    assert to_xml(nested(5000)).count(b"<Item ") == 5000
    with pytest.raises(InvalidInstance, match="deeper"):
        from_xml(to_xml(nested(65)))


def test_empty_sequences_and_empty_items_come_back():
    dataset = {
        "00081115": {"vr": "SQ"},
        "00082112": {"vr": "SQ", "Value": [{}, {"00080060": {"vr": "CS"}}, {}]},
    }
    assert from_xml(to_xml(dataset)) == dataset


def test_what_others_write_is_read():
    found = from_xml(
        b"""<?xml version="1.0" encoding="ISO-8859-1"?>
        <NativeDicomModel xml:space="preserve">
          <DicomAttribute tag="00280010" vr="US" keyword="Rows">
            <Value number="1"> 512 </Value>
          </DicomAttribute>
          <DicomAttribute tag="00100020" vr="LO"><Value number="3">\xe9\\x </Value></DicomAttribute>
          <DicomAttribute tag="00080060" vr="CS"></DicomAttribute>
          <DicomAttribute tag="7fe00010" vr="OW">
            <BulkData uuid="dcb112f4-e68b-01f1-8268-22881da406f4"/>
          </DicomAttribute>
          <DicomAttribute tag="00091001" vr="FD"><Value number="1">-INF</Value></DicomAttribute>
        </NativeDicomModel>"""
    )
    assert found == {
        "00080060": {"vr": "CS"},
        "00091001": {"vr": "FD", "Value": ["-Infinity"]},
        "00100020": {"vr": "LO", "Value": [None, None, "é", "x"]},
        "00280010": {"vr": "US", "Value": [512]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "urn:uuid:dcb112f4-e68b-01f1-8268-22881da406f4"},
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<NativeDicomModel>",
        "<Other/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><NativeDicomModel/>',
        '<!DOCTYPE NativeDicomModel SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        '<?xml version="1.0" encoding="EBCDIC-KLINGON"?><NativeDicomModel/>',
        "<NativeDicomModel>&undefined;</NativeDicomModel>",
        "<NativeDicomModel><NativeDicomModel/></NativeDicomModel>",
        "<NativeDicomModel><Item number='1'/></NativeDicomModel>",
        "<NativeDicomModel><DicomAttribute vr='CS'/></NativeDicomModel>",
        "<NativeDicomModel><DicomAttribute tag='0008006G' vr='CS'/></NativeDicomModel>",
        "<NativeDicomModel><DicomAttribute tag='00080060' vr='XX'/></NativeDicomModel>",
        "<NativeDicomModel>"
        + "<DicomAttribute tag='00080060' vr='CS'/>" * 2
        + "</NativeDicomModel>",
    ],
)
def test_what_is_no_native_dicom_model_is_refused_with_a_sentence(text: str):
    with pytest.raises(InvalidInstance, match=r"\.$"):
        from_xml(text.encode())


@pytest.mark.parametrize(
    ("vr", "content"),
    [
        ("US", '<Value number="1">65536</Value>'),
        ("US", '<Value number="1">x</Value>'),
        ("FD", '<Value number="1">1,5</Value>'),
        ("AT", '<Value number="1">Rows</Value>'),
        ("CS", '<Value number="0">x</Value>'),
        ("CS", '<Value number="2">x</Value><Value number="1">y</Value>'),
        ("CS", f'<Value number="{MAX_VALUES_LEFT_OUT + 2}">x</Value>'),
        ("CS", "<Value>x</Value>"),
        ("CS", '<Item number="1"/>'),
        ("CS", '<PersonName number="1"/>'),
        ("SQ", '<Value number="1">x</Value>'),
        ("SQ", "<InlineBinary>AAAA</InlineBinary>"),
        ("PN", '<Value number="1">x</Value>'),
        ("OB", '<Value number="1">x</Value>'),
        ("OB", "<InlineBinary>AAA</InlineBinary>"),
        ("LO", "<InlineBinary>/w==</InlineBinary>"),
        ("OB", "<BulkData/>"),
        ("OB", '<BulkData uuid="1"/>'),
    ],
)
def test_content_that_its_vr_cannot_have_is_refused(vr: str, content: str):
    with pytest.raises(InvalidInstance, match="00091001"):
        one(vr, content)


def test_any_file_is_the_same_in_json_and_xml(any_file: Path):
    try:
        dataset = part10.parse(any_file.read_bytes()).dataset
    except InvalidInstance:
        return
    assert orjson.dumps(from_xml(to_xml(dataset))) == orjson.dumps(dataset)
