"""The viewer's files out of the bucket, as API Gateway passes them on."""

import gzip

import pytest

from lenticular.storage.spool import Spool
from tests.helpers.aws.api_gateway import HOST, STAGE

PAGE = b'<!doctype html><script src="/ohif/app-config.js"></script>'
SCRIPT = b"console.log('viewer');" * 50
BUNDLE = "app.bundle.0f6159c501addfe9.js"
CODEC = bytes(range(256))
FILES = {
    "index.html": PAGE,
    "app-config.js": b"window.config = {};",
    BUNDLE: SCRIPT,
    f"{BUNDLE}.gz": gzip.compress(SCRIPT),
    "codec.wasm": CODEC,
}


@pytest.fixture
def get(functions, storage):
    """Gets a file of the viewer, which is in the bucket."""
    for name, content in FILES.items():
        with Spool() as spool:
            spool.write(content)
            storage.put(f"viewer/{name}", spool)

    def get(path: str, method: str = "GET", **headers: str):
        return functions.call("dicomweb", method, path, **headers)

    return get


def test_pages_know_that_they_live_below_the_stage(get):
    for path in ("/ohif", "/ohif/", "/ohif/viewer", "/ohif/callback"):
        answer = get(path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.content == PAGE.replace(b"/ohif/", f"{STAGE}/ohif/".encode())
    configuration = get("/ohif/app-config.js").content.decode()
    assert f'"root": "{STAGE}"' in configuration
    assert '"issuer": "https://issuer.example", "client": "the-viewer"' in configuration


def test_files_come_out_as_they_lie_in_the_bucket(get):
    packed = get(f"/ohif/{BUNDLE}", accept_encoding="gzip, deflate, br")
    assert (packed.headers["content-encoding"], packed.content) == ("gzip", FILES[f"{BUNDLE}.gz"])
    assert get(f"/ohif/{BUNDLE}").content == SCRIPT
    codec = get("/ohif/codec.wasm")
    assert (codec.headers["content-type"], codec.content) == ("application/wasm", CODEC)

    again = get(f"/ohif/{BUNDLE}", accept_encoding="gzip", if_none_match=packed.headers["etag"])
    assert (again.status, again.content) == (304, b"")
    head = get(f"/ohif/{BUNDLE}", "HEAD", accept_encoding="gzip")
    assert (head.status, head.content) == (200, b"")
    assert head.headers["etag"] == packed.headers["etag"]


def test_pages_may_ask_the_issuer_and_the_bucket_beside_us(get, storage):
    policy = get("/ohif").headers["content-security-policy"]
    *_, issuer, bucket = policy.partition("connect-src")[2].split()
    assert issuer == "https://issuer.example"
    assert storage.presign("results/1").startswith(f"{bucket}/")
    assert HOST not in policy


def test_nobody_writes_to_the_viewer_and_nothing_else_in_the_bucket_is_shown(get, storage):
    assert get("/ohif/index.html", "PUT").status == 405
    with Spool() as spool:
        spool.write(b"secret")
        storage.put("secret.js", spool)
    for path in ("/ohif/../secret.js", "/ohif/%2e%2e/secret.js", "/ohif/secret.js"):
        assert get(path).status == 404
