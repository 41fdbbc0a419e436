"""The drop folder of the bucket: what is dropped is searchable, what is refused says why."""

import json

import pytest

from lenticular.dicom.model import Target
from tests.helpers import samples
from tests.helpers.aws.events import drop, found, keys, run, s3_event, tell

__all__ = ["drop", "tell"]


@pytest.mark.parametrize(
    "key",
    [
        "incoming/plain.dcm",
        "incoming/a folder/with spaces+plus%20percent",
        "incoming/Ünïcödé/患者/x.dcm",
        "incoming/" + "n" * 1015,
        "incoming/a//b/../c",
    ],
)
def test_a_dropped_object_is_searchable_and_gone_from_the_folder(ingest, storage, drop, tell, key):
    content = samples.ct(key)
    assert tell(drop(key, content)) == []
    (stored,) = ingest.services.index.retrieval.find(Target(samples.study_uid(key)))
    assert storage.read(stored.key) == content
    assert keys(storage, key) == []


def test_a_zip_is_stored_file_by_file(ingest, storage, drop, tell):
    files = {f"{number}.dcm": data for number, data in enumerate(samples.ct_series("zip", 5))}
    assert tell(drop("incoming/study.zip", samples.zipped(files))) == []
    assert found(ingest, "zip") == 5
    assert keys(storage, "incoming/study.zip") == []


def test_what_is_no_dicom_is_moved_to_rejected_with_the_reason(storage, drop, tell):
    assert tell(drop("incoming/letters/note to all.txt", b"no DICOM")) == []
    assert keys(storage, "incoming/letters") == []
    assert storage.read("rejected/letters/note to all.txt") == b"no DICOM"
    report = json.loads(storage.read("rejected/letters/note to all.txt.json"))
    assert report["file"] == "letters/note to all.txt"
    assert report["refused"][0]["detail"]


def test_what_a_zip_holds_besides_dicom_is_told_by_its_name(ingest, storage, drop, tell):
    content = samples.zipped({"good.dcm": samples.ct("mixed"), "notes/bad.txt": b"no DICOM"})
    assert tell(drop("incoming/mixed.zip", content)) == []
    report = json.loads(storage.read("rejected/mixed.zip.json"))
    assert [refusal["file"] for refusal in report["refused"]] == ["notes/bad.txt"]
    assert found(ingest, "mixed") == 1


def test_other_bytes_under_a_known_uid_are_rejected(storage, drop, tell):
    tell(drop("incoming/first", samples.ct("known")))
    tell(drop("incoming/second", samples.ct("known", PatientName="Other")))
    report = json.loads(storage.read("rejected/second.json"))
    assert report["refused"][0]["failure_reason"] == 0x0111


def test_refused_objects_with_improper_keys_get_proper_ones(storage, drop, tell):
    long = "incoming/" + "ü" * 507
    assert tell(drop("incoming/odd//../x", b"no DICOM"), drop(long, b"no DICOM")) == []
    assert storage.read("rejected/odd/_/_../x") == b"no DICOM"
    assert any(key.startswith("rejected/üü") for key in keys(storage, "rejected/"))


def test_an_event_that_comes_twice_or_for_a_gone_object_is_harmless(ingest, drop, tell):
    key = drop("incoming/twice", samples.ct("twice"))
    assert tell(key, key, "incoming/never there") == []
    assert tell(key) == []
    assert found(ingest, "twice") == 1


def test_the_same_file_dropped_again_changes_nothing(ingest, storage, drop, tell):
    for key in ("incoming/one", "incoming/two"):
        assert tell(drop(key, samples.ct("again"))) == []
    assert found(ingest, "again") == 1
    assert keys(storage, "incoming/one") == keys(storage, "incoming/two") == []


def test_folders_as_consoles_draw_them_stay(storage, drop, tell):
    assert tell(drop("incoming/folder/", b"")) == []
    assert keys(storage, "incoming/folder/") == ["incoming/folder/"]


def test_a_message_that_cannot_be_worked_on_does_not_hold_up_the_others(
    ingest, storage, drop, monkeypatch
):
    good = drop("incoming/good", samples.ct("good"))
    bad = drop("incoming/bad", samples.ct("bad"))
    put = type(storage).put

    def refuse_one(self, key, body):
        if samples.study_uid("bad") in key:
            raise PermissionError("The storage does not allow this.")
        put(self, key, body)

    monkeypatch.setattr("shared.SECONDS_TO_WAKE", 0)
    monkeypatch.setattr(type(storage), "put", refuse_one)
    bodies = [s3_event(storage.bucket, bad), "no JSON", s3_event(storage.bucket, good)]
    assert run(ingest, *bodies) == ["message-0", "message-1"]
    assert found(ingest, "good") == 1
    assert keys(storage, "incoming/bad") == ["incoming/bad"]

    monkeypatch.undo()
    assert run(ingest, s3_event(storage.bucket, bad)) == []
    assert found(ingest, "bad") == 1


def test_events_through_sns_and_eventbridge_are_understood(ingest, storage, drop):
    direct = s3_event(storage.bucket, drop("incoming/sns +", samples.ct("sns")))
    topic = {"Type": "Notification", "Message": json.dumps(direct)}
    key = drop("incoming/bus +", samples.ct("bus"))
    bus = {"detail": {"bucket": {"name": storage.bucket}, "object": {"key": key}}}
    assert run(ingest, topic, bus) == []
    assert found(ingest, "sns") == found(ingest, "bus") == 1


@pytest.mark.parametrize(
    "body",
    [{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}, s3_event("other", "x")],
    ids=["test message", "another bucket"],
)
def test_messages_that_tell_of_nothing_of_ours_are_done_with(ingest, body):
    assert run(ingest, body) == []


@pytest.mark.parametrize("body", ["", "[]", "null", '"x"', {"Records": [{}]}, {}])
def test_messages_of_another_shape_come_again_and_end_in_the_dead_letters(ingest, body):
    assert run(ingest, body) == ["message-0"]


def test_an_object_larger_than_allowed_is_rejected_unread(ingest, storage, drop, tell, monkeypatch):
    monkeypatch.setattr(
        ingest,
        "services",
        ingest.services.__class__(
            ingest.services.settings.__class__(maximum_body=100), storage, ingest.services.index
        ),
    )
    assert tell(drop("incoming/large", samples.ct("large"))) == []
    assert "100 are allowed" in storage.read("rejected/large.json").decode()
