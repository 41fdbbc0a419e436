"""Attributes that are searched for by configuration, as clients ask by them and hear of them."""

import pytest

from lenticular.index.query_tags import registry
from lenticular.limits import Limits
from lenticular.settings import QueryTagSetting
from lenticular.transactions.upkeep.sweep_and_reindex import index_query_tags
from tests.helpers import samples, wire
from tests.helpers.wire import DICOMWEB, must_store, search

TAGS = (
    QueryTagSetting("DeviceUID", "series"),
    QueryTagSetting("AcquisitionDuration", "instance"),
    QueryTagSetting("00191010", "series", "DS", "ACME"),
    QueryTagSetting("ContentSequence.ConceptNameCodeSequence.CodeMeaning", "study"),
)
LIST = f"{DICOMWEB}/extendedquerytags"


@pytest.fixture
def services(backend, tmp_path):
    """Storage and index, empty, with query tags that are ready."""
    at_once = Limits(backfill_grace=0)
    with backend.services(tmp_path / "data", at_once, query_tags=TAGS) as opened:
        opened.index.query_tag_registry.register()
        assert index_query_tags(opened).complete
        yield opened


def device(number: int, duration: float = 1.5) -> bytes:
    """A file of a device, with what only its maker knows the meaning of."""
    dataset = samples.dataset(number, DeviceUID=f"1.2.{number}", AcquisitionDuration=duration)
    dataset.private_block(0x0019, "ACME", create=True).add_new(0x10, "DS", f"{number}.0")
    return samples.encode(dataset)


def found(client, path: str = "/series", **keys: str) -> list[str]:
    matches = search(client, path, **keys)
    return sorted(match["0020000D"]["Value"][0] for match in matches)


def test_keywords_tags_and_private_attributes_are_keys(client):
    must_store(client, device(1), device(2))
    first = [samples.study_uid(1)]
    assert found(client, DeviceUID="1.2.1") == first
    assert found(client, **{"00181002": "1.2.1"}) == first
    assert found(client, **{"0019,1010": "1"}) == first
    assert found(client, "/instances", AcquisitionDuration="1.50", DeviceUID="1.2.1") == first
    assert found(client, "/instances", AcquisitionDuration="2") == []
    path = f"/studies/{samples.study_uid(1)}/series"
    assert found(client, path, DeviceUID="1.2.2") == []
    assert found(client, path, DeviceUID="1.2.1,1.2.2") == first


def test_what_was_asked_for_is_answered_with_its_creator(client):
    must_store(client, device(1))
    for path in ("/series", "/instances"):
        (match,) = search(client, path, **{"00191010": "1.0"})
        assert match["00190010"] == {"vr": "LO", "Value": ["ACME"]}
        assert match["00191010"] == {"vr": "DS", "Value": [1.0]}
        assert list(match) == sorted(match)


def test_a_key_of_a_lower_level_is_ignored_and_said_so(client):
    must_store(client, device(1))
    answer = client.get(f"{DICOMWEB}/studies", params={"DeviceUID": "9"})
    assert len(answer.json()) == 1
    assert "DeviceUID is not supported" in answer.headers["Warning"]


def test_a_value_that_cannot_be_one_of_its_vr_is_refused(client):
    for path, key, value in (
        ("series", "DeviceUID", "x/y"),
        ("series", "00191010", "x"),
        ("instances", "AcquisitionDuration", "NaN"),
    ):
        answer = client.get(f"{DICOMWEB}/{path}", params={key: value})
        wire.assert_error(answer, 400)


def test_orthanc_s_find_takes_them_too(client):
    must_store(client, device(1), device(2))
    question = {"Level": "Series", "Query": {"DeviceUID": "1.2.1"}, "Expand": True}
    (series,) = client.post("/tools/find", json=question).json()
    assert series["MainDicomTags"]["SeriesInstanceUID"] == samples.series_uid(1)
    question = {"Level": "Series", "Query": {"0019-1010": "2"}}
    assert len(client.post("/tools/find", json=question).json()) == 1
    question = {"Level": "Study", "Query": {"ContentSequence.ConceptNameCodeSequence": "x"}}
    assert client.post("/tools/find", json=question).status_code == 400


def test_the_tags_are_listed_in_the_order_of_their_paths(client):
    answer = client.get(LIST)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [
        {**described, "Status": "Ready", "QueryStatus": "Enabled"}
        for described in (
            {"Path": "00181002", "VR": "UI", "Level": "Series"},
            {"Path": "00189073", "VR": "FD", "Level": "Instance"},
            {"Path": "00191010", "VR": "DS", "Level": "Series", "PrivateCreator": "ACME"},
            {"Path": "0040A730.0040A043.00080104", "VR": "LO", "Level": "Study"},
        )
    ]
    assert client.head(LIST).headers["content-length"] == answer.headers["content-length"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("DeviceUID", "00181002"),
        ("00181002", "00181002"),
        ("0019,1010", "00191010"),
        ("ContentSequence.0040A043.codemeaning", "0040A730.0040A043.00080104"),
    ],
)
def test_one_tag_is_told_by_its_path(client, name, path):
    answer = client.get(f"{LIST}/{name}")
    assert answer.status_code == 200
    assert answer.json()["Path"] == path
    again = client.get(f"{LIST}/{name}", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("name", ["PatientName", "StudyDate", "nonsense", "00191011", "a.b.c"])
def test_other_attributes_are_not_there(client, name):
    wire.assert_error(client.get(f"{LIST}/{name}"), 404)


def test_tags_are_configured_and_not_written(client):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, LIST)
        wire.assert_error(answer, 405)
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert client.delete(f"{LIST}/DeviceUID").status_code == 405


def test_what_is_being_added_is_searched_for_with_a_warning(client, services):
    must_store(client, device(1))
    with services.index.database.transaction() as connection:
        registry._note(
            connection, [tag.tag_id for tag in services.index.query_tags], status="Adding"
        )

    assert {tag["Status"] for tag in client.get(LIST).json()} == {"Adding"}
    answer = client.get(f"{DICOMWEB}/series", params={"DeviceUID": "1.2.1"})
    assert len(answer.json()) == 1
    assert "00181002 is being added" in answer.headers["Warning"]
    assert "Warning" not in client.get(f"{DICOMWEB}/series").headers
