"""Stores of metadata and bulk data of odd and even length, PS3.18 10.5.2 and PS3.5 7.1.1."""

import base64
import io
from typing import Any

import pydicom
import pytest

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import bodies, get
from tests.helpers.http.store import JSON, XML, as_json, as_xml, bulk, send

DOCUMENT, LENGTH = "00420011", "00420015"


def pdf_metadata(**changed: Any) -> dict[str, Any]:
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.104.1"]},
        "00080018": {"vr": "UI", "Value": [samples.sop_uid("a")]},
        "0020000D": {"vr": "UI", "Value": [samples.study_uid("a")]},
        "0020000E": {"vr": "UI", "Value": [samples.series_uid("a")]},
        DOCUMENT: {"vr": "OB", "BulkDataURI": "bulk/1"},
        "00420012": {"vr": "LO", "Value": ["application/pdf"]},
        **changed,
    }


def stored_file(client) -> tuple[bytes, pydicom.Dataset]:
    (content,) = bodies(client, samples.path("a"))
    return content, pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("kind", [JSON, XML])
@pytest.mark.parametrize("length", [1, 13, 14, 1025, 40_001])
def test_a_document_of_any_length_is_stored_even_and_comes_back_as_it_was(client, kind, length):
    document = (b"%PDF-1.4 odd!" * (length // 13 + 1))[:length]
    metadata = pdf_metadata()
    part = as_json(metadata) if kind == JSON else as_xml(metadata)

    assert send(client, part, bulk(document), kind=kind).status_code == 200

    content, dataset = stored_file(client)
    assert len(content) % 2 == 0
    assert dataset.EncapsulatedDocumentLength == length
    assert dataset.EncapsulatedDocument == document + bytes(length % 2)
    assert get(client, f"{samples.path('a')}/rendered", "application/pdf").content == document


def test_a_document_in_the_metadata_itself_gets_its_length(client):
    inline = {"vr": "OB", "InlineBinary": base64.b64encode(b"%PDF-1.4 odd!").decode()}
    assert send(client, as_json(pdf_metadata(**{DOCUMENT: inline}))).status_code == 200
    _, dataset = stored_file(client)
    assert dataset.EncapsulatedDocumentLength == 13


@pytest.mark.parametrize(("sent", "stored", "status"), [(14, 14, 200), (13, 13, 200), (9, 14, 202)])
def test_a_length_that_cannot_be_true_is_corrected_with_a_warning(client, sent, stored, status):
    metadata = pdf_metadata(**{LENGTH: {"vr": "UL", "Value": [sent]}})
    answer = send(client, as_json(metadata), bulk(b"%PDF-1.4 even!"))
    assert answer.status_code == status
    _, dataset = stored_file(client)
    assert dataset.EncapsulatedDocumentLength == stored


@pytest.mark.parametrize("kind", [JSON, XML])
@pytest.mark.parametrize("length", [1, 3144, 3145, 70_001])
def test_bulk_data_of_any_length_in_a_sequence_leaves_the_sequence_whole(client, kind, length):
    profile = (bytes(range(256)) * 300)[:length]
    item = {
        "00282000": {"vr": "OB", "BulkDataURI": "icc"},
        "00480106": {"vr": "SH", "Value": ["behind"]},
    }
    metadata = pdf_metadata(**{"00480105": {"vr": "SQ", "Value": [item, item]}})
    part = as_json(metadata) if kind == JSON else as_xml(metadata)

    answer = send(client, part, bulk(b"%PDF-1.4 odd!"), bulk(profile, "icc"), kind=kind)

    assert (answer.status_code, wire.stored(answer)) == (200, [samples.sop_uid("a")])
    _, dataset = stored_file(client)
    for found in dataset.OpticalPathSequence:
        assert found.ICCProfile == profile + bytes(length % 2)
        assert found.OpticalPathIdentifier == "behind"


def test_native_pixels_of_an_odd_length_are_padded(client):
    metadata = pdf_metadata(**{
        DOCUMENT: {"vr": "OB"},
        "00280002": {"vr": "US", "Value": [1]},
        "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
        "00280010": {"vr": "US", "Value": [3]},
        "00280011": {"vr": "US", "Value": [3]},
        "00280100": {"vr": "US", "Value": [8]},
        "00280101": {"vr": "US", "Value": [8]},
        "00280102": {"vr": "US", "Value": [7]},
        "00280103": {"vr": "US", "Value": [0]},
        "7FE00010": {"vr": "OW", "BulkDataURI": "pixels"},
    })  # fmt: skip
    assert send(client, as_json(metadata), bulk(b"123456789", "pixels")).status_code == 200
    content, dataset = stored_file(client)
    assert (len(content) % 2, dataset.PixelData) == (0, b"123456789\0")


def test_numbers_of_an_odd_length_are_refused_with_the_attribute(client):
    metadata = pdf_metadata(**{"00280010": {"vr": "US", "BulkDataURI": "bulk/1"}})
    answer = send(client, as_json(metadata), bulk(b"odd"))
    assert answer.status_code == 409
    (failure,) = wire.items(answer.json(), "00081198")
    assert "00280010" in wire.value(failure, "00000902")
