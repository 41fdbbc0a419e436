"""Empty segments and trailing slashes in paths: answered as without them, and not by a redirect."""

import pytest

from tests.helpers import samples, wire

STUDY = f"{wire.DICOMWEB}/studies/{samples.study_uid('paths')}"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("//patients", "/patients"),
        ("/patients/", "/patients"),
        ("/instances//", "/instances"),
        ("//system/", "/system"),
        ("/dicom-web//studies", "/dicom-web/studies"),
        ("/dicom-web/studies/", "/dicom-web/studies"),
        (f"{STUDY}/metadata/", f"{STUDY}/metadata"),
        (STUDY.replace("/studies/", "//studies//"), STUDY),
    ],
)
def test_a_path_is_answered_directly_however_many_slashes_it_has(client, written, plain):
    wire.must_store(client, samples.ct("paths"))
    answer = client.get(str(client.base_url).rstrip("/") + written, follow_redirects=False)
    expected = client.get(plain)
    assert answer.status_code == expected.status_code == 200
    if "multipart" not in expected.headers["content-type"]:
        assert answer.content == expected.content


def test_a_post_keeps_its_body_behind_a_slash(client):
    content = samples.ct("slash")
    stored = client.post("/instances/", content=content, follow_redirects=False)
    assert stored.json()["Status"] == "Success"
    body, headers = wire.multipart(samples.ct("slashes"))
    url = f"{wire.DICOMWEB}/studies/"
    answer = client.post(url, content=body, headers=headers, follow_redirects=False)
    assert answer.status_code == 200


def test_a_path_that_names_nothing_is_404_with_a_slash_too(client):
    assert client.get("/nothing/", follow_redirects=False).status_code == 404
