"""The viewer's files at /ohif/, as they are served; tests/viewer looks at what they show."""

import gzip
from dataclasses import replace

import pytest

pytestmark = pytest.mark.not_on_stack("the viewer is part of the server on one machine")

PAGE = b"<!doctype html><title>The viewer</title>"
SCRIPT = b"console.log('viewer');" * 50
BUNDLE = "app.bundle.0f6159c501addfe9.js"
GZIP = {"Accept-Encoding": "br, gzip"}
IDENTITY = {"Accept-Encoding": "identity"}


@pytest.fixture
def viewer(services, connect, tmp_path):
    """A server with a viewer of three files; one of them compressed too."""
    folder = tmp_path / "viewer"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / BUNDLE).write_bytes(SCRIPT)
    (folder / f"{BUNDLE}.gz").write_bytes(gzip.compress(SCRIPT))
    (folder / "assets/codec.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    return connect(replace(services, settings=replace(services.settings, viewer=folder)))


@pytest.mark.parametrize(
    "address",
    [
        *("/ohif", "/ohif/", "/ohif?patientName=Doe", "/ohif/viewer?StudyInstanceUIDs=1.2.3"),
        *("/ohif/index.html", "/ohif/some/page", "/ohif/viewer/1.2.840.10008"),
    ],
)
def test_every_address_of_the_viewer_is_its_page(viewer, address):
    answer = viewer.get(address)

    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert "frame-ancestors 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "media_type", "content"),
    [
        (BUNDLE, "text/javascript; charset=utf-8", SCRIPT),
        ("assets/codec.wasm", "application/wasm", b"\0asm"),
    ],
)
def test_a_file_of_the_viewer_has_its_type(viewer, name, media_type, content):
    answer = viewer.get(f"/ohif/{name}")

    assert (answer.status_code, answer.content) == (200, content)
    assert answer.headers["Content-Type"] == media_type


def test_what_is_named_by_its_content_may_be_kept_for_a_day(viewer):
    answer = viewer.get(f"/ohif/{BUNDLE}")

    assert answer.headers["Cache-Control"] == "private, max-age=86400"


def test_a_file_is_compressed_for_who_takes_that(viewer):
    packed, plain = (viewer.get(f"/ohif/{BUNDLE}", headers=each) for each in (GZIP, IDENTITY))

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content == SCRIPT
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert packed.headers["Vary"] == "Accept-Encoding"


@pytest.mark.parametrize("refused", ["gzip;q=0", "gzip; q=0.0, br", "notgzip", ""])
def test_a_file_is_not_compressed_for_who_refuses_that(viewer, refused):
    answer = viewer.get(f"/ohif/{BUNDLE}", headers={"Accept-Encoding": refused})

    assert "Content-Encoding" not in answer.headers
    assert answer.content == SCRIPT


def test_head_and_conditions_work_on_the_viewer_too(viewer):
    answer = viewer.get(f"/ohif/{BUNDLE}", headers=IDENTITY)

    head = viewer.head(f"/ohif/{BUNDLE}", headers=IDENTITY)
    again = viewer.get(
        f"/ohif/{BUNDLE}", headers={**IDENTITY, "If-None-Match": answer.headers["ETag"]}
    )

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(SCRIPT))
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["Cache-Control"] == answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "name",
    [
        *("missing.js", "..%2Fsecret.txt", "..%2f..%2fsecret.txt", "%2e%2e/secret.txt"),
        *("assets", "%00", "a%00.js", "x" * 4000, "%FF"),
    ],
)
def test_nothing_but_the_viewer_is_served_there(viewer, name):
    answer = viewer.get(f"/ohif/{name}")

    assert answer.status_code in (200, 404)
    assert answer.content == PAGE or answer.status_code == 404
    assert b"secret" not in answer.content


def test_a_missing_file_is_not_the_page(viewer):
    assert viewer.get("/ohif/app.bundle.0000000000000000.js").status_code == 404


def test_without_a_viewer_it_is_said_how_to_get_one(services, connect, tmp_path):
    settings = replace(services.settings, viewer=tmp_path / "none")
    client = connect(replace(services, settings=settings))

    for address in ("/ohif", "/ohif/", "/ohif/app-config.js"):
        answer = client.get(address)
        assert answer.status_code == 404
        assert "make viewer" in answer.json()["detail"]


def test_nobody_writes_to_the_viewer(viewer):
    answer = viewer.post("/ohif/index.html")

    assert answer.status_code == 405
    assert answer.headers["Allow"].split(", ")[:2] == ["GET", "HEAD"]
