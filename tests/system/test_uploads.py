"""Uploads past the payload ceiling: by presigned URLs into the bucket, and what became of them."""

from collections.abc import Iterator

import pytest
import requests

from lenticular.limits import Limits
from tests.helpers import samples
from tests.helpers.bucket_server import SECONDS, begin, cloud_server, finished, look, put
from tests.helpers.server_process import Server

PART = Limits.upload_part_bytes


@pytest.fixture(scope="module")
def cloud(tmp_path_factory, s3_environment) -> Iterator[Server]:
    """A server with a low ceiling."""
    with cloud_server(tmp_path_factory.mktemp("uploads"), s3_environment, 100_000) as running:
        yield running


def test_files_go_into_the_bucket_and_are_stored(cloud):
    series = samples.ct_series("uploaded", 3)
    files = [(f"my study/{number}.dcm", len(data)) for number, data in enumerate(series)]
    upload = begin(cloud, *files)
    assert [file["status"] for file in upload["files"]] == ["waiting"] * 3
    for file, content in zip(upload["files"], series, strict=True):
        put(file["url"], content)

    done = finished(cloud, upload)

    assert [file["status"] for file in done["files"]] == ["stored"] * 3
    assert [file["name"] for file in done["files"]] == [name for name, _ in files]
    for number, file in enumerate(done["files"], 1):
        (instance,) = file["instances"]
        assert instance["instance"] == samples.sop_uid("uploaded", instance=number)
        stored = requests.get(f"{cloud.url}/instances/{instance['orthanc_id']}/file", timeout=9)
        assert stored.content == series[number - 1]


def test_a_large_file_goes_in_parts_and_can_be_resumed(cloud):
    content = samples.ct("parts", size=6000)
    (file,) = (upload := begin(cloud, ("large.dcm", len(content))))["files"]
    assert "url" not in file
    assert [part["size"] for part in file["parts"]] == [PART, len(content) - PART]
    put(file["parts"][0]["url"], content[:PART])
    complete = f"{cloud.url}/uploads/{upload['id']}/files/1"

    refused = requests.post(complete, timeout=SECONDS)

    assert refused.status_code == 409
    assert "2" in refused.text
    (file,) = look(cloud, upload)["files"]
    assert [part["arrived"] for part in file["parts"]] == [True, False]
    assert "url" not in file["parts"][0]
    put(file["parts"][1]["url"], content[PART:])
    for _ in range(2):  # an answer may be lost, and the question come again
        assert requests.post(complete, timeout=SECONDS).status_code == 202
    assert finished(cloud, upload)["files"][0]["status"] == "stored"


def test_of_a_zip_what_was_stored_and_what_was_refused_is_told(cloud):
    content = samples.zipped({"a.dcm": samples.ct("zip"), "b.txt": b"no DICOM"})
    upload = begin(cloud, ("study.zip", len(content)))
    put(upload["files"][0]["url"], content)
    (file,) = finished(cloud, upload)["files"]
    assert file["status"] == "refused"
    assert [each["instance"] for each in file["instances"]] == [samples.sop_uid("zip")]
    assert file["refusals"][0]["reason"]
