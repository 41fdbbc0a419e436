"""Every route there is, asked for what exists, for what does not, and for nonsense."""

import pytest

from tests.helpers import wire
from tests.helpers.http.routes import NONSENSE, existing, fill, is_of_orthanc, templates

__all__ = ["existing"]

ODD_QUERIES = [
    *("limit=x&since=y", "%FF=%00", "expand=%FF", "accept=%00", "a=" * 300, "=&&;"),
    *("since=-1&limit=0", "since=99999999999999999999&limit=1", "viewport=,,,&window=,,&quality=,"),
]


EMPTY = {
    "/dicom-web/extendedquerytags/{path}",  # no attribute is configured here
    "/uploads/{upload_id}",  # these two are there in a bucket only, once something has begun
    "/results/{result_id}",
}


@pytest.fixture(scope="module")
def client(module_client):
    """One for all of them, since none changes anything."""
    return module_client


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


@pytest.mark.parametrize("template", [path for path in templates() if is_of_orthanc(path)])
def test_a_parameter_that_a_route_of_orthanc_does_not_know_is_refused(client, existing, template):
    url = fill(template, existing)
    answer = client.get(url, params={"nonsense": "1"})
    assert answer.status_code == 400, answer.text
    assert "`nonsense` is not a parameter" in answer.text
    assert client.get(url, params={"_": "1700000000"}).status_code == 200


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
