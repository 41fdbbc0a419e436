"""Files without a SOP class, and objects that belong to no study."""

import io

import pydicom
import pytest

from lenticular.transactions.ingest.zip_reader import store_zip
from lenticular.transactions.upkeep import sweep_and_reindex
from tests.helpers import samples, wire

HANGING_PROTOCOL = "1.2.840.10008.5.1.4.38.1"


def without_sop_class(in_head: bool) -> bytes:
    """A file whose SOP class stands in the File Meta Information only, or nowhere."""
    content = samples.ct("nameless")
    dataset = pydicom.dcmread(io.BytesIO(content))
    del dataset.SOPClassUID
    if not in_head:
        del dataset.file_meta.MediaStorageSOPClassUID
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=False)
    return buffer.getvalue()


def by_stow(client, services, content):
    return wire.store(client, content).status_code in (200, 202)


def by_orthanc(client, services, content):
    return client.post("/instances", content=content).status_code == 200


def by_zip(client, services, content):
    with services.new_spool() as spool:
        spool.write(samples.zipped({"a.dcm": content}))
        return [result.outcome is not None for _, result in store_zip(services, spool)] == [True]


@pytest.mark.parametrize("in_head", [True, False])
@pytest.mark.parametrize("way", [by_stow, by_orthanc, by_zip])
def test_a_file_without_a_sop_class_is_stored_however_it_comes(client, services, way, in_head):
    content = without_sop_class(in_head)
    assert way(client, services, content)
    assert wire.search(client, "/studies", StudyInstanceUID=samples.study_uid("nameless"))
    path = wire.DICOMWEB + samples.path("nameless")
    answer = client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert answer.content == content
    for accept in ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90", "image/jpeg"):
        rendered = "/rendered" if accept == "image/jpeg" else ""
        assert client.get(path + rendered, headers={"Accept": accept}).status_code == 200
    assert sweep_and_reindex.sweep(services, older_than_seconds=-1).removed == 0


def test_a_store_of_a_file_without_a_sop_class_warns(client):
    answer = wire.store(client, without_sop_class(in_head=False))
    assert answer.status_code == 202
    (item,) = wire.items(answer.json(), "00081199")
    assert item["00081150"] == {"vr": "UI"}
    assert wire.value(item, "00081196") == 0xB007
    assert "SOP Class UID" in wire.value(item, "00000902")


@pytest.mark.parametrize(
    ("sop_class", "name"),
    [
        (HANGING_PROTOCOL, "Hanging Protocol Storage"),
        ("1.2.840.10008.5.1.4.39.1", "Color Palette Storage"),
        ("1.2.840.10008.5.1.4.1.1.200.1", "CT Defined Procedure Protocol Storage"),
        ("1.2.840.10008.5.1.4.1.1.201.1", "Inventory Storage"),
    ],
)
def test_an_object_that_belongs_to_no_study_is_refused_by_name(client, sop_class, name):
    dataset = pydicom.dcmread(io.BytesIO(samples.ct("none")))
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    for keyword in ("PixelData", "Rows", "StudyInstanceUID", "SeriesInstanceUID", "PatientID"):
        del dataset[keyword]
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    answer = wire.store(client, buffer.getvalue())
    assert (answer.status_code, wire.failed(answer)) == (409, [(None, 0x0122)])
    (failure,) = wire.items(answer.json(), "0008119A")
    comment = wire.value(failure, "00000902")
    assert name in (wire.value(failure, "00091001") or comment)
    assert comment == "Objects that belong to no study are not stored."
