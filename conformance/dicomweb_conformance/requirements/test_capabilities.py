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
