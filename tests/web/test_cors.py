"""Web pages from elsewhere: allowed when configured, and only those."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

PAGE = "https://viewer.example"
PREFLIGHT = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "authorization, range",
}


@pytest.fixture
def make_client(services, connect):
    def make(origins: str, **others: Any) -> httpx2.Client:
        settings = replace(services.settings, allowed_origins=origins, **others)
        return connect(replace(services, settings=settings))

    return make


@pytest.mark.parametrize("origins", ["*", PAGE, f"https://other.example, {PAGE}"])
def test_a_page_of_an_allowed_origin_may_ask_and_read(make_client, origins):
    client = make_client(origins)
    preflight = client.options("/dicom-web/studies", headers=PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] in ("*", PAGE)
    assert "authorization" in preflight.headers["Access-Control-Allow-Headers"]
    answer = client.get("/dicom-web/studies", headers={"Origin": PAGE})
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", PAGE)
    assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origins", ["", "https://other.example"])
def test_a_page_of_another_origin_may_not(make_client, origins):
    client = make_client(origins)
    for answer in (
        client.options("/dicom-web/studies", headers=PREFLIGHT),
        client.get("/dicom-web/studies", headers={"Origin": PAGE}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
