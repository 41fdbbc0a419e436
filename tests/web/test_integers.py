"""Integer strings written as decimals: one number for searches, JSON and frames."""

import io

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_frames
from pydicom.tag import Tag

from tests.helpers import samples
from tests.helpers.wire import DICOM_JSON, DICOMWEB, must_store, parts, search, uids

METADATA = {"Accept": DICOM_JSON}


def written(content: bytes, **texts: str) -> bytes:
    """Return the file with these texts as they are, whatever pydicom thinks of them."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    for keyword, text in texts.items():
        tag = Tag(keyword)
        raw = (text + " " * (len(text) % 2)).encode()
        dataset[tag] = RawDataElement(tag, "IS", len(raw), raw, 0, False, True)
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("text", ["7.0", "7.", "7e0", "+7"])
def test_a_number_is_found_however_file_or_query_write_it(client, text):
    must_store(client, written(samples.ct("a"), SeriesNumber=text, InstanceNumber=text))
    for key in (text, "7", "7.000"):
        (found,) = search(client, "/series", SeriesNumber=key)
        assert found["00200011"]["Value"] == [7]
        assert uids(search(client, "/instances", InstanceNumber=key))
    assert search(client, "/series", SeriesNumber="8.0") == []


def test_metadata_has_the_number(client):
    must_store(client, written(samples.ct("a"), InstanceNumber="4.000000"))
    answer = client.get(f"{DICOMWEB}{samples.path('a')}/metadata", headers=METADATA)
    assert answer.json()[0]["00200013"] == {"vr": "IS", "Value": [4]}
    read = pydicom.Dataset.from_json(answer.json()[0], lambda *_: b"")
    assert read.InstanceNumber == 4


def test_frames_are_counted_and_rendered(client):
    content = written(samples.multi_frame("a"), NumberOfFrames="3.0")
    must_store(client, content)
    for number in (1, 2, 3):
        assert client.get(f"{DICOMWEB}{samples.path('a')}/frames/{number}").status_code == 200
    assert client.get(f"{DICOMWEB}{samples.path('a')}/frames/4").status_code == 404


@pytest.mark.parametrize(
    ("text", "count"),
    [("3.0", 3), ("0", 10), ("-3", 10), ("99", 10), ("3\\3", 3), ("", 1), ("many", 10)],
)
def test_a_transcoded_file_counts_the_frames_that_it_has(client, text, count):
    must_store(client, written(samples.multi_frame("a"), NumberOfFrames=text))
    kind = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'
    answer = client.get(f"{DICOMWEB}{samples.path('a')}", headers={"Accept": kind})
    assert answer.status_code == 200, answer.text
    ((_, body),) = parts(answer)
    dataset = pydicom.dcmread(io.BytesIO(body))
    assert dataset.NumberOfFrames == count
    assert len(list(generate_frames(dataset.PixelData, number_of_frames=count))) == count
