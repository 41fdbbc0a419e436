"""Web pages from elsewhere: allowed when configured, and only those."""

import pytest

from tests.helpers.http.cross_origin import PAGE, PREFLIGHT, make_client

__all__ = ["make_client"]


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
