"""The change feed of instances in Azure's shape: what its clients ask, and what they are told."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from lenticular.dicom.model import Target
from tests.helpers import samples, wire

FEED = f"{wire.DICOMWEB}/changefeed"
FIELDS = {
    *("Sequence", "StudyInstanceUid", "SeriesInstanceUid", "SopInstanceUid"),
    *("Action", "Timestamp", "State"),
}


def read(client, **parameters: Any) -> list[dict[str, Any]]:
    answer = client.get(FEED, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def happened(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(entry["Action"], entry["State"]) for entry in entries]


def test_a_new_instance_is_told_with_its_metadata(client):
    before = datetime.now(UTC)
    wire.must_store(client, samples.ct("a"))

    answer = client.get(FEED)
    assert answer.headers["content-type"] == "application/json"
    (entry,) = answer.json()
    assert set(entry) == FIELDS | {"Metadata"}
    assert entry["StudyInstanceUid"] == samples.study_uid("a")
    assert entry["SeriesInstanceUid"] == samples.series_uid("a")
    assert entry["SopInstanceUid"] == samples.sop_uid("a")
    assert (entry["Action"], entry["State"]) == ("create", "current")
    told = datetime.fromisoformat(entry["Timestamp"])
    assert abs((told - before).total_seconds()) < 60
    (metadata,) = client.get(wire.DICOMWEB + samples.path("a") + "/metadata").json()
    assert entry["Metadata"] == metadata
    assert client.get(f"{FEED}/latest").json() == entry


def test_a_deleted_instance_is_told_by_its_uids(client):
    wire.must_store(client, samples.ct("a"), samples.ct("b"))
    client.delete(f"{wire.DICOMWEB}/studies/{samples.study_uid('a')}")

    entries = read(client)
    assert happened(entries) == [
        ("create", "deleted"),
        ("create", "current"),
        ("delete", "deleted"),
    ]
    for entry in (entries[0], entries[2]):
        assert "Metadata" not in entry
        assert entry["SopInstanceUid"] == samples.sop_uid("a")
    latest = client.get(f"{FEED}/latest", params={"includemetadata": "false"}).json()
    assert latest == entries[2]


@pytest.mark.not_on_stack("a stack has settings of its own")
def test_a_replaced_instance_is_updated(services, connect):
    from dataclasses import replace

    client = connect(replace(services, settings=replace(services.settings, replace=True)))
    wire.must_store(client, samples.ct("a"))
    wire.must_store(client, samples.ct("a", PatientComments="another"))

    entries = read(client, includeMetadata="true")
    assert happened(entries) == [("create", "replaced"), ("update", "current")]
    assert all(wire.value(each["Metadata"], "00104000") == "another" for each in entries)


def test_clients_follow_by_offset_or_by_time(client):
    wire.must_store(client, *samples.ct_series("a", 5))
    time.sleep(0.005)
    middle = datetime.now(UTC)
    time.sleep(0.005)
    wire.must_store(client, *samples.ct_series("b", 3))

    every = read(client, includemetadata="false")
    assert [set(entry) for entry in every] == [FIELDS] * 8
    assert read(client, offset=5, limit=2, includemetadata="FALSE") == every[5:7]
    assert read(client, offset=8) == []
    for moment in (middle.isoformat(), middle.strftime("%Y-%m-%dT%H:%M:%S.%f0Z")):
        after = read(client, startTime=moment, includemetadata="false")
        assert after == every[5:]
        assert read(client, endtime=moment, includemetadata="false") == every[:5]
    last = {"startTime": "0001-01-01T00:00:00Z", "endTime": "9999-12-31T23:59:59.9999999Z"}
    assert read(client, **last, includemetadata="false") == every


def test_an_empty_feed_has_no_latest_entry(client):
    assert read(client) == []
    answer = client.get(f"{FEED}/latest")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=201", "limit=x", "offset=-1", "offset=1.5", "includemetadata=maybe"),
        *("startTime=yesterday", "endTime=2026-13-01", "startTime=2026-01-02&endTime=2026-01-01"),
        "offset=" + "9" * 30,
    ],
)
def test_what_makes_no_sense_is_refused(client, query):
    wire.assert_error(client.get(f"{FEED}?{query}"), 400)


def test_what_is_known_already_is_not_sent_again(client):
    wire.must_store(client, samples.ct("a"))
    for url in (FEED, f"{FEED}/latest"):
        known = {"If-None-Match": client.get(url).headers["etag"]}
        assert client.get(url, headers=known).status_code == 304
    wire.must_store(client, samples.ct("b"))
    assert client.get(FEED, headers=known).status_code == 200
    wire.assert_error(client.get(FEED, headers={"Accept": "text/html"}), 406)


def test_what_was_deleted_is_gone_until_it_is_stored_again(client):
    first, second = samples.ct("a"), samples.ct("a", instance=2)
    wire.must_store(client, first, second)
    instance = samples.path("a")
    series = instance.rpartition("/instances/")[0]
    study = series.rpartition("/series/")[0]

    assert client.delete(wire.DICOMWEB + instance).status_code == 204
    for view in ("", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata"):
        wire.assert_error(client.get(wire.DICOMWEB + instance + view), 410)
    assert client.get(wire.DICOMWEB + series).status_code == 200
    wire.assert_error(client.get(f"{wire.DICOMWEB}{series}/instances/1.2.3"), 404)

    assert client.delete(wire.DICOMWEB + study).status_code == 204
    for path in (study, series, instance):
        wire.assert_error(client.get(wire.DICOMWEB + path), 410)
    wire.assert_error(client.get(f"{wire.DICOMWEB}/studies/1.2.3"), 404)
    names = dict(
        zip(("studyUID", "seriesUID", "objectUID"), instance.split("/")[2::2], strict=True)
    )
    wire.assert_error(client.get("/wado", params={"requestType": "WADO", **names}), 410)

    wire.must_store(client, first)
    assert client.get(wire.DICOMWEB + instance).status_code == 200


def test_a_deletion_is_remembered_for_a_number_of_changes(client, services):
    wire.must_store(client, samples.ct("a"))
    assert client.delete(wire.DICOMWEB + samples.path("a")).status_code == 204
    wire.must_store(client, samples.ct("b"))
    target = Target(samples.study_uid("a"))

    assert services.index.instance_changes.has_deleted(target)
    assert not services.index.instance_changes.has_deleted(target, remembered=1)
