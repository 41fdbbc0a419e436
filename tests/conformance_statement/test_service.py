"""What docs/conformance.md says of the service, the change feed and uploads is answered so."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from lenticular.services import open_services
from lenticular.settings import QueryTagSetting, Settings
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.conformance_tables import DELETES, READ, STORES, resources
from tests.helpers.http.bucket_uploads import begin, cloud, put, take_all
from tests.helpers.http.bucket_uploads import client as cloud_client

__all__ = ["cloud", "cloud_client"]

FEED = [each for each in resources() if each.section.startswith("3.8")]
QUERY_TAGS = [each for each in resources() if each.section.startswith("3.10")]
OPEN = [each for each in resources() if each.section.startswith("3.7")]
LARGE = {f"{each.method} {each.path}": each for each in resources() if each.section[:3] == "3.9"}


def test_every_resource_is_asked_somewhere():
    asked = {*READ, *STORES, *DELETES, *FEED, *OPEN, *QUERY_TAGS, *LARGE.values()}

    assert asked == set(resources())


@pytest.mark.parametrize("resource", FEED, ids=str)
def test_each_status_and_media_type_of_the_change_feed_is_answered(client, resource):
    found = {client.get(resource.path).status_code}
    wire.must_store(client, samples.ct("changed"))
    for media_type in resource.media_types:
        answer = client.get(resource.path, headers={"Accept": media_type})
        assert answer.headers["content-type"] == media_type
        known = {"Accept": media_type, "If-None-Match": answer.headers["etag"]}
        found |= {answer.status_code, client.get(resource.path, headers=known).status_code}
    for query, accept in (("?includeMetadata=x", "*/*"), ("", "text/x-nothing")):
        found.add(client.get(resource.path + query, headers={"Accept": accept}).status_code)
    if resource.path.endswith("latest"):
        first = {"Range": "bytes=0-0"}
        found |= {
            client.get(resource.path, headers=headers).status_code
            for headers in (first, {"Range": "bytes=99999999-"})
        }

    assert found == resource.statuses


@pytest.mark.parametrize("resource", QUERY_TAGS, ids=str)
def test_each_status_and_media_type_of_query_tags_is_answered(backend, connect, tmp_path, resource):
    url = resource.path.format(path="DeviceUID")
    with backend.services(
        tmp_path / "tagged", query_tags=(QueryTagSetting("DeviceUID", "series"),)
    ) as its:
        client = connect(its)
        found = set()
        for media_type in resource.media_types:
            answer = client.get(url, headers={"Accept": media_type})
            assert answer.headers["content-type"] == media_type
            known = {"Accept": media_type, "If-None-Match": answer.headers["etag"]}
            found |= {answer.status_code, client.get(url, headers=known).status_code}
        for accept in ("text/x-nothing", "nonsense"):
            found.add(client.get(url, headers={"Accept": accept}).status_code)
        if url != resource.path:
            found.add(client.get(resource.path.format(path="PatientID")).status_code)
            for bytes_wanted in ("bytes=0-0", "bytes=99999999-"):
                found.add(client.get(url, headers={"Range": bytes_wanted}).status_code)

    assert found == resource.statuses


@pytest.mark.not_on_stack("API Gateway answers OPTIONS itself")
@pytest.mark.parametrize("resource", OPEN, ids=str)
def test_the_service_says_what_it_is_as_stated(client, resource):
    found = set()
    for accept in (*resource.media_types, "text/x-nothing"):
        answer = client.request(resource.method, resource.path, headers={"Accept": accept})
        found.add(answer.status_code)
        if answer.status_code == 200 and resource.method == "OPTIONS":
            assert answer.headers["content-type"] == accept

    assert found == resource.statuses


def test_each_status_of_uploads_can_be_provoked(cloud, cloud_client, tmp_path):
    client, content = cloud_client, samples.ct("uploaded")
    upload = begin(client, ("a.dcm", len(content)))
    path, file = f"/uploads/{upload['id']}", f"/uploads/{upload['id']}/files/1"
    other = "/uploads/" + "0" * len(upload["id"])
    waiting = client.post(file)
    put(upload["files"][0]["url"], content)
    taken = client.post(file)
    take_all(cloud)
    many = {"files": [{"name": str(number), "size": 1} for number in range(1001)]}
    found = {
        "POST /uploads": {
            201,
            client.post("/uploads", content=b"x").status_code,
            client.post("/uploads", content=json.dumps(many)).status_code,
        },
        "GET /uploads/{upload_id}": {
            client.get(path).status_code,
            client.get(other).status_code,
            large_upload(client),
        },
        "POST /uploads/{upload_id}/files/{number}": {
            waiting.status_code,
            taken.status_code,
            client.post(f"{other}/files/1").status_code,
        },
    }

    found["POST /uploads"].add(upload_without_bucket(tmp_path / "folder"))
    for name, statuses in found.items():
        assert statuses == LARGE[name].statuses, name
    # How large results are made is tested in tests/functions/test_ladder.py.
    assert LARGE.keys() - found.keys() == {"GET /results/{result_id}"}


def upload_without_bucket(folder: Path) -> int:
    """The status where there is nowhere to put a file."""
    with (
        closing(open_services(Settings(data=folder))) as services,
        TestClient(create_app(services), "http://127.0.0.1:8042") as client,
    ):
        return client.post("/uploads", json={"files": [{"name": "a", "size": 1}]}).status_code


def large_upload(client) -> int:
    """The status of an upload whose state is larger than an answer may be."""
    upload = begin(client, *((f"{number}.dcm", 10) for number in range(100)))
    return client.get(f"/uploads/{upload['id']}", follow_redirects=False).status_code
