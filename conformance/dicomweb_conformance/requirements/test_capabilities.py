"""PS3.18 8.9: what the service says of itself, and what web pages need to ask it (Fetch)."""

import pytest

from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.material import uid
from dicomweb_conformance.service import JSON, explained, optional

ORIGIN = "https://viewer.example"


@OPTIONAL
def test_8_9_the_base_resource_tells_its_capabilities(service):
    answer = optional(service.request("OPTIONS", service.url, "application/json, */*;q=0.1"))

    assert answer.content, "no description of the capabilities"


@pytest.mark.parametrize("resource", ["/studies", "/series", "/instances"])
@OPTIONAL
def test_8_9_a_resource_names_its_methods(service, resource):
    answer = service.request("OPTIONS", service.url + resource)
    if answer.status_code not in (200, 204):
        pytest.skip(f"optional, not supported: {answer.status_code}")

    assert "GET" in answer.headers.get("Allow", ""), explained(answer)


@OPTIONAL
def test_fetch_a_preflight_is_answered(service):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "accept",
    }
    answer = service.request("OPTIONS", f"{service.url}/studies", headers=headers)
    if "Access-Control-Allow-Origin" not in answer.headers:
        pytest.skip("optional, not configured: CORS")

    assert answer.status_code in (200, 204)
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", ORIGIN)


def test_8_5_a_method_that_is_not_supported_is_405(service):
    answer = service.request("PUT", f"{service.url}/studies", JSON, data=b"")

    assert answer.status_code in (404, 405, 501), explained(answer)


def test_8_5_an_unknown_resource_is_404(service):
    assert service.get("/nothing-of-this-name").status_code == 404
    assert service.get(f"/studies/{uid('A')}/nothing").status_code == 404
