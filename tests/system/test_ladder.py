"""Answers past the payload ceiling: every client gets the bytes that it gets without one."""

import re
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
import requests
from dicomweb_client.api import DICOMwebClient

from tests.helpers import samples, wire
from tests.helpers.bucket_server import SECONDS, cloud_server, eventually, upload
from tests.helpers.server_process import Server

CEILING = 50_000
LARGEST = 2_000_000
DICOM = "application/dicom; transfer-syntax=*"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY = f"/studies/{samples.study_uid('large')}"
INSTANCE = samples.path("large")


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """A series of three instances, each above the ceiling."""
    return [samples.ct("large", instance=number, size=200) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, s3_environment, files) -> Iterator[Server]:
    """A server with a low ceiling, and the series on it."""
    folder = tmp_path_factory.mktemp("ladder")
    settings = {"largest_result": LARGEST, "allowed_origins": "*"}
    with cloud_server(folder, s3_environment, CEILING, **settings) as running:
        upload(running, *files)
        yield running


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, files) -> Iterator[Server]:
    """The same series on a server without a ceiling, for comparison."""
    with Server(tmp_path_factory.mktemp("embedded") / "data") as running:
        store(running, *files)
        yield running


def store(server: Server, *contents: bytes) -> None:
    with server.client() as client:
        wire.must_store(client, *contents)


def get(server: Server, path: str, accept: str = "*/*", **options) -> requests.Response:
    headers = {"Accept": accept, "Accept-Encoding": "identity", **options.pop("headers", {})}
    return requests.get(server.url + path, headers=headers, timeout=SECONDS, **options)


def identifier(server: Server) -> str:
    question = samples.sop_uid("large")
    found = requests.post(f"{server.url}/tools/lookup", question, timeout=SECONDS)
    return found.json()[0]["ID"]


def body_of(answer: requests.Response) -> bytes:
    """Return the body with a fixed boundary and without the address of the server."""
    boundary = answer.headers["Content-Type"].partition("boundary=")[2].strip('"')
    content = re.sub(rb"http://[^/\r\n]+/", b"http://host/", answer.content)
    return content.replace(boundary.encode(), b"BOUNDARY") if boundary else answer.content


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (wire.DICOMWEB + INSTANCE, DICOM),
        (wire.DICOMWEB + INSTANCE, PARTS),
        (wire.DICOMWEB + STUDY, PARTS),
        (wire.DICOMWEB + STUDY, "application/zip"),
        (wire.DICOMWEB + INSTANCE + "/frames/1", "application/octet-stream"),
        (wire.DICOMWEB + INSTANCE + "/frames/1", 'multipart/related; type="*/*"'),
        (wire.DICOMWEB + INSTANCE + "/bulkdata/7FE00010", "application/octet-stream"),
        (wire.DICOMWEB + STUDY + "/bulkdata", 'multipart/related; type="*/*"'),
        (wire.DICOMWEB + STUDY + "/pixeldata", 'multipart/related; type="image/jls"'),
        (wire.DICOMWEB + INSTANCE + "/rendered?viewport=700,700", "image/png"),
        ("/instances/ID/file", "*/*"),
        ("/instances/ID/image-uint16", "image/x-portable-arbitrarymap"),
    ],
)
def test_what_arrives_is_what_the_server_without_a_ceiling_answers(cloud, embedded, path, accept):
    path = path.replace("ID", identifier(cloud))
    there, here = get(cloud, path, accept), get(embedded, path, accept)
    assert [answer.status_code for answer in there.history] == [303]
    assert here.status_code == there.status_code == 200, there.text[:300]
    assert here.history == []
    assert body_of(there).replace(cloud.url.encode(), b"") == body_of(here).replace(
        embedded.url.encode(), b""
    )
    for name in ("Content-Type", "Content-Disposition"):
        expected = here.headers.get(name, "inline").partition("boundary=")[0]
        assert there.headers.get(name, "inline").startswith(expected), name


def test_up_to_the_ceiling_nothing_changes(cloud):
    for path in (wire.DICOMWEB + STUDY + "/metadata", wire.DICOMWEB + "/studies", "/system"):
        answer = get(cloud, path)
        assert (answer.status_code, answer.history) == (200, [])


def test_text_is_packed_below_the_ceiling_and_as_it_is_above(cloud):
    upload(cloud, *samples.ct_series("text", 40))
    url = f"{wire.DICOMWEB}/studies/{samples.study_uid('text')}/metadata"
    asked = {"headers": {"Accept-Encoding": "gzip"}}

    large = get(cloud, url, "application/dicom+json", **asked)
    assert [answer.status_code for answer in large.history] == [303]
    assert "Content-Encoding" not in large.headers
    assert len(large.json()) == 40
    small = get(cloud, url.replace("/metadata", "/series"), "application/dicom+json", **asked)
    assert (small.status_code, small.history) == (200, [])
    of_study = f"{wire.DICOMWEB}/studies/{samples.study_uid('text')}/instances"
    packed = get(cloud, of_study, "application/dicom+json", **asked)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.json()) == 40


def test_dicomweb_client_gets_everything(cloud, files):
    client = DICOMwebClient(f"{cloud.url}{wire.DICOMWEB}")
    study, series = samples.study_uid("large"), samples.series_uid("large")
    uids = [samples.sop_uid("large", instance=number) for number in (1, 2, 3)]

    assert len(client.retrieve_series_metadata(study, series)) == 3
    assert client.retrieve_instance(study, series, uids[0]).Rows == 200
    assert {each.SOPInstanceUID for each in client.retrieve_series(study, series)} == set(uids)
    assert len(client.retrieve_study(study)) == 3
    (frame,) = client.retrieve_instance_frames(study, series, uids[1], [1])
    assert frame in files[1]
    assert client.retrieve_instance_rendered(study, series, uids[0])[:2] == b"\xff\xd8"
    url = f"{cloud.url}{wire.DICOMWEB}{INSTANCE}/bulkdata/7FE00010"
    assert client.retrieve_bulkdata(url)[0] in files[0]


def test_metadata_above_the_ceiling_arrive_whole(cloud):
    words = "words," * CEILING
    content = samples.encode(samples.dataset("wordy", TextValue=words))
    upload(cloud, content)
    study = samples.study_uid("wordy")
    answer = get(cloud, f"{wire.DICOMWEB}/studies/{study}/metadata")
    assert [each.status_code for each in answer.history] == [303]
    assert answer.headers["Content-Type"] == "application/dicom+json"
    assert answer.json()[0]["0040A160"]["Value"] == [words]
    client = DICOMwebClient(f"{cloud.url}{wire.DICOMWEB}")
    assert len(client.retrieve_study_metadata(study)) == 1
    found = requests.post(
        f"{cloud.url}/tools/find",
        json={"Level": "Instance", "Query": {"StudyInstanceUID": study}, "Expand": True},
        timeout=SECONDS,
    )
    assert found.status_code == 200


def test_a_range_is_asked_for_again_where_the_whole_is(cloud, files):
    path = wire.DICOMWEB + INSTANCE
    small = get(cloud, path, DICOM, headers={"Range": "bytes=100-199"})
    assert (small.status_code, small.history) == (206, [])
    large = get(cloud, path, DICOM, headers={"Range": f"bytes=100-{CEILING + 200}"})
    assert [each.status_code for each in large.history] == [303]
    assert large.status_code == 206
    assert large.content == files[0][100 : CEILING + 201]
    assert large.headers["Content-Range"] == f"bytes 100-{CEILING + 200}/{len(files[0])}"


def test_a_large_range_within_a_multipart_is_refused_for_it_would_mean_something_else(cloud):
    path = wire.DICOMWEB + INSTANCE + "/bulkdata/7FE00010"
    accept = 'multipart/related; type="application/octet-stream"'
    answer = get(cloud, path, accept, headers={"Range": f"bytes=0-{CEILING + 200}"})
    assert answer.status_code == 413
    assert "less" in answer.json()["detail"]
    assert get(cloud, path, accept, headers={"Range": "bytes=0-99"}).status_code == 206


def test_head_has_no_ceiling(cloud, files):
    url = cloud.url + wire.DICOMWEB + INSTANCE
    head = requests.head(url, headers={"Accept": DICOM}, timeout=SECONDS, allow_redirects=False)
    assert head.status_code == 200
    assert int(head.headers["Content-Length"]) == len(files[0])


def test_what_is_known_is_not_sent_again(cloud):
    path = wire.DICOMWEB + INSTANCE
    head = requests.head(cloud.url + path, headers={"Accept": DICOM}, timeout=SECONDS)
    answer = get(cloud, path, DICOM, headers={"If-None-Match": head.headers["ETag"]})
    assert (answer.status_code, answer.history) == (304, [])


def test_credentials_do_not_go_to_the_bucket(cloud):
    answer = get(cloud, wire.DICOMWEB + INSTANCE, DICOM, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 200
    assert "Authorization" in answer.history[0].request.headers
    assert "Authorization" not in answer.request.headers
    assert answer.history[0].headers["Cache-Control"] == "no-store"


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect."""

    def redirect_request(self, *arguments):
        return None


def test_a_client_that_would_send_credentials_on_can_follow_by_hand(cloud, files):
    """As docs/decisions/0012-payload-limit.md says."""
    opener = urllib.request.build_opener(_Stay())
    url = cloud.url + wire.DICOMWEB + INSTANCE
    asked = urllib.request.Request(url, headers={"Accept": DICOM, "Authorization": "Bearer x"})
    with pytest.raises(urllib.error.HTTPError) as redirect:
        opener.open(asked)
    with redirect.value, urllib.request.urlopen(redirect.value.headers["Location"]) as answer:
        assert answer.read() == files[0]


def test_an_answer_too_large_for_one_call_is_made_meanwhile(cloud, embedded):
    content = samples.ct("job", size=1100)
    upload(cloud, content)
    store(embedded, content)
    path = f"{wire.DICOMWEB}/studies/{samples.study_uid('job')}"

    asked = get(cloud, path, PARTS)

    assert asked.status_code == 202
    assert int(asked.headers["Retry-After"]) > 0
    place = asked.headers["Location"]
    assert place.startswith(f"{cloud.url}/results/")
    assert get(cloud, path, PARTS).headers.get("Location", place) == place
    eventually(lambda: requests.get(place, timeout=SECONDS).status_code != 202)
    answer = requests.get(place, timeout=SECONDS)
    assert answer.history[0].status_code == 303
    assert body_of(answer) == body_of(get(embedded, path, PARTS))
    again = get(cloud, path, PARTS)
    assert [each.status_code for each in again.history] == [303]
    assert again.content == answer.content


@pytest.mark.parametrize("result", ["x", "0" * 32, "..%2F..%2Fjobs"])
def test_a_result_that_nobody_asked_for_is_404(cloud, result):
    wire.assert_error(get(cloud, f"/results/{result}"), 404)


@pytest.mark.parametrize("path", [f"{wire.DICOMWEB}/studies", "/instances"])
def test_a_store_above_the_ceiling_is_refused_naming_the_way(cloud, files, path):
    answer = requests.post(
        cloud.url + path, files[0], headers={"Content-Type": "application/dicom"}, timeout=SECONDS
    )
    assert answer.status_code == 413
    assert "POST /uploads" in answer.text
