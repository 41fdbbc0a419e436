"""Every route there is, asked for what exists, for what does not, and for nonsense."""

import pytest
from fastapi import FastAPI

from lenticular.web.routers import all_routers
from tests import samples, wire

NONSENSE = ["%00", "%FF", "..%2F..", "9" * 4000, "-1", "%C3%A9", "%20", "*", "1.2.3", "null"]
ODD_QUERIES = [
    *("limit=x&since=y", "%FF=%00", "expand=%FF", "accept=%00", "a=" * 300, "=&&;"),
    *("since=-1&limit=0", "since=99999999999999999999&limit=1", "viewport=,,,&window=,,&quality=,"),
]


OF_MANY = ("/instances-tags", "/shared-tags", "/archive")
EMPTY = {
    "/dicom-web/extendedquerytags/{path}",  # no attribute is configured here
    "/uploads/{upload_id}",  # these two are there in a bucket only, once something has begun
    "/results/{result_id}",
}


def templates() -> list[str]:
    """The path template of every route that answers GET."""
    app = FastAPI()
    for router in all_routers():
        app.include_router(router)
    return [path for path, methods in app.openapi()["paths"].items() if "get" in methods]


@pytest.fixture(scope="module")
def client(module_client):
    """One for all of them, since none changes anything."""
    return module_client


@pytest.fixture(scope="module")
def existing(client) -> dict[str, str]:
    """A value for each path parameter that leads to something."""
    wire.must_store(client, samples.multi_frame("a"))
    (instance,), (study,) = client.get("/instances").json(), client.get("/studies").json()
    return {
        "study": samples.study_uid("a"),
        "series": samples.series_uid("a"),
        "frame_list": "1",
        "frame_index": "0",
        "collection": "instances",
        "identifier": instance,
        "study of it": study,
        "instance": samples.sop_uid("a"),
        "relation": "study",
        "kind": "preview",
        "upload_id": "x",
        "result_id": "x",
        "name": "ReceptionDate",
    }


def fill(template: str, values: dict[str, str]) -> str:
    """The template with these values; a path is bulk data of DICOMweb, or content of Orthanc's."""
    if template.endswith(OF_MANY):  # not of instances
        values = dict(values)
        if values["collection"] == "instances":
            values["collection"] = "studies"
        if values["identifier"] not in NONSENSE:
            values["identifier"] = values["study of it"]
    if template == "/wado":
        return (
            "/wado?requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        ).format(**values)
    path = "7FE00010" if wire.DICOMWEB in template else "0010-0010"
    return template.format(path=path, **values)


@pytest.mark.parametrize("template", templates())
def test_head_tells_what_get_would_answer(client, existing, template):
    url = fill(template, existing)

    answer, head = client.get(url), client.head(url)

    assert answer.status_code == (404 if template in EMPTY else 200), answer.text
    assert head.status_code == answer.status_code
    assert head.content == b""
    assert head.headers.get("content-type") == answer.headers.get("content-type") or (
        "multipart" in answer.headers["content-type"]
    )
    if answer.status_code == 200:
        assert wire.length_told(head) in (None, len(answer.content))


@pytest.mark.parametrize("template", [path for path in templates() if "{" in path])
def test_nonsense_in_a_path_is_refused(client, existing, template):
    for nonsense in NONSENSE:
        for parameter in existing:
            if "{" + parameter + "}" in template:
                url = fill(template, existing | {parameter: nonsense})
                answer = client.get(url)
                # A search below a study that is not there is one without a match.
                if answer.status_code != 200 or answer.text != "[]":
                    assert 400 <= answer.status_code < 500, (url, answer.text[:300])
                assert "Traceback" not in answer.text


@pytest.mark.parametrize("template", templates())
def test_nonsense_in_a_query_never_breaks_a_route(client, existing, template):
    for query in ODD_QUERIES:
        answer = client.get(f"{fill(template, existing)}?{query}")
        assert answer.status_code < 500, (query, answer.text[:300])


@pytest.mark.parametrize(
    "method",
    [
        *("PUT", "PATCH"),
        pytest.param("TRACE", marks=pytest.mark.not_on_stack("API Gateway knows no TRACE")),
    ],
)
def test_methods_that_nobody_offers_are_refused(client, existing, method):
    for template in templates():
        answer = client.request(method, fill(template, existing))
        assert answer.status_code in (404, 405), (template, answer.text)


@pytest.mark.parametrize(
    "accept", ["", "nonsense", "*/*;q=0", "a/b;q=x", ",,,", "*/*;q=1;q=2", "\u00ff/*"]
)
def test_an_odd_accept_never_breaks_a_route(client, existing, accept):
    for template in templates():
        answer = client.get(fill(template, existing), headers={"Accept": accept.encode("latin-1")})
        assert answer.status_code < 500, (template, answer.text[:300])


@pytest.mark.parametrize(
    "header",
    ["bytes=0-", "bytes=-1", "bytes=5-1", "bytes=x-y", "bytes=0-0,2-3", "lines=1-2", "bytes=-",
     "bytes=99999999999999999999-", "bytes=0-99999999999999999999", "bytes"],
)  # fmt: skip
def test_an_odd_range_never_breaks_a_route(client, existing, header):
    for template in templates():
        answer = client.get(fill(template, existing), headers={"Range": header})
        assert answer.status_code < 500, (template, answer.text[:300])
        assert answer.status_code != 206 or "content-range" in answer.headers
