"""Web pages of other origins may not write with the credentials that a browser adds by itself."""

import base64

import pytest
from starlette.testclient import TestClient

from lenticular.services import open_services
from lenticular.settings import load
from lenticular.web.app import create_app
from tests.helpers import samples, wire

HOST = "http://pacs.example"
BASIC = {"Authorization": "Basic " + base64.b64encode(b"ann:secret").decode()}
FORM = "multipart/form-data; boundary=BB"
PAGE = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def serve(tmp_path):
    """Start the application with these settings; it knows ann, who signs in with Basic."""
    opened = []

    def start(**settings: object) -> TestClient:
        users = {"users": "ann:secret:read+write", "tokens": "tok:read+write"}
        services = open_services(load({}, data=tmp_path / "data", **(users | settings)))
        services.index.migrate()
        opened.append(services)
        return TestClient(create_app(services), base_url=HOST, raise_server_exceptions=False)

    yield start
    for services in opened:
        services.close()


def send_form(client: TestClient, **headers: str):
    """Send what a form of a web page sends: a file to Orthanc's route."""
    body = (
        b'--BB\r\nContent-Disposition: form-data; name="f"; filename="a.dcm"\r\n\r\n'
        + samples.ct("a")
        + b"\r\n--BB--\r\n"
    )
    return client.post("/instances", content=body, headers={"Content-Type": FORM} | headers)


@pytest.mark.parametrize(
    "headers",
    [
        PAGE,
        {"Origin": "https://evil.example"},
        {"Origin": "http://pacs.example:8080"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://other.pacs.example", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_origin_stores_nothing_with_the_credentials_of_the_browser(
    serve, headers
):
    client = serve()

    refused = send_form(client, **BASIC, **headers)

    assert refused.status_code == 403
    assert "allowed_origins" in refused.text
    assert client.get("/instances", headers=BASIC).json() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HOST},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_scripts_and_pages_of_the_server_store(serve, headers):
    assert send_form(serve(), **BASIC, **headers).status_code == 200


def test_a_page_that_brings_a_token_of_its_own_stores(serve):
    client = serve(allowed_origins="*")

    assert send_form(client, Authorization="Bearer tok", **PAGE).status_code == 200


def test_a_page_of_a_configured_origin_stores(serve):
    client = serve(allowed_origins="https://viewer.example, https://evil.example")

    assert send_form(client, **BASIC, **PAGE).status_code == 200


def test_with_any_origin_allowed_only_requests_that_a_browser_asks_about_first_may_write(serve):
    client = serve(allowed_origins="*")
    content, headers = wire.multipart(samples.ct("a"))

    simple = send_form(client, **BASIC, **PAGE)
    untyped = client.post("/instances", content=samples.ct("a"), headers=BASIC | PAGE)
    asked_before = client.post(
        f"{wire.DICOMWEB}/studies", content=content, headers=headers | BASIC | PAGE
    )

    assert (simple.status_code, untyped.status_code) == (403, 403)
    assert asked_before.status_code == 200


def test_a_page_behind_a_proxy_that_changes_the_host_is_known_by_the_public_url(serve):
    client = serve(public_url="https://hospital.example/pacs")

    assert send_form(client, **BASIC, Origin="https://hospital.example").status_code == 200


def test_a_page_of_another_origin_may_still_search(serve):
    client = serve()

    found = client.post("/tools/find", json={"Level": "Study", "Query": {}}, headers=BASIC | PAGE)

    assert found.status_code == 200


def test_without_users_any_origin_does_not_mean_that_any_page_may_write(serve):
    client = serve(users="", tokens="", allowed_origins="*", public_url=HOST)
    content, headers = wire.multipart(samples.ct("a"))

    answer = client.post(f"{wire.DICOMWEB}/studies", content=content, headers=headers | PAGE)

    assert answer.status_code == 403
