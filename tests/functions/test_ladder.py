"""The payload ladder through the functions, whose answers and bodies Lambda limits to 6 MB."""

import asyncio
import json
import re
import time
from contextlib import closing

import pytest
import requests

from lenticular.index.read.retrieval import RetrievalReader
from lenticular.storage.protocol import put_bytes
from lenticular.storage.s3 import S3Storage
from lenticular.transactions import deferred_results
from lenticular.web.responses import payload_limit
from tests.helpers import samples
from tests.helpers.aws.api_gateway import HOST, STAGE, Context
from tests.helpers.aws.events import s3_event, sqs_event

DICOM = "application/dicom; transfer-syntax=*"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
SECONDS = 60


@pytest.fixture
def upload(functions, ingest, storage):
    """Store files as a client does that was sent to POST /uploads."""

    def store(*contents: bytes) -> dict:
        wanted = {"files": [{"name": "x", "size": len(content)} for content in contents]}
        begun = functions.call("upload", "POST", "/uploads", json.dumps(wanted).encode())
        assert begun.status == 201, begun.content
        state = begun.json()
        assert begun.headers["location"] == f"https://{HOST}{STAGE}/uploads/{state['id']}"
        for file, content in zip(state["files"], contents, strict=True):
            requests.put(file["url"], content, timeout=SECONDS).raise_for_status()
        for key in [key for key, _, _ in storage.keys(f"incoming/uploads/{state['id']}/")]:
            done = ingest.handler(sqs_event(s3_event(storage.bucket, key)), Context())
            assert done == {"batchItemFailures": []}
        return functions.call("upload", "GET", f"/uploads/{state['id']}").json()

    return store


@pytest.fixture
def perform(import_function, storage):
    """What the bucket's events start: the jobs that wait."""

    def start() -> list[str]:
        keys = [key for key, _, _ in storage.keys("results/jobs/")]
        assert keys
        # Events come more than once.
        event = sqs_event(*(s3_event(storage.bucket, key) for key in [*keys, *keys]))
        answer = import_function("maintenance.handler").handler(event, Context())
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return start


@pytest.mark.parametrize("url", ["/dicom-web/studies", "/instances"])
def test_a_store_above_the_ceiling_is_refused_naming_the_way(functions, url):
    content = samples.ct("too large", size=1500)
    refused = functions.call("upload", "POST", url, content, content_type="application/dicom")
    assert refused.status == 413
    assert b"POST /uploads" in refused.content


def test_what_is_above_lambdas_limit_goes_in_and_comes_out_by_the_bucket(functions, upload):
    content = samples.ct("ladder", size=2000)
    state = upload(content)
    assert state["status"] == "done"
    (instance,) = state["files"][0]["instances"]
    path = f"/dicom-web{samples.path('ladder')}"
    for function, url, accept in (
        ("dicomweb", path, DICOM),
        ("dicomweb", path, PARTS),
        ("dicomweb", f"{path}/frames/1", "application/octet-stream"),
        ("dicomweb", f"/instances/{instance['orthanc_id']}/file", "*/*"),
        ("preview", f"/instances/{instance['orthanc_id']}/image-uint16", "image/png"),
    ):
        asked = functions.call(function, "GET", url, accept=accept)
        assert asked.status == (200 if "image" in url else 303), url
        if asked.status == 303:
            answer = requests.get(asked.headers["location"], timeout=SECONDS)
            assert answer.status_code == 200
            assert content[-8_000_000:] in answer.content
    whole = functions.call("dicomweb", "HEAD", path, accept=DICOM)
    assert (whole.status, int(whole.headers["content-length"])) == (200, len(content))


def test_json_that_grows_by_its_quotation_marks_stays_below_lambdas_limit(functions, upload):
    # Each of them has two bytes in JSON, and four in the JSON that the function answers with.
    words = '"' * 900_000
    datasets = [samples.dataset("quotes", instance=each, TextValue=words) for each in (1, 2)]
    upload(*map(samples.encode, datasets))
    study = samples.study_uid("quotes")
    asked = functions.call("dicomweb", "GET", f"/dicom-web/studies/{study}/metadata")
    assert asked.status == 303
    answer = requests.get(asked.headers["location"], timeout=SECONDS)
    assert [each["0040A160"]["Value"] for each in answer.json()] == [[words], [words]]


def test_what_takes_too_long_for_one_call_is_made_by_maintenance(functions, upload, perform):
    contents = [samples.ct("put off", instance=number, size=2000) for number in (1, 2, 3)]
    upload(*contents)
    path = f"/dicom-web/studies/{samples.study_uid('put off')}"

    asked = functions.call("dicomweb", "GET", path, accept=PARTS)

    assert asked.status == 202
    assert asked.headers["location"].startswith(f"https://{HOST}{STAGE}/results/")
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    assert functions.call("dicomweb", "GET", place).status == 202
    assert perform() == []
    ready = functions.call("dicomweb", "GET", place)
    assert ready.status == 303
    answer = requests.get(ready.headers["location"], timeout=SECONDS)
    assert answer.headers["content-type"].startswith("multipart/related")
    assert all(content in answer.content for content in contents)
    assert functions.call("dicomweb", "GET", path, accept=PARTS).status == 303


def test_a_job_whose_study_is_gone_meanwhile_tells_so(functions, upload, perform):
    upload(*(samples.ct("gone", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('gone')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    assert functions.call("upload", "DELETE", path).status == 204
    assert perform() == []
    told = functions.call("dicomweb", "GET", place)
    assert told.status == 410
    assert "deleted" in told.json()["detail"]


def test_a_job_that_fails_for_a_while_stays_in_the_queue(functions, upload, perform, monkeypatch):
    upload(*(samples.ct("later", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('later')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    with monkeypatch.context() as patch:
        patch.setattr("shared.SECONDS_TO_WAKE", 0)
        patch.setattr("lenticular.storage.s3.S3Storage.write", _refuse)
        assert "message-0" in perform()
    assert functions.call("dicomweb", "GET", place).status == 202
    assert perform() == []
    assert functions.call("dicomweb", "GET", place).status == 303


def _refuse(*arguments, **named):
    raise PermissionError("The storage does not allow this.")


def test_a_job_waits_for_a_hiccup_of_the_storage(functions, upload, perform, monkeypatch):
    upload(*(samples.ct("hiccup of a job", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('hiccup of a job')}"
    assert functions.call("dicomweb", "GET", path, accept=PARTS).status == 202
    write, failures = S3Storage.write, [TimeoutError("The storage is overloaded.")]

    def write_later(self, *arguments, **named):
        if failures:
            raise failures.pop()
        return write(self, *arguments, **named)

    monkeypatch.setattr("shared.SECONDS_AFTER_HICCUP", 0)
    monkeypatch.setattr(S3Storage, "write", write_later)
    assert perform() == []
    assert functions.call("dicomweb", "GET", path, accept=PARTS).status == 303


def test_an_answer_whose_job_died_is_ordered_again(
    functions, upload, perform, storage, monkeypatch
):
    upload(*(samples.ct("died", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('died')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    (job,) = [key for key, _, _ in storage.keys("results/jobs/")]
    put_bytes(storage, job, b"not ordered again")

    with monkeypatch.context() as patch:
        patch.setattr("lenticular.transactions.deferred_results.GIVEN_UP_SECONDS", -1)
        told = functions.call("dicomweb", "GET", place)
        again = functions.call("dicomweb", "GET", path, accept=PARTS)

    assert (told.status, again.status) == (503, 202)
    assert "ask for it again" in told.json()["detail"]
    assert "retry-after" in told.headers
    assert perform() == []
    assert functions.call("dicomweb", "GET", place).status == 303


def test_a_thousand_announced_files_are_answered_within_the_ceiling(functions, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t" * 1200)
    wanted = {"files": [{"name": "ü" * 512, "size": 1}] * 1000}
    begun = functions.call("upload", "POST", "/uploads", json.dumps(wanted).encode())
    assert begun.status == 201
    assert len(begun.content) < 4 * 1024 * 1024


@pytest.mark.slow
def test_a_put_off_answer_is_filed_under_what_it_was_made_of(functions, upload, perform):
    upload(*(samples.ct("changing", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('changing')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    fourth = samples.ct("changing", instance=4, size=2000)
    upload(fourth)
    assert perform() == []
    ready = functions.call("dicomweb", "GET", place)
    assert ready.status == 303
    answer = requests.get(ready.headers["location"], timeout=SECONDS)
    assert fourth in answer.content

    fourth_path = f"/dicom-web{samples.path('changing', instance=4)}"
    assert functions.call("upload", "DELETE", fourth_path).status == 204
    assert functions.call("dicomweb", "GET", place).status == 404
    assert requests.get(ready.headers["location"], timeout=SECONDS).status_code == 404
    again = functions.call("dicomweb", "GET", path, accept=PARTS)
    assert again.status == 202
    assert perform() == []
    done = functions.call("dicomweb", "GET", path, accept=PARTS)
    assert done.status == 303
    assert fourth not in requests.get(done.headers["location"], timeout=SECONDS).content


def test_nothing_is_deleted_while_what_was_made_of_it_cannot_be_removed(
    functions, upload, monkeypatch
):
    upload(samples.ct("kept", instance=1, size=2000), samples.ct("kept", instance=2, size=100))
    path = f"/dicom-web/studies/{samples.study_uid('kept')}"
    made = functions.call("dicomweb", "GET", path, accept=PARTS)

    with monkeypatch.context() as patch:
        patch.setattr(S3Storage, "put", _refuse)
        refused = functions.call("upload", "DELETE", path)

    assert refused.status == 503
    assert "nothing was deleted" in refused.json()["detail"]
    assert functions.call("dicomweb", "GET", path, accept=PARTS).status == 303
    assert functions.call("upload", "DELETE", path).status == 204
    assert requests.get(made.headers["location"], timeout=SECONDS).status_code == 404


def test_an_answer_of_a_study_goes_with_the_study(functions, upload, storage):
    upload(
        samples.ct("deleted", instance=1, size=2000), samples.ct("deleted", instance=2, size=100)
    )
    path = f"/dicom-web/studies/{samples.study_uid('deleted')}"
    made = functions.call("dicomweb", "GET", path, accept=PARTS)
    assert made.status == 303
    assert requests.get(made.headers["location"], timeout=SECONDS).status_code == 200
    assert functions.call("upload", "DELETE", path).status == 204
    assert requests.get(made.headers["location"], timeout=SECONDS).status_code == 404
    (result,) = re.findall("results/[0-9a-f]{32}/", made.headers["location"])
    assert list(storage.keys(result)) == []


def test_a_job_for_an_archived_file_says_that_it_must_be_restored(
    functions, upload, perform, storage
):
    upload(*(samples.ct("archived", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('archived')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    (key,) = [
        key
        for key, _, _ in storage.keys("instances/")
        if f"/{samples.sop_uid('archived', 1, 2)}-" in key
    ]
    storage.client.copy_object(
        Bucket=storage.bucket,
        Key=key,
        CopySource=f"{storage.bucket}/{key}",
        StorageClass="GLACIER",
    )

    assert perform() == []
    told = functions.call("dicomweb", "GET", place)

    assert told.status == 503
    assert "restored" in told.json()["detail"]


def test_a_search_that_was_put_off_goes_with_what_it_may_have_found(functions, upload, storage):
    upload(samples.ct("found and deleted"))
    result = "0123456789abcdef" * 2
    about = deferred_results.ResultDescription("application/dicom+json")
    deferred_results.write(storage, result, [b"[all that was found]"], about)
    assert functions.call("dicomweb", "GET", f"/results/{result}").status == 303

    path = f"/dicom-web/studies/{samples.study_uid('found and deleted')}"
    assert functions.call("upload", "DELETE", path).status == 204

    assert functions.call("dicomweb", "GET", f"/results/{result}").status == 404


def test_time_counts_from_when_the_request_came(functions, upload, monkeypatch):
    upload(*(samples.ct("late", instance=number, size=700) for number in (1, 2, 3, 4)))
    path = f"/dicom-web/studies/{samples.study_uid('late')}"
    find = RetrievalReader.find

    def find_slowly(self, *arguments):
        time.sleep(0.6)
        return find(self, *arguments)

    monkeypatch.setattr(payload_limit, "SECONDS_IN_ONE_CALL", 0.5)
    monkeypatch.setattr(RetrievalReader, "find", find_slowly)
    assert functions.call("dicomweb", "GET", path, accept=PARTS).status == 202


def test_what_cannot_be_done_in_time_is_given_up_soon(monkeypatch):
    monkeypatch.setattr(deferred_results, "SECONDS_TO_JUDGE", 0.2)
    started = time.monotonic()

    def slow_pieces(count: int):
        for _ in range(count):
            time.sleep(0.02)
            yield b"x"

    deadline = started + 5
    with pytest.raises(deferred_results.DeferToJob):
        list(deferred_results.limited(slow_pieces(1000), 5000, deadline, expected=1000))
    assert time.monotonic() - started < 1
    assert list(deferred_results.limited(slow_pieces(30), 5000, deadline, expected=30))


def test_an_answer_made_while_something_of_its_study_is_deleted_is_made_again(
    functions, upload, perform, monkeypatch
):
    upload(*(samples.ct("racing", instance=number, size=2000) for number in (1, 2, 3)))
    path = f"/dicom-web/studies/{samples.study_uid('racing')}"
    asked = functions.call("dicomweb", "GET", path, accept=PARTS)
    place = asked.headers["location"].removeprefix(f"https://{HOST}{STAGE}")
    write = S3Storage.write

    def delete_meanwhile(self, key, *arguments, **named):
        size = write(self, key, *arguments, **named)
        patch.undo()
        gone = f"/dicom-web{samples.path('racing', instance=3)}"
        with closing(asyncio.new_event_loop()) as loop:  # the thread has none, but a function
            asyncio.set_event_loop(loop)
            assert functions.call("upload", "DELETE", gone).status == 204
        return size

    with monkeypatch.context() as patch:
        patch.setattr(S3Storage, "write", delete_meanwhile)
        assert perform() == []
    ready = functions.call("dicomweb", "GET", place)
    assert ready.status == 303
    answer = requests.get(ready.headers["location"], timeout=SECONDS)
    assert answer.content.count(b"DICM") == 2
