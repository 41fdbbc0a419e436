"""`POST /uploads`: what it refuses, and that nothing a client sends or breaks off gets lost."""

import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from starlette.testclient import TestClient

from lenticular.limits import Limits
from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.transactions import uploads
from lenticular.transactions.ingest.drop_bucket import take
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.http.bucket_uploads import CEILING, SECONDS, begin, client, cloud, put, take_all
from tests.helpers.s3 import s3_client

__all__ = ["client", "cloud"]


def look(client: TestClient, upload: dict) -> dict:
    return client.get(f"/uploads/{upload['id']}").json()


@pytest.mark.parametrize(
    "body",
    [
        *(b"no JSON", b"[]", b"{}", b'{"files": 3}', b'{"files": []}', b'{"files": ["a"]}'),
        *(b'{"files": [{"name": "a"}]}', b'{"files": [{"size": 1}]}', b"\xff\xfe"),
        b'{"files": [{"name": "a", "size": -1}]}',
        b'{"files": [{"name": "a", "size": 1.5}]}',
        b'{"files": [{"name": "a", "size": "1"}]}',
        b'{"files": [{"name": "a", "size": true}]}',
        b'{"files": [{"name": "", "size": 1}]}',
        b'{"files": [{"name": 7, "size": 1}]}',
        b'{"files": [{"name": "\\ud800", "size": 1}]}',
        b'{"files": [{"name": "%s", "size": 1}]}' % (b"n" * 1025),
        b"",
    ],
)
def test_what_announces_no_files_is_400(client, body):
    wire.assert_error(client.post("/uploads", content=body), 400)


@pytest.mark.parametrize(
    "files",
    [
        [{"name": "a", "size": 1}] * 1001,
        [{"name": "a", "size": 5 * 1024**3 + 1}],
        [{"name": "a", "size": 5 * 1024**3}] * 13,
        [{"name": "a", "size": 10**30}],
    ],
    ids=["too many", "too large", "too many parts", "absurd"],
)
def test_more_than_an_upload_takes_is_refused_with_the_limit(cloud, files):
    app = create_app(Services(Settings(storage="s3://b"), cloud.storage, cloud.index))
    with TestClient(app, "http://127.0.0.1:8042", raise_server_exceptions=False) as client:
        answer = client.post("/uploads", json={"files": files})
    wire.assert_error(answer, 400, 413)
    assert answer.status_code == 413 or files[0]["size"] == 10**30


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/absolute", "..", "a\\b\\..", "患者/画像 1.dcm", "n" * 1024, "a\0b\n"],
)
def test_any_name_will_do_and_is_told_as_it_was_given(client, cloud, name):
    content = samples.ct("named")
    upload = begin(client, (name, len(content)))
    put(upload["files"][0]["url"], content)
    ((key, _, _),) = cloud.bucket.keys("incoming/")
    assert key.startswith(f"incoming/uploads/{upload['id']}/1-{len(content)}/")
    assert ".." not in key.split("/")
    assert len(key) < 200
    take_all(cloud)
    (file,) = look(client, upload)["files"]
    assert (file["status"], file["name"]) == ("stored", name)


@pytest.mark.parametrize("upload", ["x", "A" * 22, "..%2Fmanifest", "%00", "é" * 22])
def test_an_upload_that_nobody_began_is_404(client, upload):
    wire.assert_error(client.get(f"/uploads/{upload}"), 404)
    wire.assert_error(client.post(f"/uploads/{upload}/files/1"), 404)


def test_a_file_that_nobody_announced_or_put_cannot_be_completed(client):
    upload = begin(client, ("a", 5))
    wire.assert_error(client.post(f"/uploads/{upload['id']}/files/2"), 404)
    wire.assert_error(client.post(f"/uploads/{upload['id']}/files/x"), 400)
    wire.assert_error(client.post(f"/uploads/{upload['id']}/files/1"), 409)


def test_parts_that_are_missing_or_of_another_size_are_named(client, cloud):
    size = 3 * Limits.upload_part_bytes
    upload = begin(client, ("a", size))
    complete = f"/uploads/{upload['id']}/files/1"
    assert client.post(complete).json()["detail"].endswith("1, 2, 3.")
    put(upload["files"][0]["parts"][1]["url"], bytes(1000))
    assert client.post(complete).json()["detail"].endswith("1, 2, 3.")
    states = [part["arrived"] for part in look(client, upload)["files"][0]["parts"]]
    assert states == [False, False, False]
    assert list(cloud.bucket.keys("incoming/")) == []


def test_an_expired_url_is_replaced_by_asking_again(client):
    upload = begin(client, ("a", 5))
    url = upload["files"][0]["url"]
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == [str(uploads.URL_SECONDS)]
    time.sleep(1.1)  # they are dated to the second
    state = look(client, upload)
    assert state["files"][0]["url"] != url
    assert state["expires"] > upload["expires"]


def test_a_put_that_is_cut_short_is_no_arrival_and_can_be_repeated(client, cloud):
    content = samples.ct("cut")
    upload = begin(client, ("a", len(content)))
    url = urlsplit(upload["files"][0]["url"])
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}"
        connection.sendall(head.encode() + b"\r\n\r\n" + content[:100])
    time.sleep(0.5)
    take_all(cloud)
    (file,) = look(client, upload)["files"]
    # What S3 never keeps, others may: then it is told.
    assert file["status"] == "waiting" or "100 arrived" in file["refusals"][0]["reason"]
    put(upload["files"][0]["url"], content)
    take_all(cloud)
    assert look(client, upload)["files"][0]["status"] == "stored"


def test_a_refused_file_says_why_and_lies_in_rejected(client, cloud):
    upload = begin(client, ("letters/note.txt", 8), ("empty", 0))
    put(upload["files"][0]["url"], b"no DICOM")
    put(upload["files"][1]["url"], b"")
    take_all(cloud)
    state = look(client, upload)
    assert state["status"] == "done"
    for file, name in zip(state["files"], ("note.txt", "empty"), strict=True):
        assert file["status"] == "refused"
        assert file["instances"] == []
        assert file["refusals"][0]["file"] == name
        assert file["refusals"][0]["reason"]
    assert len(list(cloud.bucket.keys("rejected/"))) == 4


def test_other_bytes_under_a_known_uid_are_refused_and_the_same_are_stored(client, cloud):
    first, other = samples.ct("twice"), samples.ct("twice", PatientName="Other")
    upload = begin(client, ("a", len(first)), ("b", len(other)), ("c", len(first)))
    for file, content in zip(upload["files"], (first, other, first), strict=True):
        put(file["url"], content)
    take_all(cloud)
    states = [file["status"] for file in look(client, upload)["files"]]
    assert states == ["stored", "refused", "stored"]


def test_an_event_that_comes_again_does_not_change_what_was_told(client, cloud):
    content = samples.ct("again")
    upload = begin(client, ("a", len(content)))
    put(upload["files"][0]["url"], content)
    ((key, _, _),) = cloud.bucket.keys("incoming/")
    take(cloud, cloud.bucket, key)
    before = look(client, upload)["files"]
    take(cloud, cloud.bucket, key)
    assert look(client, upload)["files"] == before


def test_what_is_dropped_beside_the_uploads_is_stored_all_the_same(client, cloud):
    for key in ("incoming/uploads/x.dcm", "incoming/uploads/a/1-5/b.dcm"):
        cloud.storage.client.put_object(
            Bucket=cloud.storage.bucket, Key=key, Body=samples.ct(key, size=20)
        )
    take_all(cloud)
    assert cloud.index.retrieval.statistics().instances == 2


def test_the_state_of_a_large_upload_goes_past_the_ceiling_too(client):
    upload = begin(client, *((f"{number}", 5) for number in range(100)))
    answer = client.get(f"/uploads/{upload['id']}", follow_redirects=False)
    assert answer.status_code == 303
    state = requests.get(answer.headers["location"], timeout=SECONDS)
    assert len(state.json()["files"]) == 100


def test_files_in_a_folder_need_no_uploads(tmp_path):
    services = open_services(Settings(data=tmp_path, payload_ceiling=10))
    services.index.migrate()
    with TestClient(create_app(services), "http://127.0.0.1:8042") as session:
        files = {"files": [{"name": "a", "size": 1}]}
        for answer in (session.post("/uploads", json=files), session.get("/uploads/x")):
            wire.assert_error(answer, 404)
            assert "POST /instances" in answer.json()["detail"]
        wire.must_store(session, samples.ct("folder"))  # and there is no ceiling
        assert len(session.get("/dicom-web" + samples.path("folder")).content) > 10
    services.close()


def test_a_bucket_that_takes_nothing_is_503_with_a_sentence(client, cloud, s3_environment):
    with_words = samples.encode(samples.dataset("wordy", TextValue="words," * CEILING))
    upload = begin(client, ("a", len(with_words)))
    put(upload["files"][0]["url"], with_words)
    take_all(cloud)
    metadata = f"{wire.DICOMWEB}/studies/{samples.study_uid('wordy')}/metadata"
    assert client.get(metadata, follow_redirects=False).status_code == 303

    s3 = s3_client(s3_environment)
    for item in s3.list_objects_v2(Bucket=cloud.storage.bucket)["Contents"]:
        s3.delete_object(Bucket=cloud.storage.bucket, Key=item["Key"])
    s3.delete_bucket(Bucket=cloud.storage.bucket)

    for answer in (
        client.get(metadata, follow_redirects=False),
        client.get(f"{wire.DICOMWEB}/studies/{samples.study_uid('wordy')}"),
        client.post("/uploads", json={"files": [{"name": "a", "size": 1}]}),
        client.get(f"/uploads/{upload['id']}"),
        client.get(f"/results/{'0' * 32}"),
    ):
        wire.assert_error(answer, 503)
        assert "Retry-After" in answer.headers


def test_a_url_that_is_used_again_does_not_turn_stored_to_refused(client, cloud):
    content = samples.ct("used again")
    upload = begin(client, ("a", len(content)))
    url = upload["files"][0]["url"]
    put(url, content)
    take_all(cloud)
    put(url, samples.ct("used again", PatientName="Other")[: len(content)].ljust(len(content)))
    take_all(cloud)
    (file,) = look(client, upload)["files"]
    assert file["status"] == "stored"
    assert file["instances"]
    assert len(list(cloud.bucket.keys("rejected/"))) == 2


def test_an_upload_whose_parts_have_expired_is_to_be_begun_anew(client, cloud):
    upload = begin(client, ("a", 2 * Limits.upload_part_bytes))
    storage = cloud.storage
    for each in storage.client.list_multipart_uploads(Bucket=storage.bucket)["Uploads"]:
        storage.client.abort_multipart_upload(
            Bucket=storage.bucket, Key=each["Key"], UploadId=each["UploadId"]
        )
    answer = client.post(f"/uploads/{upload['id']}/files/1")
    assert answer.status_code == 409
    assert "upload it anew" in answer.json()["detail"]
