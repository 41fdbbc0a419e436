"""The deployed stack from outside: through API Gateway, the functions, the queue, the bucket."""

import json
import secrets
import time

import pytest

from tests import samples

DICOM = "application/dicom"
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
SECONDS = 60


@pytest.fixture
def study() -> str:
    """A label for a study that no other run has used."""
    return secrets.token_hex(4)


def store(stack, content: bytes):
    return stack.request(
        "POST", "/dicom-web/studies", data=content, headers={"Content-Type": DICOM}
    )


def eventually(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.5)


def test_it_is_well(stack):
    assert stack.request("GET", "/health").json()["status"] == "ok"


def test_what_is_stored_is_found_and_comes_back_byte_for_byte(stack, study):
    content = samples.ct(study)
    answer = store(stack, content)
    assert answer.status_code == 200, answer.text

    url = f"/dicom-web/studies?StudyInstanceUID={samples.study_uid(study)}"
    assert len(stack.request("GET", url).json()) == 1
    path = "/dicom-web" + samples.path(study)
    assert stack.request("GET", path, headers=AS_STORED).content == content
    assert stack.request("GET", f"{path}/metadata").json()[0]["0020000D"]["Value"] == [
        samples.study_uid(study)
    ]


def test_many_parts_in_one_request_are_all_stored(stack, study):
    boundary = "part-" + secrets.token_hex(8)
    parts = b"".join(
        f"--{boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode() + content + b"\r\n"
        for content in samples.ct_series(study, 10)
    )
    answer = stack.request(
        "POST",
        f"/dicom-web/studies/{samples.study_uid(study)}",
        data=parts + f"--{boundary}--\r\n".encode(),
        headers={"Content-Type": f'multipart/related; type="{DICOM}"; boundary={boundary}'},
    )
    assert answer.status_code == 200, answer.text
    url = f"/dicom-web/studies/{samples.study_uid(study)}/instances"
    assert len(stack.request("GET", url).json()) == 10


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_pictures_come_as_pictures(stack, study, media_type):
    store(stack, samples.ct(study))
    path = f"/dicom-web{samples.path(study)}/rendered"
    picture = stack.request("GET", path, headers={"Accept": media_type})
    assert picture.status_code == 200, picture.text
    assert picture.content.startswith(
        {"image/jpeg": b"\xff\xd8", "image/png": b"\x89PNG"}[media_type]
    )


def test_frames_come_as_they_are_stored(stack, study):
    content = samples.multi_frame(study, 3)
    store(stack, content)
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    path = f"/dicom-web{samples.path(study)}/frames/2"
    answer = stack.request("GET", path, headers={"Accept": accept})
    assert answer.status_code == 200
    body = answer.content.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
    assert body
    assert body in content


def test_orthanc_scripts_store_browse_preview_and_delete(stack, study):
    identifier = stack.request("POST", "/instances", data=samples.ct(study)).json()["ID"]
    assert stack.request("GET", f"/instances/{identifier}").json()["ID"] == identifier
    picture = stack.request(
        "GET", f"/instances/{identifier}/preview", headers={"Accept": "image/png"}
    )
    assert picture.content.startswith(b"\x89PNG")
    found = stack.request(
        "POST",
        "/tools/find",
        json={"Level": "Study", "Query": {"StudyInstanceUID": samples.study_uid(study)}},
    )
    assert len(found.json()) == 1
    assert stack.request("DELETE", f"/instances/{identifier}").status_code == 200
    assert stack.request("GET", f"/instances/{identifier}").status_code == 404


def test_a_page_from_elsewhere_may_ask(stack):
    question = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    answer = stack.request("OPTIONS", "/dicom-web/studies", headers=question)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("key", ["plain.dcm", "a folder/ü +%20.dcm"])
def test_a_dropped_file_becomes_searchable(stack, study, key):
    key = f"incoming/{study}/{key}"
    stack.s3.put_object(Bucket=stack.bucket, Key=key, Body=samples.ct(study))
    url = f"/dicom-web/studies?StudyInstanceUID={samples.study_uid(study)}"
    eventually(lambda: len(stack.request("GET", url).json()) == 1)
    eventually(lambda: not keys(stack, f"incoming/{study}/"))


def test_a_dropped_zip_becomes_searchable(stack, study):
    files = {f"{n}.dcm": content for n, content in enumerate(samples.ct_series(study, 3))}
    stack.s3.put_object(
        Bucket=stack.bucket, Key=f"incoming/{study}.zip", Body=samples.zipped(files)
    )
    url = f"/dicom-web/studies/{samples.study_uid(study)}/instances"
    eventually(lambda: len(stack.request("GET", url).json()) == 3)


def test_a_dropped_file_that_is_refused_says_why(stack, study):
    stack.s3.put_object(Bucket=stack.bucket, Key=f"incoming/{study}.txt", Body=b"no DICOM")
    eventually(lambda: f"rejected/{study}.txt" in keys(stack, "rejected/"))
    report = stack.s3.get_object(Bucket=stack.bucket, Key=f"rejected/{study}.txt.json")
    assert json.loads(report["Body"].read())["refused"][0]["detail"]


def test_maintenance_sweeps(stack, study):
    store(stack, samples.ct(study))
    answer = stack.lambda_.invoke(
        FunctionName=stack.maintenance, Payload=json.dumps({"action": "sweep"})
    )
    result = json.loads(answer["Payload"].read())
    assert result["complete"], result
    assert result["removed"] == 0


def keys(stack, prefix: str) -> set[str]:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=stack.bucket, Prefix=prefix)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}
