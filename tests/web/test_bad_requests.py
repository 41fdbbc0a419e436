"""Malformed paths and parameters are refused in the one shape of all errors, never a 500."""

import pytest

from tests.helpers import samples, wire

STUDIES = f"{wire.DICOMWEB}/studies"
UNKNOWN = "1.2.3.4"

PATHS = [
    "/studies/{uid}",
    "/studies/{uid}/series/1.2.3",
    "/studies/1.2.3/series/{uid}/instances/1.2.3",
    "/studies/1.2.3/series/1.2.3/instances/{uid}",
    "/studies/{uid}/metadata",
    "/studies/1.2.3/series/1.2.3/instances/{uid}/frames/1",
    "/studies/1.2.3/series/1.2.3/instances/{uid}/rendered",
    "/studies/1.2.3/series/1.2.3/instances/{uid}/bulkdata/7FE00010",
    "/studies/{uid}/thumbnail",
]
ODD_UIDS = ["..%2F..%2Fetc%2Fpasswd", "%00", "1.2%0A3", "a" * 3000, "%C3%A9", "'--", "%FF%FE", "*"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("uid", ODD_UIDS)
def test_odd_characters_in_a_path_are_refused(client, path, uid):
    wire.assert_error(client.get(wire.DICOMWEB + path.format(uid=uid)), 400, 404)


@pytest.mark.parametrize("path", PATHS)
def test_what_does_not_exist_answers_404(client, path):
    wire.assert_error(client.get(wire.DICOMWEB + path.format(uid=UNKNOWN)), 404)


@pytest.mark.parametrize(
    "frames", ["0", "-1", "4", "1,4", "abc", "1,", ",", "1.5", "9" * 30, "1 2"]
)
def test_frames_that_do_not_exist_are_refused(client, frames):
    wire.must_store(client, samples.jpeg("a"))

    for suffix in ("", "/rendered", "/thumbnail"):
        path = f"{wire.DICOMWEB}{samples.path('a')}/frames/{frames}{suffix}"
        wire.assert_error(client.get(path), 400, 404)


@pytest.mark.not_on_stack(wire.LONGEST_LINE)
def test_a_frame_list_of_a_hundred_thousand_is_answered_or_refused(client):
    wire.must_store(client, samples.jpeg("a"))
    frames = ",".join(["1"] * 20_000)

    answer = client.get(f"{wire.DICOMWEB}{samples.path('a')}/frames/{frames}")

    assert answer.status_code in (200, 400, 413, 414)


@pytest.mark.parametrize(
    "path",
    [
        "7FE0001",
        "ZZZZZZZZ",
        "00100010",
        "00420011/0/00420011",
        "../../x",
        "%2e%2e/x",
        "7FE00010/0",
        "",
        "x" * 2000,
    ],
)
def test_bulk_data_that_does_not_exist_is_refused(client, path):
    wire.must_store(client, samples.pdf("a"))

    answer = client.get(f"{wire.DICOMWEB}{samples.path('a')}/bulkdata/{path}")

    wire.assert_error(answer, 400, 404)


@pytest.mark.parametrize(
    "query",
    [
        "limit=abc",
        "limit=-1",
        "limit=1.5",
        "offset=-1",
        "offset=x",
        "limit=" + "9" * 30,
        "StudyDate=yesterday",
        "StudyDate=20240101-20230101-20220101",
        "StudyDate=2024",
        "StudyTime=25",
        "StudyInstanceUID=a%2Fb",
        "StudyInstanceUID=..",
        "fuzzymatching=perhaps",
        "includefield=NoSuchKeyword",
    ],
)
def test_malformed_search_values_answer_400_or_are_warned_of(client, query):
    answer = client.get(f"{STUDIES}?{query}")

    if answer.status_code == 200:
        assert "warning" in answer.headers, query
    else:
        wire.assert_error(answer, 400)


def test_a_limit_of_a_billion_is_that_of_the_service(client):
    wire.must_store(client, samples.ct("a"))
    assert len(client.get(STUDIES, params={"limit": 10**9}).json()) == 1


@pytest.mark.parametrize(
    "value",
    ["%", "_", "\\a", "'", '"; drop table studies', "%25", "\0", "[a-z]", "*" * 500, "?" * 500],
)
def test_a_search_value_is_never_more_than_a_value(client, value):
    wire.must_store(client, samples.ct("a"))

    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyDescription"):
        answer = client.get(STUDIES, params={keyword: value})
        assert answer.status_code in (200, 400)
        found = len(answer.json()) if answer.status_code == 200 else 0
        assert found == (1 if value == "*" * 500 else 0), (keyword, answer.text)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_a_path_has_not_answers_405(client, method):
    answer = client.request(method, STUDIES)

    wire.assert_error(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("path", ["/metadata", "/rendered", ""])
@pytest.mark.parametrize(("charset", "status"), [("klingon", 400), ("koi8-r, UTF-8", 200)])
def test_a_character_set_that_is_not_supported_answers_400(client, path, charset, status):
    wire.must_store(client, samples.ct("a"))

    answer = client.get("/dicom-web" + samples.path("a") + path, params={"charset": charset})

    assert answer.status_code == status


def test_an_empty_annotation_answers_400(client):
    wire.must_store(client, samples.ct("a"))

    wire.assert_error(client.get("/dicom-web" + samples.path("a") + "/rendered?annotation="), 400)


def test_an_unknown_path_answers_404(client):
    wire.assert_error(client.get("/dicom-web/nonsense"), 404)


@pytest.mark.parametrize(
    "accept", ["image/bmp", "text/html", "nonsense", "application/pdf", ";;q=x"]
)
def test_an_accept_that_cannot_be_met_answers_406(client, accept):
    wire.must_store(client, samples.ct("a"))

    for path in (
        samples.path("a"),
        samples.path("a") + "/metadata",
        samples.path("a") + "/rendered",
    ):
        answer = client.get(wire.DICOMWEB + path, headers={"Accept": accept})
        wire.assert_error(answer, 400, 406)


@pytest.mark.parametrize(
    "query",
    ["window=1", "window=a,b", "window=1,0,linear", "viewport=0,0", "viewport=a", "quality=0",
     "quality=101", "quality=x", "viewport=1000000,1000000", "window=nan,1,linear",
     "window=40,400,cubic", "viewport=-5,5"],
)  # fmt: skip
def test_malformed_rendering_parameters_answer_400(client, query):
    wire.must_store(client, samples.ct("a"))

    wire.assert_error(client.get(f"{wire.DICOMWEB}{samples.path('a')}/rendered?{query}"), 400)
