"""PS3.18 8.9: what the service says of itself, and what web pages need to ask it (Fetch)."""

from xml.etree import ElementTree as ET

import pytest

from dicomweb_conformance.client import JSON, explained, media_type_of, ok
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.sample_instances import uid

ORIGIN = "https://viewer.example"


WADL = "application/vnd.sun.wadl+xml"


@pytest.mark.parametrize("accept", [WADL, "application/json", "*/*"])
def test_8_9_1_the_base_resource_returns_its_capabilities(service, accept):
    """OPTIONS of the base URL returns a Capabilities Description, as WADL or as JSON."""
    response = ok(service.request("OPTIONS", service.url, accept))

    assert media_type_of(response) in (WADL, "application/json", JSON)
    assert accept in ("*/*", media_type_of(response))


def test_8_9_4_the_capabilities_describe_the_resources_of_studies(service):
    described = ok(service.request("OPTIONS", service.url, WADL)).text

    for name in ("studies", "series", "instances", "metadata", "frames", "rendered"):
        assert name in described, name


def test_H_the_capabilities_are_a_wadl_application(service):
    root = ET.fromstring(ok(service.request("OPTIONS", service.url, WADL)).content)

    assert root.tag.endswith("}application")
    resources = [each for each in root.iter() if each.tag.endswith("}resources")]
    assert resources
    assert resources[0].get("base", "").startswith("http")


@pytest.mark.parametrize("resource", ["/studies", "/series", "/instances"])
@OPTIONAL
def test_8_9_a_resource_names_its_methods(service, resource):
    response = service.request("OPTIONS", service.url + resource)
    if response.status_code not in (200, 204):
        pytest.skip(f"optional, not supported: {response.status_code}")

    assert "GET" in response.headers.get("Allow", ""), explained(response)


@OPTIONAL
def test_fetch_a_preflight_is_answered(service):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "accept",
    }
    response = service.request("OPTIONS", f"{service.url}/studies", headers=headers)
    if "Access-Control-Allow-Origin" not in response.headers:
        pytest.skip("optional, not configured: CORS")

    assert response.status_code in (200, 204)
    assert response.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_8_5_a_method_that_is_not_supported_is_405_and_allow_names_those_that_are(service, method):
    response = service.request(method, f"{service.url}/studies", JSON, data=b"")

    assert response.status_code == 405, explained(response)
    allowed = {each.strip() for each in response.headers.get("Allow", "").split(",")}
    assert {"GET", "POST"} <= allowed
    assert method not in allowed


def test_8_5_an_unknown_resource_is_404(service):
    assert service.get("/nothing-of-this-name").status_code == 404
    assert service.get(f"/studies/{uid('A')}/nothing").status_code == 404


@pytest.fixture(scope="module")
def wadl(service):
    return ET.fromstring(ok(service.request("OPTIONS", service.url, WADL)).content)


def named(parent, name):
    """The elements of this name at any depth, whatever their namespace."""
    return [each for each in parent.iter() if each.tag.rpartition("}")[2] == name]


def test_H_there_is_one_resources_element(wadl):
    assert len(named(wadl, "resources")) == 1


def test_H_every_method_has_its_name_and_the_retrieving_ones_an_id(wadl):
    methods = named(wadl, "method")

    assert methods
    assert all(method.get("name") for method in methods)
    assert all(method.get("id") for method in methods if method.get("name") in ("GET", "POST"))


@pytest.mark.parametrize(
    "media_type", [JSON, "application/dicom+xml", "application/dicom", "image/jpeg"]
)
def test_H_the_media_types_of_responses_are_listed(wadl, media_type):
    listed = [each.get("mediaType", "") for each in named(wadl, "representation")]

    assert any(media_type in each for each in listed)


@pytest.mark.parametrize("name", ["limit", "offset", "includefield", "PatientName", "StudyDate"])
def test_H_the_parameters_of_searches_are_listed(wadl, name):
    assert name in [each.get("name") for each in named(wadl, "param")]


@pytest.mark.parametrize("name", ["window", "viewport", "quality"])
def test_8_9_the_parameters_of_rendered_resources_are_listed(wadl, name):
    assert name in [each.get("name") for each in named(wadl, "param")]


def test_8_8_the_capabilities_document_the_character_sets(wadl):
    options = [each.get("value", "").lower() for each in named(wadl, "option")]

    assert any(each.startswith("utf-8") for each in options)


def test_H_the_statuses_of_responses_are_listed(wadl):
    statuses = " ".join(each.get("status", "") for each in named(wadl, "response")).split()

    assert {"200", "400"} <= set(statuses)


@OPTIONAL
def test_G_the_capabilities_are_to_be_had_in_json(service):
    answer = service.request("OPTIONS", service.url, "application/json")
    if answer.status_code == 406:
        pytest.skip("optional, not supported: JSON")

    application = ok(answer).json()["application"]
    (resources,) = application["resources"]
    assert resources["@base"].startswith("http")
    assert {"@path", "method"} <= resources["resource"][0].keys()


def test_8_9_capabilities_in_another_type_are_406(service):
    assert service.request("OPTIONS", service.url, "text/x-nothing").status_code == 406
