"""Retrieve transaction (WADO-RS) of metadata, PS3.18 10.4.1.1.2."""

import io

import pydicom
import pytest

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get, series_path
from tests.helpers.server_process import Server


@pytest.mark.parametrize("accept", [None, "*/*", "application/dicom+json", "application/json"])
def test_metadata_is_an_array_with_one_dataset_for_each_instance(client, accept):
    wire.must_store(client, *samples.ct_series("a", 3), *samples.ct_series("a", 1, series=2))

    answer = get(client, f"/studies/{samples.study_uid('a')}/metadata", accept)

    expected = accept if accept and "json" in accept else "application/dicom+json"
    assert answer.headers["content-type"] == expected
    found = [wire.value(dataset, "00080018") for dataset in answer.json()]
    assert found == [
        *(samples.sop_uid("a", 1, number) for number in (1, 2, 3)), samples.sop_uid("a", 2)
    ]  # fmt: skip
    assert len(get(client, series_path("a") + "/metadata").json()) == 3
    assert len(get(client, samples.path("a") + "/metadata").json()) == 1


def test_metadata_says_what_the_file_says(client):
    content = samples.enhanced("a")
    wire.must_store(client, content)

    (dataset,) = get(client, samples.path("a") + "/metadata").json()

    assert list(dataset) == sorted(dataset)
    read = pydicom.Dataset.from_json(dataset, lambda *_: b"")
    original = pydicom.dcmread(io.BytesIO(content))
    del read.PixelData, original.PixelData
    assert read == original


@pytest.mark.not_on_stack(wire.BY_HOST)
def test_bulk_data_uris_follow_the_host_that_the_client_named(client):
    wire.must_store(client, samples.ct("a"))

    (dataset,) = get(client, samples.path("a") + "/metadata", Host="localhost:8443").json()

    assert dataset["7FE00010"]["BulkDataURI"] == (
        f"http://localhost:8443/dicom-web{samples.path('a')}/bulkdata/7FE00010"
    )


@pytest.mark.not_on_stack(wire.BY_HOST)
def test_bulk_data_uris_have_our_port_when_the_client_leaves_it_out(server: Server):
    with server.client() as client:
        wire.must_store(client, samples.ct("no port"))
        url = wire.DICOMWEB + samples.path("no port")
        (dataset,) = client.get(url + "/metadata", headers={"Host": "127.0.0.1"}).json()

        assert client.get(dataset["7FE00010"]["BulkDataURI"]).status_code == 200


def test_metadata_that_did_not_change_is_not_sent_again(client):
    wire.must_store(client, samples.ct("a"))
    url = series_path("a") + "/metadata"
    etag = get(client, url).headers["etag"]

    assert get(client, url, **{"If-None-Match": etag}).status_code == 304
    wire.must_store(client, samples.ct("a", instance=2))
    assert len(get(client, url, **{"If-None-Match": etag}).json()) == 2


def test_head_of_metadata_has_the_headers_of_get(client):
    wire.must_store(client, samples.ct("a"))
    url = wire.DICOMWEB + series_path("a") + "/metadata"

    head = client.head(url)

    assert (head.status_code, head.content) == (200, b"")
    full = client.get(url)
    assert of_ours(head) == of_ours(full)
    wire.assert_length(head, len(full.content))


def of_ours(answer):
    """The headers that say something of the content, but for its length."""
    names = ("content-type", "etag", "last-modified", "cache-control", "vary", "content-location")
    return {name: answer.headers.get(name) for name in names}
