"""Orthanc's REST shows the text of the file, where DICOM JSON has numbers and Unicode."""

import pytest

from tests.helpers.files import raw
from tests.helpers.files.raw import element
from tests.helpers.http.orthanc import add, get

DEFLATED = "1.2.840.10008.1.2.1.99"
TEXTS = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": "ORIGINAL \\PRIMARY\\ AXIAL",
    "PatientName": "Müller^Anna ^=",
    "PatientWeight": "5.00",
    "PixelSpacing": "1.250000 \\ 1.25",
    "ImageOrientationPatient": "1\\0\\-6.12303177e-017\\0\\1.0\\00",
    "InstanceNumber": "4.000000",
    "SeriesNumber": "+07",
}


def file_with_texts() -> bytes:
    """Return an image with texts whose JSON is written otherwise, also within a sequence."""
    code = element(0x00281053, "DS", "1.0") + element(0x00281054, "LO", "Wärme ")
    between = element(0x00101030, "DS", "5.00")
    behind = [
        element(0x00200011, "IS", "+07 "),
        element(0x00200013, "IS", "4.000000"),
        element(0x00200037, "DS", TEXTS["ImageOrientationPatient"]),
        raw.image(4, 4),
        element(0x00280030, "DS", "1.250000 \\ 1.25"),
        element(0x00409096, "SQ", raw.item(code)),
        raw.pixels(bytes(16)),
    ]
    name = element(0x00100010, "PN", "Müller^Anna ^=")
    kind = element(0x00080008, "CS", TEXTS["ImageType"])
    begin = raw.meta() + element(0x00080005, "CS", "ISO_IR 100") + kind
    return begin + raw.identifiers() + name + between + raw.further() + b"".join(behind)


@pytest.fixture
def path(client):
    return add(client, file_with_texts())


@pytest.mark.parametrize("keyword", TEXTS)
def test_the_text_is_that_of_the_file(client, path, keyword):
    assert get(client, f"{path}/simplified-tags")[keyword] == TEXTS[keyword]
    assert get(client, f"{path}/tags?simplify")[keyword] == TEXTS[keyword]
    assert client.get(f"{path}/content/{keyword}").content.decode() == TEXTS[keyword]
    full = get(client, f"{path}/tags").values()
    assert [each["Value"] for each in full if each["Name"] == keyword] == [TEXTS[keyword]]


def test_within_a_sequence_as_well(client, path):
    (item,) = get(client, f"{path}/simplified-tags")["RealWorldValueMappingSequence"]
    assert item["RescaleSlope"] == "1.0"
    assert item["RescaleType"] == "Wärme"
    slope = client.get(f"{path}/content/RealWorldValueMappingSequence/0/RescaleSlope")
    assert slope.content == b"1.0"


def test_the_metadata_keeps_its_numbers(client, path):
    metadata = client.get(f"/dicom-web/studies/{raw.STUDY}/metadata").json()[0]
    assert metadata["00101030"]["Value"] == [5]
    assert metadata["00080005"]["Value"] == ["ISO_IR 192"]
    assert client.get(f"{path}/simplified-tags").json()["PixelData"] is None
