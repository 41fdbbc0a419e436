"""PS3.18 8.1, 8.2, 8.4 and 8.5: resources, header fields and statuses of all transactions."""

import pytest

from dicomweb_conformance.client import (
    DICOM,
    JSON,
    OCTETS,
    XML,
    explained,
    media_type_of,
    ok,
    parts,
)
from dicomweb_conformance.levels import OPTIONAL, RECOMMENDED
from dicomweb_conformance.requirements.test_retrieve import (
    FRAMES,
    INSTANCE,
    SERIES,
    STUDY,
    path,
)
from dicomweb_conformance.sample_instances import uid

RESOURCES = [STUDY, SERIES, INSTANCE]
VIEWS = ["metadata", "rendered", "thumbnail"]


@pytest.mark.parametrize("view", ["", *(f"/{view}" for view in VIEWS)])
@pytest.mark.parametrize("resource", RESOURCES)
def test_8_5_a_success_is_not_an_error_page(service, resource, view):
    response = service.get(path(resource) + view)

    assert response.status_code in (200, 404, 406, 501), explained(response)
    if response.status_code == 200:
        assert media_type_of(response) != "text/html"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize("resource", ["/studies", STUDY + "/metadata", INSTANCE])
def test_8_5_unsupported_methods_are_405(service, resource, method):
    response = service.request(method, service.url + path(resource), JSON, data=b"x")

    assert response.status_code == 405, explained(response)
    assert "GET" in response.headers.get("Allow", "")


@pytest.mark.parametrize(
    "below",
    [
        "/studies/{none}",
        "/studies/{none}/metadata",
        "/studies/{A}/series/{none}",
        "/studies/{A}/series/{none}/metadata",
        "/studies/{A}/series/{A1}/instances/{none}",
        "/studies/{A}/series/{A1}/instances/{none}/frames/1",
        "/studies/{A}/series/{A1}/instances/{none}/rendered",
        # An instance of another series, and a series of another study.
        "/studies/{A}/series/{A2}/instances/{A11}",
        "/studies/{B}/series/{A1}",
        "/studies/{B}/series/{A1}/instances/{A11}",
    ],
)
def test_8_5_what_is_not_there_is_404(service, below):
    response = service.get(path(below))

    assert response.status_code == 404, explained(response)


@pytest.mark.parametrize("resource", ["/studies/..%2F..%2Fetc", "/studies/%00", "/studies/a b"])
def test_8_2_a_target_that_is_no_resource_is_a_client_error(service, resource):
    assert 400 <= service.get(resource).status_code < 500


@pytest.mark.parametrize(
    ("resource", "accept"),
    [
        (STUDY, f'multipart/related; type="{DICOM}"'),
        (INSTANCE, DICOM),
        (INSTANCE + "/metadata", JSON),
        (FRAMES + "/frames/1", OCTETS),
        (INSTANCE + "/rendered", "image/jpeg"),
        ("/studies", JSON),
    ],
)
def test_8_4_2_a_payload_has_a_length_or_a_transfer_coding(service, resource, accept):
    headers = ok(service.get(path(resource), accept)).headers

    assert "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "")


@RECOMMENDED
@pytest.mark.parametrize(
    ("resource", "accept"),
    [
        (INSTANCE, DICOM),
        (INSTANCE + "/metadata", JSON),
        (INSTANCE + "/rendered", "image/jpeg"),
        (FRAMES + "/frames/1", OCTETS),
        ("/studies", JSON),
    ],
)
def test_8_4_3_a_payload_says_where_it_is(service, resource, accept):
    response = ok(service.get(path(resource), accept))

    again = service.request("GET", response.headers["Content-Location"], accept)
    assert media_type_of(ok(again)) == media_type_of(response)


@RECOMMENDED
@pytest.mark.parametrize("resource", ["/studies", INSTANCE + "/metadata"])
def test_8_6_1_2_each_xml_part_says_where_it_is(service, resource):
    for headers, body in parts(ok(service.get(path(resource), f'multipart/related; type="{XML}"'))):
        assert headers["content-type"].split(";")[0] == XML
        assert headers["content-location"].startswith("http")
        assert body


@pytest.mark.parametrize("resource", RESOURCES)
def test_8_6_1_2_the_boundary_occurs_nowhere_else(service, resource):
    response = ok(service.get(path(resource), f'multipart/related; type="{DICOM}"'))

    assert all(body[128:132] == b"DICM" for _, body in parts(response))


@OPTIONAL
@pytest.mark.parametrize("level", RESOURCES)
def test_8_5_what_was_deleted_is_gone_or_unknown(service, level):
    """410 or 404: the service need not know that it once had it."""
    assert service.get(path(level).replace(uid("A"), uid("deleted"))).status_code in (404, 410)


@pytest.mark.parametrize("level", ["/studies", "/series", "/instances"])
def test_8_1_a_request_body_of_a_get_is_ignored(service, level):
    response = service.request("GET", service.url + level + "?limit=1", JSON, data=b"")

    ok(response)
