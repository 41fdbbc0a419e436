"""A web page of another origin follows the payload ladder: from the API into the bucket.

After a redirect across origins a browser asks the bucket with `Origin: null`, without credentials,
and once more before if the headers are not simple (WHATWG Fetch 4.4).
"""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.helpers import samples, wire
from tests.helpers.bucket_server import begin, cloud_server, finished, upload
from tests.helpers.server_process import Server

FETCH = """async ([url, headers]) => {
    const answer = await fetch(url, {headers});
    const body = new Uint8Array(await answer.arrayBuffer());
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body));
    return {
        status: answer.status,
        redirected: answer.redirected,
        size: body.length,
        range: answer.headers.get("Content-Range"),
        type: answer.headers.get("Content-Type"),
        sha256: Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join(""),
    };
}"""
PUT = """async ([url, size]) => {
    const answer = await fetch(url, {method: "PUT", body: new Uint8Array(size)});
    return answer.status;
}"""


@pytest.fixture(scope="module")
def content() -> bytes:
    return samples.ct("browser", size=300)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, s3_environment, content) -> Iterator[Server]:
    """A server with a low ceiling, and a file above it."""
    folder = tmp_path_factory.mktemp("browser")
    with cloud_server(folder, s3_environment, 10_000, allowed_origins="*") as running:
        upload(running, content)
        yield running


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments) -> None:
        pass


@pytest.fixture
def page(browser):
    """A page of an origin of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{server.server_port}/")
        yield opened
        opened.close()
        server.shutdown()


@pytest.mark.parametrize(
    "headers",
    [
        {"Accept": "application/dicom"},
        # Quotation marks make a browser ask before.
        {"Accept": 'application/dicom; transfer-syntax="*"'},
        {"Accept": "application/dicom", "Authorization": "Bearer x"},
    ],
    ids=["simple", "asks before", "credentials"],
)
def test_a_page_of_another_origin_gets_the_bytes(page, cloud, content, headers):
    url = f"{cloud.url}{wire.DICOMWEB}{samples.path('browser')}"
    # The browser may tell of the redirected request only after its answer has come.
    with page.expect_request(lambda request: not request.url.startswith(cloud.url)) as in_bucket:
        answer = page.evaluate(FETCH, [url, headers])

    assert answer["status"] == 200
    assert answer["redirected"]
    assert answer["type"].startswith("application/dicom")
    assert answer["sha256"] == hashlib.sha256(content).hexdigest()
    assert "authorization" not in in_bucket.value.all_headers()


def test_a_page_gets_a_range_of_what_is_above_the_ceiling(page, cloud, content):
    headers = {"Accept": "application/dicom", "Range": "bytes=100-20099"}
    answer = page.evaluate(FETCH, [f"{cloud.url}{wire.DICOMWEB}{samples.path('browser')}", headers])
    assert (answer["status"], answer["size"]) == (206, 20_000)
    assert answer["sha256"] == hashlib.sha256(content[100:20_100]).hexdigest()


def test_a_page_uploads_by_a_presigned_url(page, cloud):
    begun = begin(cloud, ("zeros", 1000))
    assert page.evaluate(PUT, [begun["files"][0]["url"], 1000]) == 200
    assert finished(cloud, begun)["files"][0]["status"] == "refused"
