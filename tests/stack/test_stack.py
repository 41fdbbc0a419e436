"""The deployed stack from outside: through API Gateway, the functions, the queue, the bucket."""

import json

import pytest

from tests.helpers import samples
from tests.helpers.aws.deployed_stack import AS_STORED, keys, multipart, store


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


def test_searches_match_by_name_and_go_down_the_levels(stack, study):
    for series in (1, 2):
        body, media_type = multipart(
            samples.ct_series(study, 2, series, PatientName=f"Stack^{study}")
        )
        stack.request("POST", "/dicom-web/studies", data=body, headers={"Content-Type": media_type})
    wanted = {"PatientName": f"stack^{study.upper()}*", "includefield": "00201208"}
    (found,) = stack.request("GET", "/dicom-web/studies", params=wanted).json()
    assert found["00201208"]["Value"] == [4]
    url = f"/dicom-web/studies/{samples.study_uid(study)}"
    assert len(stack.request("GET", f"{url}/series").json()) == 2
    assert len(stack.request("GET", f"{url}/instances", params={"limit": 3}).json()) == 3
    metadata = stack.request("GET", f"{url}/metadata").json()
    assert {item["0020000E"]["Value"][0] for item in metadata} == {
        samples.series_uid(study, series) for series in (1, 2)
    }
    answer = stack.request(
        "GET", url, headers={"Accept": 'multipart/related; type="application/dicom"'}
    )
    assert answer.content.count(b"DICM") == 4


def test_many_parts_in_one_request_are_all_stored(stack, study):
    body, media_type = multipart(samples.ct_series(study, 10))
    answer = stack.request(
        "POST",
        f"/dicom-web/studies/{samples.study_uid(study)}",
        data=body,
        headers={"Content-Type": media_type},
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


def test_a_study_is_deleted_with_its_files(stack, study):
    for content in samples.ct_series(study, 2):
        assert store(stack, content).status_code == 200
    url = f"/dicom-web/studies/{samples.study_uid(study)}"
    before = keys(stack, "instances/")
    assert len([key for key in before if samples.study_uid(study) in key]) == 2

    assert stack.request("DELETE", url).status_code == 204

    assert stack.request("GET", f"{url}/metadata").status_code == 410
    assert not [key for key in keys(stack, "instances/") if samples.study_uid(study) in key]


def test_maintenance_sweeps(stack, study):
    store(stack, samples.ct(study))
    answer = stack.lambda_.invoke(
        FunctionName=stack.maintenance, Payload=json.dumps({"action": "sweep"})
    )
    result = json.loads(answer["Payload"].read())
    assert result["complete"], result
    assert result["removed"] == 0
