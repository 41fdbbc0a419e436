"""Query parameters that a resource of DICOMweb does not know: ignored, and named (PS3.18 8.3.1)."""

import pytest

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get

STUDY = f"/studies/{samples.study_uid('a')}"
SERIES = f"{STUDY}/series/{samples.series_uid('a')}"
INSTANCE = samples.path("a")
PLACES = [
    *(STUDY, SERIES, INSTANCE, STUDY + "/metadata", INSTANCE + "/metadata"),
    *(INSTANCE + "/frames/1", INSTANCE + "/bulkdata/7FE00010", STUDY + "/bulkdata"),
    *(STUDY + "/rendered", INSTANCE + "/rendered", INSTANCE + "/frames/1/rendered"),
    *(STUDY + "/thumbnail", INSTANCE + "/thumbnail", "/studies", STUDY + "/series"),
]


def warned(answer) -> list[str]:
    """The warnings of unsupported parameters."""
    return [text for text in answer.headers.get_list("warning") if "not supported" in text]


@pytest.mark.parametrize("place", PLACES)
def test_a_parameter_that_is_not_known_is_ignored_and_named(client, place):
    wire.must_store(client, samples.ct("a"))
    plain = get(client, place, "*/*")
    answer = get(client, place + "?foo=1&%0D%0Ab%C3%A4r=2&foo=3", "*/*")
    assert answer.status_code == plain.status_code == 200
    assert answer.headers.get("etag") == plain.headers.get("etag")
    foo, bar = warned(answer)
    assert "parameter foo is not" in foo
    assert "\r" not in bar
    assert not warned(plain)


@pytest.mark.parametrize(
    "place",
    [INSTANCE + "?accept=application/dicom&charset=utf-8", INSTANCE + "/rendered?quality=90"],
)
def test_a_parameter_that_is_known_is_not_named(client, place):
    wire.must_store(client, samples.ct("a"))
    answer = get(client, place, "*/*")
    assert answer.status_code == 200
    assert not warned(answer)


def test_the_uri_service_names_parameters_that_it_does_not_know(client):
    wire.must_store(client, samples.ct("a"))
    uids = {"studyUID": samples.study_uid("a"), "seriesUID": samples.series_uid("a")}
    known = {"requestType": "WADO", **uids, "objectUID": samples.sop_uid("a"), "rows": "8"}
    assert not warned(client.get("/wado", params=known))
    answer = client.get("/wado", params={**known, "ROWS": "9"})
    assert answer.status_code == 200
    (warning,) = warned(answer)
    assert "ROWS" in warning


def test_a_parameter_of_another_resource_is_named(client):
    wire.must_store(client, samples.ct("a"))
    (warning,) = warned(get(client, INSTANCE + "/metadata?viewport=10,10", "*/*"))
    assert "viewport" in warning


def test_a_store_names_parameters_that_it_does_not_know(client):
    body, headers = wire.multipart(samples.ct("a"))
    answer = client.post(wire.DICOMWEB + "/studies?foo=1", content=body, headers=headers)
    assert answer.status_code == 200
    assert len(warned(answer)) == 1
    answer = client.delete(wire.DICOMWEB + INSTANCE + "?foo=1")
    assert len(warned(answer)) == 1
