"""Ranges, conditions and streaming, RFC 9110 13 and 14, on bytes of a known size."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from lenticular.errors import LenticularError, NotFound, RangeUnsatisfiable
from lenticular.limits import Limits
from lenticular.settings import Settings
from lenticular.web.http.multipart import Part
from lenticular.web.responses import respond

ETAG = '"abc"'
SMALL = bytes(range(256))
LARGE = SMALL * 20_000  # five pieces


def serving(answer: Callable[[Request], Response]) -> TestClient:
    """A client of an application that gives this answer to GET and HEAD."""

    def refused(_: Request, error: Exception) -> Response:
        return PlainTextResponse(type(error).__name__, 418)

    app = Starlette(
        routes=[Route("/", answer, methods=["GET", "HEAD"])],
        exception_handlers={LenticularError: refused},
    )
    app.state.services = SimpleNamespace(settings=Settings(), limits=Limits())
    return TestClient(app)


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def body(request: pytest.FixtureRequest) -> bytes:
    return request.param


@pytest.fixture
def client(body: bytes) -> TestClient:
    """Serves the body as a stream of pieces."""

    def pieces(offset: int, length: int) -> Iterator[bytes]:
        for start in range(offset, offset + length, 500_000):
            yield body[start : min(start + 500_000, offset + length)]

    return serving(
        lambda request: respond.content(request, pieces, "a/b", size=len(body), etag=ETAG)
    )


def test_all_of_it_comes_with_length_and_tag(client: TestClient, body: bytes):
    answer = client.get("/")
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-type"] == "a/b"
    assert answer.headers["cache-control"] == "private, no-cache"


def test_head_has_the_headers_of_get_and_no_body(client: TestClient):
    whole, head = client.get("/"), client.head("/")
    assert head.content == b""
    assert (head.status_code, head.headers) == (200, whole.headers)


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-0", 0, 1), ("10-19", 10, 20), ("250-", 250, None), ("-3", -3, None), ("0-", 0, None),
     ("200-99999999", 200, None), ("-99999999", 0, None), (" 1 - 2 ", 1, 3)],
)  # fmt: skip
def test_a_range_is_a_part_of_it(
    client: TestClient, body: bytes, asked: str, start: int, end: int | None
):
    answer = client.get("/", headers={"Range": f"bytes={asked}"})
    expected = body[start:end]
    assert answer.content == expected
    assert answer.headers["content-length"] == str(len(expected))
    first = start % len(body)
    if len(expected) == len(body):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 206
        place = f"bytes {first}-{first + len(expected) - 1}/{len(body)}"
        assert answer.headers["content-range"] == place


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,4-5", "bytes=5-4", "bytes=-", "bytes=x-y", "lines=1-2", "", "bytes=1",
              "bytes=0-" + "9" * 5000]
)  # fmt: skip
def test_ranges_that_are_not_one_range_of_bytes_are_ignored(
    client: TestClient, body: bytes, asked: str
):
    answer = client.get("/", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (200, body)


@pytest.mark.parametrize("asked", ["99999999-", "99999999-999999999", "-0"])
def test_a_range_outside_is_refused(client: TestClient, asked: str):
    answer = client.get("/", headers={"Range": f"bytes={asked}"})
    assert (answer.status_code, answer.text) == (418, RangeUnsatisfiable.__name__)


def test_a_range_counts_only_while_the_tag_is_the_same(client: TestClient, body: bytes):
    asked = {"Range": "bytes=0-9"}
    assert client.get("/", headers={**asked, "If-Range": ETAG}).status_code == 206
    for other in ('"old"', f"W/{ETAG}", "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert client.get("/", headers={**asked, "If-Range": other}).content == body


@pytest.mark.parametrize("known", [ETAG, f"W/{ETAG}", f'"x", {ETAG}', "*"])
def test_who_has_it_already_is_told_so(client: TestClient, known: str):
    for method in ("GET", "HEAD"):
        answer = client.request(method, "/", headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        # As the client has it: weak, where it got it among others.
        assert answer.headers["etag"] == (known if known.startswith("W/") else ETAG)


def test_who_has_something_else_gets_it(client: TestClient, body: bytes):
    assert client.get("/", headers={"If-None-Match": '"x", "y"'}).content == body


def test_nothing_at_all_can_be_served():
    client = serving(lambda request: respond.content(request, b"", "a/b"))
    assert client.get("/").headers["content-length"] == "0"
    assert client.get("/", headers={"Range": "bytes=0-"}).status_code == 418


def test_what_fails_before_the_first_byte_gets_its_status():
    def pieces(offset: int, length: int) -> Iterator[bytes]:
        raise NotFound("It was deleted.")
        yield b""

    client = serving(lambda request: respond.content(request, pieces, "a/b", size=1 << 40))
    assert client.get("/").text == NotFound.__name__


def test_parts_of_known_size_have_a_length(body: bytes):
    parts = [Part("a/b", lambda: [body], len(body))] * 3
    client = serving(lambda request: respond.multipart(request, parts, "a/b", etag=ETAG))
    answer, head = client.get("/"), client.head("/")
    assert int(answer.headers["content-length"]) == len(answer.content) > 3 * len(body)
    assert head.headers["content-length"] == answer.headers["content-length"]
    assert answer.headers["etag"] == f"W/{ETAG}"
    assert client.get("/", headers={"If-None-Match": f"W/{ETAG}"}).status_code == 304


def test_parts_made_as_they_go_are_sent_as_they_go(body: bytes):
    def parts() -> Iterator[Part]:
        for _ in range(3):
            yield Part("a/b", lambda: [body])

    client = serving(lambda request: respond.multipart(request, parts(), "a/b"))
    assert client.get("/").content.count(body[:256]) >= 3
    assert "content-length" not in client.head("/").headers


@pytest.mark.parametrize("count", [0, 1, 3, 3000])
def test_documents_become_an_array(count: int):
    document = b'{"a":"' + b"x" * 500 + b'"}'
    client = serving(
        lambda request: respond.array(request, iter([document] * count), "application/json")
    )
    answer = client.get("/")
    assert answer.json() == [{"a": "x" * 500}] * count
    assert ("etag" in answer.headers) == (count < 3000)
    if count < 3000:
        known = {"If-None-Match": answer.headers["etag"]}
        assert client.get("/", headers=known).status_code == 304
        assert client.head("/").headers == answer.headers
