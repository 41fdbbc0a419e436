"""Behind a proxy that serves us below a path, no link leads past it; the reference page is safe."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.helpers import wire

PUBLIC = "https://hospital.example/pacs"


@pytest.fixture
def proxied(services, connect):
    """The application as it is behind a proxy that takes the path /pacs away."""
    return connect(replace(services, settings=replace(services.settings, public_url=PUBLIC)))


class _Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [text for name, text in attributes if name in ("src", "href") and text]


@pytest.mark.not_on_stack("there is no reference on AWS")
def test_the_reference_leads_to_nothing_past_the_path(proxied):
    page = proxied.get("/docs")
    links = [*_Links(page.text).links, *re.findall(r'url: "(.*?)"', page.text)]

    assert len(links) == 4
    for link in links:
        address = urljoin(f"{PUBLIC}/docs", link)
        assert address.startswith(f"{PUBLIC}/")
        assert proxied.get(address.removeprefix(PUBLIC)).status_code == 200
    assert proxied.get("/openapi.json").json()["servers"] == [{"url": PUBLIC}]
    assert proxied.get("/swagger/../app.py").status_code == 404


@pytest.mark.not_on_stack("API Gateway answers other paths itself")
@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", "/docs"),
    ],
)
def test_redirects_keep_the_path(proxied, path, place):
    answer = proxied.get(path, follow_redirects=False)

    assert answer.status_code == 307
    assert answer.headers["location"] == PUBLIC + place


@pytest.mark.not_on_stack("there is no reference on AWS")
def test_the_reference_runs_no_script_but_its_own(client):
    page = client.get("/docs")
    policy = page.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-content-type-options"] == "nosniff"


def test_the_base_address_says_where_to_go_on(client):
    answer = client.get(wire.DICOMWEB)
    about: dict[str, Any] = answer.json()

    assert about["name"] == "Lenticular"
    for name in ("studies", "health"):
        assert client.get(about["links"][name]).status_code == 200


@pytest.mark.not_on_stack("API Gateway refuses methods itself")
def test_a_method_that_is_not_allowed_is_told_those_that_are(client):
    answer = client.put(f"{wire.DICOMWEB}/studies")

    wire.assert_error(answer, 405)
    expected = "PUT is not allowed on /dicom-web/studies; allowed: GET, HEAD, OPTIONS, POST."
    assert answer.json()["detail"] == expected
