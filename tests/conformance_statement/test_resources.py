"""Each resource of docs/conformance.md answers in the media types and statuses that it names."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import httpx2
import pytest

from lenticular.limits import Limits
from lenticular.settings import RIGHTS, Token
from tests.helpers import samples, wire
from tests.helpers.conformance_tables import DELETES, READ, STORES, Resource, codes, rows
from tests.helpers.files import nonimage, softcopy

MAXIMUM_BODY = 100_000
BOUNDARY = "provoked"
STORE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
URI = "/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"


@dataclass(frozen=True)
class Probe:
    """A request that may provoke a status: how it differs from one that is in order."""

    path: dict[str, str] = field(default_factory=dict)
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    known: bool = False
    """Whether the client has the answer already."""


NOTHING = "2.25.1"
PROBES = {
    "in order": Probe(),
    "has it": Probe(known=True),
    "first byte": Probe(headers={"Range": "bytes=0-0"}),
    "beyond the end": Probe(headers={"Range": "bytes=99999999-"}),
    "no such study": Probe(path={"study": NOTHING}),
    "no such series": Probe(path={"series": NOTHING}),
    "no such instance": Probe(path={"instance": NOTHING}),
    "no such frame": Probe(path={"frame_list": "9"}),
    "no such value": Probe(path={"path": "00091001"}),
    "study cannot be one": Probe(path={"study": "x" * 200}),
    "frame is no number": Probe(path={"frame_list": "x"}),
    "too many frames": Probe(path={"frame_list": "1," * 10_000 + "1"}),
    "nothing acceptable": Probe(headers={"Accept": "text/x-nothing"}),
    "no media type": Probe(headers={"Accept": "nonsense"}),
    "no XML without a match": Probe(
        query="PatientID=nobody", headers={"Accept": "application/dicom+xml, multipart/related"}
    ),
    "odd parameters": Probe(query="limit=x&window=x&requestType=x&quality=x"),
}


@pytest.fixture(scope="module")
def services(module_services):
    """Those of the module, which take no large bodies."""
    settings = replace(module_services.settings, maximum_body=MAXIMUM_BODY)
    return replace(module_services, settings=settings)


@pytest.fixture(scope="module")
def client(backend, services) -> Iterator[httpx2.Client]:
    with backend.client(services) as session:
        yield session


@pytest.fixture
def limited(backend, services) -> Callable[[], AbstractContextManager[httpx2.Client]]:
    """Clients of a server that renders no instance beside others."""
    return lambda: backend.client(replace(services, limits=Limits(rendered_instances=0)))


@pytest.fixture(scope="module")
def image(client) -> dict[str, str]:
    """A stored image, and what leads to it."""
    wire.must_store(client, samples.ct("stated"))
    return place("stated")


@pytest.fixture(scope="module")
def lost(client, services) -> dict[str, str]:
    """A stored image, and what leads to it; the file of another in its series is gone."""
    wire.must_store(client, *samples.ct_series("lost", 2))
    for key, _, _ in list(services.storage.keys("instances/")):
        if f"/{samples.sop_uid('lost', 1, 2)}-" in key:
            services.storage.delete(key)
    return place("lost")


def place(label: str) -> dict[str, str]:
    return {
        "study": samples.study_uid(label),
        "series": samples.series_uid(label),
        "instance": samples.sop_uid(label),
        "frame_list": "1",
        "path": "7FE00010",
    }


def url_of(resource: Resource, values: dict[str, str]) -> str:
    template = URI if resource.path == "/wado" else resource.path
    return template.format(**values)


def alone(resource: Resource) -> str:
    """A media type of which there are ranges; a zip is made as it goes out, and has none."""
    made = ("multipart/", "application/zip")
    return next((each for each in resource.media_types if not each.startswith(made)), "*/*")


def ask(client, resource: Resource, image: dict[str, str], probe: Probe) -> httpx2.Response:
    url = url_of(resource, image | probe.path)
    if probe.query:
        url += ("&" if "?" in url else "?") + probe.query
    headers = {"Accept": alone(resource) if "Range" in probe.headers else "*/*", **probe.headers}
    if probe.known:
        headers["If-None-Match"] = client.get(url, headers=headers).headers["etag"]
    return client.get(url, headers=headers)


@pytest.mark.parametrize("resource", READ, ids=str)
def test_each_status_that_is_stated_and_no_other_is_answered(
    client, limited, image, lost, resource
):
    answered = {}
    for name, probe in PROBES.items():
        answered[name] = ask(client, resource, image, probe)
    if resource.path.endswith("/rendered"):
        parts = Probe(headers={"Accept": "multipart/related; type=image/png"})
        with limited() as strict:
            answered["in parts"] = ask(strict, resource, image, parts)

    answered["a file is gone"] = ask(client, resource, lost, Probe())
    found = {name: answer.status_code for name, answer in answered.items()}
    assert set(found.values()) == resource.statuses, found
    for answer in answered.values():
        if answer.status_code >= 400:
            wire.assert_error(answer, answer.status_code)


@pytest.mark.parametrize("resource", READ, ids=str)
def test_each_media_type_that_is_stated_is_answered(client, image, resource):
    assert resource.media_types
    for media_type in resource.media_types:
        answer = ask(client, resource, image, Probe(headers={"Accept": media_type}))
        assert answer.status_code == 200, (media_type, answer.text)
        assert_is(answer, media_type)


def assert_is(answer: httpx2.Response, media_type: str) -> None:
    """The answer is of this type: a word, or multipart of a type."""
    name, _, inner = media_type.partition("; type=")
    content_type = answer.headers["content-type"]
    assert content_type.partition(";")[0] == name
    if inner:
        assert f"type={inner}" in content_type
        found = wire.parts(answer)
        assert found
        for headers, _ in found:
            assert headers["Content-Type"].partition(";")[0] == inner.strip('"')


SHOWN = {
    "image": lambda: samples.ct("of one frame"),
    "waveform": lambda: nonimage.waveform("ecg", samples.ramp(2, 100)[0].astype("int16").T),
    "structured report": lambda: nonimage.report("report"),
    "encapsulated document": lambda: samples.pdf("document"),
    "video": lambda: nonimage.video("video", b"\0\0\0\x18ftypmp42" + b"\0" * 50),
    "presentation state": lambda: softcopy.state("of one frame", [softcopy.area(16, 16)]),
    "anything else": lambda: samples.encode(samples.dataset("else", Modality="PR")),
}
LABELS = {
    "image": "of one frame", "waveform": "ecg", "structured report": "report",
    "encapsulated document": "document", "video": "video", "anything else": "else",
}  # fmt: skip
PLACES = {kind: samples.path(label) for kind, label in LABELS.items()}
PLACES["presentation state"] = softcopy.path("of one frame")
KINDS = rows("3.4", "Instance", "Media types")


def test_every_kind_of_instance_is_shown_as_stated(client):
    stated = {row["Instance"].partition(",")[0]: row["Media types"] for row in KINDS}
    assert stated.keys() == SHOWN.keys()
    pictures = codes(stated["image"])
    for kind, cell in stated.items():
        wire.must_store(client, SHOWN[kind]())
        path = wire.DICOMWEB + PLACES[kind]
        media_types = pictures if cell.startswith("the same") else codes(cell)
        answered = set()
        for media_type in [*media_types, "image/png", "text/html"]:
            answer = client.get(f"{path}/rendered", headers={"Accept": media_type})
            assert answer.status_code in (200, 406)
            if answer.status_code == 200:
                answered.add(answer.headers["content-type"].partition(";")[0])
        # One document and one video stand for those of each type.
        assert answered <= set(media_types)
        assert len(answered) == (
            1 if kind in ("encapsulated document", "video") else len(media_types)
        )
        assert client.get(f"{path}/thumbnail").headers["content-type"] == "image/jpeg"


def body_of(*parts: bytes) -> dict:
    content, headers = wire.multipart(*parts, boundary=BOUNDARY)
    return {"content": content, "headers": headers}


def store_requests() -> dict[str, dict]:
    """What provokes each status of a store."""
    new, good = samples.ct("stated", instance=2), samples.ct("stated")
    minimal = body_of(good)
    minimal["headers"] = minimal["headers"] | {"Prefer": "return=minimal"}
    return {
        "all": body_of(new),
        "some": body_of(good, b"no DICOM"),
        "no answer": minimal,
        "no parts": {"content": b"x", "headers": {"Content-Type": STORE}},
        "unacceptable": {**body_of(good), "headers": {"Content-Type": STORE, "Accept": "text/x"}},
        "none": body_of(b"no DICOM"),
        "large": body_of(b"x" * MAXIMUM_BODY),
        "no DICOM": {"content": b"x", "headers": {"Content-Type": "text/plain"}},
    }


@pytest.mark.parametrize("resource", STORES, ids=str)
def test_each_status_of_a_store_can_be_provoked(client, image, resource):
    url = url_of(resource, image)
    found = {
        name: client.post(url, **request).status_code for name, request in store_requests().items()
    }
    request = client.build_request("POST", url, headers={"Content-Type": STORE})
    del request.headers["content-length"]
    found["no length"] = client.send(request).status_code

    assert set(found.values()) == resource.statuses, found


@pytest.mark.parametrize("resource", STORES, ids=str)
def test_each_media_type_of_a_store_s_answer_is_answered(client, image, resource):
    for media_type in resource.media_types:
        request = body_of(samples.ct("stated"))
        request["headers"] = request["headers"] | {"Accept": media_type}
        answer = client.post(url_of(resource, image), **request)
        assert answer.status_code == 200
        assert_is(answer, media_type)


@pytest.mark.parametrize("resource", DELETES, ids=str)
def test_each_status_of_a_delete_can_be_provoked(client, resource):
    wire.must_store(client, samples.ct("deleted"))
    values = place("deleted")
    found = {
        client.delete(url_of(resource, each)).status_code
        for each in (values, values, values | {"study": "x" * 200})
    }

    assert found == resource.statuses


@pytest.mark.parametrize("resource", [*READ, *STORES, *DELETES], ids=str)
def test_nobody_gets_in_without_the_right_and_no_other_method_is_there(
    closed_client, client, image, resource
):
    url = url_of(resource, image)
    wire.assert_error(closed_client.request(resource.method, url), 401)
    other = "write" if resource.method == "GET" else "read"
    bearer = {"Authorization": f"Bearer {other}"}
    wire.assert_error(closed_client.request(resource.method, url, headers=bearer), 403)
    wire.assert_error(client.patch(url), 405)


@pytest.fixture(scope="module")
def closed_client(backend, services) -> Iterator[httpx2.Client]:
    """HTTP to an application that has a token for each of the rights."""
    tokens = tuple(Token(right, frozenset({right})) for right in RIGHTS)
    settings = replace(services.settings, tokens=tokens)
    with backend.client(replace(services, settings=settings)) as session:
        yield session
