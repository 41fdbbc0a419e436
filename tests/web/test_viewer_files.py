"""The viewer's files at /ohif/, as they are served; tests/viewer looks at what they show."""

import gzip
import json
from dataclasses import replace

import pytest

from lenticular.storage.spool import Spool

pytestmark = pytest.mark.not_on_stack("a stack has settings of its own; tests/stack opens it there")

PAGE = b'<!doctype html><title>The viewer</title><script src="/ohif/app-config.js"></script>'
CONFIGURATION = b"window.config = { routerBasename: `${lenticular.root}/ohif` };"
SCRIPT = b"console.log('viewer');" * 50
BUNDLE = "app.bundle.0f6159c501addfe9.js"
GZIP = {"Accept-Encoding": "br, gzip"}
IDENTITY = {"Accept-Encoding": "identity"}


FILES = {
    "index.html": PAGE,
    "app-config.js": CONFIGURATION,
    BUNDLE: SCRIPT,
    f"{BUNDLE}.gz": gzip.compress(SCRIPT),
    "assets/codec.wasm": b"\0asm",
    "../secret.txt": b"secret",
}


@pytest.fixture
def place(services, tmp_path) -> str:
    """Where a viewer of a few files is, one of them compressed too: a folder, or the bucket."""
    folder = tmp_path / "viewer"
    for name, content in FILES.items():
        if services.bucket is None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        else:
            with Spool() as spool:
                spool.write(content)
                services.storage.put(f"viewer/{name}".replace("viewer/../", ""), spool)
    return str(folder) if services.bucket is None else f"{services.settings.storage}/viewer"


@pytest.fixture
def served(services, connect, place):
    """A client of a server with that viewer and these settings."""

    def serve(**settings):
        changed = replace(services.settings, **{"viewer": place, **settings})
        return connect(replace(services, settings=changed))

    return serve


@pytest.fixture
def viewer(served):
    """A client of a server with that viewer."""
    return served()


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


def test_without_a_viewer_it_is_said_how_to_get_one(served, place):
    nowhere = served(viewer=f"{place}-none")

    for address in ("/ohif", "/ohif/", "/ohif/app-config.js"):
        answer = nowhere.get(address)
        assert answer.status_code == 404
        assert "make viewer" in answer.json()["detail"]


def test_a_viewer_that_is_switched_off_is_said_to_be(served):
    off = served(viewer="")

    for address in ("/ohif", "/ohif/app-config.js"):
        answer = off.get(address)
        assert answer.status_code == 404
        assert "LENTICULAR_VIEWER" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("public_url", "root"),
    [("", ""), ("https://pacs.example.org/v1", "/v1")],
    ids=["root", "below"],
)
def test_the_page_finds_its_files_and_the_server_wherever_that_is(served, public_url, root):
    client = served(public_url=public_url)
    page, configuration = client.get("/ohif/"), client.get("/ohif/app-config.js")

    assert f'src="{root}/ohif/app-config.js"' in page.text
    about, _, rest = configuration.text.partition("\n")
    assert json.loads(about.removeprefix("const lenticular = ").removesuffix(";")) == {
        "root": root,
        "signIn": None,
    }
    assert rest.encode() == CONFIGURATION
    head = client.head("/ohif/app-config.js")
    assert (head.headers["Content-Length"], head.content) == (str(len(configuration.content)), b"")


def test_the_page_is_told_where_to_sign_in_and_may_ask_nobody_else(served):
    client = served(
        oidc_issuer="https://issuer.example/pool",
        oidc_client="the-viewer",
        oidc_scope="openid lenticular/read",
        oidc_audience="lenticular",
        oidc_origins="https://login.example, https://keys.example:8443/",
    )
    configuration = client.get("/ohif/app-config.js").text
    policy = client.get("/ohif/").headers["Content-Security-Policy"].split("; ")

    assert json.loads(configuration.partition("\n")[0][len("const lenticular = ") : -1]) == {
        "root": "",
        "signIn": {
            "issuer": "https://issuer.example/pool",
            "client": "the-viewer",
            "scope": "openid lenticular/read",
            "audience": "lenticular",
        },
    }
    issuer = "https://issuer.example https://login.example https://keys.example:8443"
    assert f"connect-src 'self' blob: data: {issuer}" in policy
    assert not [each for each in policy if "example" in each and "connect-src" not in each]


def test_what_is_larger_than_a_call_may_carry_is_sent_as_gzip_alone(served):
    client = served(payload_ceiling=len(SCRIPT) - 1)

    assert client.get(f"/ohif/{BUNDLE}", headers=GZIP).content == SCRIPT
    answer = client.get(f"/ohif/{BUNDLE}", headers=IDENTITY)
    assert answer.status_code == 406
    assert "gzip" in answer.json()["detail"]


def test_answers_that_lie_in_the_bucket_may_be_followed_there(served, services):
    policy = served(payload_ceiling=1000).get("/ohif/").headers["Content-Security-Policy"]

    places = policy.partition("connect-src 'self' blob: data:")[2].split()
    if services.bucket is None:
        assert places == []
    else:
        assert len(places) == 1
        assert services.bucket.presign("x").startswith(f"{places[0]}/")


def test_nobody_writes_to_the_viewer(viewer):
    answer = viewer.post("/ohif/index.html")

    assert answer.status_code == 405
    assert answer.headers["Allow"].split(", ")[:2] == ["GET", "HEAD"]
