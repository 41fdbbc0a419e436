"""`application/dicom+xml` wherever there are datasets, PS3.18 8.7.3: each is what the JSON says."""

from dataclasses import replace

import pytest

from lenticular.dicom.json_and_xml.xml_reader import from_xml
from lenticular.limits import Limits
from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get, series_path

XML = "application/dicom+xml"
MULTIPART = f'multipart/related; type="{XML}"'
EVERYTHING = ["/studies", "/series", "/instances"]


def datasets(answer) -> list[dict]:
    """The dataset of each part of a multipart answer."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(MULTIPART)
    parts = wire.parts(answer)
    assert {headers["Content-Type"] for headers, _ in parts} == {XML}
    return [from_xml(body) for _, body in parts]


@pytest.mark.parametrize("path", EVERYTHING)
def test_search_results_are_the_same_in_xml(client, path):
    wire.must_store(client, samples.ct("a"), samples.ct("b"), samples.enhanced("c"))
    assert datasets(get(client, path, MULTIPART)) == wire.search(client, path)


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_metadata_is_the_same_in_xml(client, level):
    wire.must_store(client, *samples.ct_series("a", 2), *samples.ct_series("a", 1, series=2))
    path = {"study": f"/studies/{samples.study_uid('a')}", "series": series_path("a"),
            "instance": samples.path("a")}[level] + "/metadata"  # fmt: skip
    answer = get(client, path, MULTIPART)
    assert datasets(answer) == get(client, path, wire.DICOM_JSON).json()
    assert len(answer.content) == int(answer.headers["content-length"])


def test_a_lone_dataset_can_come_without_multipart(client):
    wire.must_store(client, *samples.ct_series("a", 2))
    answer = get(client, samples.path("a") + "/metadata", XML)
    assert answer.headers["content-type"] == XML
    assert [from_xml(answer.content)] == get(client, samples.path("a") + "/metadata").json()
    assert len(datasets(get(client, series_path("a") + "/metadata", XML))) == 2


@pytest.mark.parametrize("accept", [MULTIPART, XML])
def test_a_search_without_matches_is_a_list_without_parts_in_xml(client, accept):
    answer = get(client, "/studies", accept)
    assert answer.status_code == 200
    assert wire.parts(answer) == []


def test_warnings_of_a_search_come_with_xml_too(client):
    wire.must_store(client, samples.ct("a"))
    answer = get(client, "/studies?Nonsense=1", MULTIPART)
    assert "Nonsense" in answer.headers["warning"]


def test_xml_is_negotiated_by_weight_and_by_query(client):
    wire.must_store(client, samples.ct("a"))
    path = samples.path("a") + "/metadata"

    def kind(accept: str, query: str = "") -> str:
        return get(client, path + query, accept).headers["content-type"].partition(";")[0]

    assert kind(f"{wire.DICOM_JSON};q=0.5, {XML};q=0.9") == XML
    assert kind(f"{MULTIPART};q=0.5, {wire.DICOM_JSON}") == wire.DICOM_JSON
    assert kind("*/*") == wire.DICOM_JSON
    assert kind("multipart/related; type=application/dicom+xml") == "multipart/related"
    assert kind("*/*", "?accept=application/dicom%2Bxml") == XML
    wire.assert_error(get(client, path, "application/xml"), 406)
    wire.assert_error(get(client, path, 'multipart/related; type="application/dicom+json"'), 406)


@pytest.mark.parametrize("accept", [XML, MULTIPART])
def test_xml_that_did_not_change_is_not_sent_again(client, accept):
    wire.must_store(client, samples.ct("a"))
    path = samples.path("a") + "/metadata"
    first = get(client, path, accept)
    etag = first.headers["etag"]
    assert etag != get(client, path).headers["etag"]
    assert get(client, path, accept, **{"If-None-Match": etag}).status_code == 304
    head = client.head(wire.DICOMWEB + path, headers={"Accept": accept})
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", etag)
    wire.assert_length(head, len(first.content))


@pytest.mark.parametrize(("accept", "is_multipart"), [(XML, False), (MULTIPART, True)])
def test_a_store_is_answered_in_xml_for_who_asks_for_it(client, accept, is_multipart):
    body, headers = wire.multipart(samples.ct("a"), b"no DICOM")
    answer = client.post(
        wire.DICOMWEB + "/studies", content=body, headers={**headers, "Accept": accept}
    )
    assert answer.status_code == 202
    document = wire.parts(answer)[0][1] if is_multipart else answer.content
    found = from_xml(document)
    (item,) = wire.items(found, "00081199")
    assert wire.value(item, "00081155") == samples.sop_uid("a")
    assert wire.value(wire.items(found, "0008119A")[0], "00081197") == 0xC000


def test_a_long_answer_in_xml_is_not_sent_again_while_nothing_has_changed(services, connect):
    client = connect(replace(services, limits=Limits(dataset_bytes=1000)))
    wire.must_store(client, *samples.ct_series("a", 5))
    for path in (series_path("a") + "/metadata", series_path("a") + "/instances"):
        answer = get(client, path, MULTIPART)
        assert len(datasets(answer)) == 5
        known = {"If-None-Match": answer.headers["etag"]}
        assert get(client, path, MULTIPART, **known).status_code == 304
        assert get(client, path, "application/dicom+json", **known).status_code == 200
