"""What is too large for Lambda and API Gateway goes by way of the bucket, both ways."""

import pytest
import requests

from tests import samples
from tests.stack.asking import AS_STORED, eventually, store

ROWS = 1600
"""Of a picture of 5 MB: more than an answer of Lambda may hold, less than a part of an upload."""


@pytest.fixture
def large(study) -> bytes:
    content = samples.ct(study, size=ROWS)
    assert len(content) > 5_000_000
    return content


def uploaded(stack, *files: tuple[str, bytes]) -> dict:
    """What became of files that were put to presigned URLs."""
    wanted = {"files": [{"name": name, "size": len(content)} for name, content in files]}
    answer = stack.request("POST", "/uploads", json=wanted)
    assert answer.status_code == 201, answer.text
    for file, (_, content) in zip(answer.json()["files"], files, strict=True):
        requests.put(file["url"], content, timeout=90).raise_for_status()
    place = answer.headers["Location"]
    eventually(lambda: stack.http.get(place, timeout=90).json()["status"] == "done")
    return stack.http.get(place, timeout=90).json()


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
