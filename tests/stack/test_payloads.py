"""What is too large for Lambda and API Gateway goes by way of the bucket, both ways."""

import pytest
import requests

from lenticular.client.signed_requests import SignedRequests
from tests.helpers import samples
from tests.helpers.aws.deployed_stack import AS_STORED, ROWS, store, uploaded

"""Of a picture of 5 MB: more than an answer of Lambda may hold, less than a part of an upload."""


@pytest.fixture
def large(study) -> bytes:
    content = samples.ct(study, size=ROWS)
    assert len(content) > 5_000_000
    return content


def test_a_store_that_is_too_large_is_told_the_way(stack, study):
    answer = store(stack, samples.ct(study, size=1460))
    assert answer.status_code == 413
    assert "/uploads" in answer.json()["detail"]


def test_large_files_go_up_by_presigned_urls_and_come_down_by_redirects(stack, study, large):
    done = uploaded(stack, ("a study/large ü.dcm", large), ("notes.txt", b"no DICOM"))
    assert [file["status"] for file in done["files"]] == ["stored", "refused"]
    assert done["files"][1]["refusals"][0]["reason"]

    path = f"/dicom-web{samples.path(study)}"
    answer = stack.request("GET", path, headers=AS_STORED, allow_redirects=False)
    assert answer.status_code == 303
    assert requests.get(answer.headers["Location"], timeout=90).content == large

    series = path.partition("/instances")[0]
    answer = stack.request("GET", series, allow_redirects=False)
    assert answer.status_code == 303
    answer = requests.get(answer.headers["Location"], timeout=90)
    assert answer.headers["Content-Type"].startswith("multipart/related")
    assert large[132:] in answer.content


@pytest.fixture
def temporary_credentials(monkeypatch):
    """Such as a role gives, with a session token: its header follows a redirect, too."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a session token")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


@pytest.mark.usefixtures("temporary_credentials")
def test_signed_requests_follow_redirects_to_the_bucket(stack, study, large):
    uploaded(stack, ("large.dcm", large))
    session = stack.http
    session.auth = SignedRequests(stack.url)
    try:
        answer = stack.request("GET", f"/dicom-web{samples.path(study)}", headers=AS_STORED)
        assert answer.status_code == 200, answer.text
        assert answer.content == large
        assert [each.status_code for each in answer.history] == [303]
        assert "X-Amz-Date" in answer.history[0].request.headers
        assert "X-Amz-Date" not in answer.request.headers
    finally:
        session.auth = None


@pytest.mark.usefixtures("temporary_credentials")
def test_the_storage_refuses_what_follows_with_headers_of_a_signature(stack, study, large):
    """Why redirects have to be followed without them: S3 does, and so does LocalStack here."""
    uploaded(stack, ("large.dcm", large))
    answer = stack.request(
        "GET", f"/dicom-web{samples.path(study)}", headers=AS_STORED, allow_redirects=False
    )
    signed = {"X-Amz-Date": "20260101T000000Z", "X-Amz-Security-Token": "a session token"}

    refused = requests.get(answer.headers["Location"], headers=signed, timeout=90)
    assert refused.status_code in (400, 403), refused.text
