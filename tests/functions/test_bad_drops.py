"""What goes wrong on its way through the drop folder: nothing is lost, and the reason is told."""

import json
from dataclasses import replace

import pytest

from lenticular.index import Index
from lenticular.transactions.ingest.drop_bucket import take_lost
from tests.helpers import samples
from tests.helpers.aws.events import drop, found, keys, run, s3_event, sqs_event, tell

__all__ = ["drop", "tell"]

NAME = "Confidential^Carla"


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


TRUNCATED = {
    "in the preamble": samples.ct("cut")[:100],
    "in a header": cut(samples.ct("cut"), 0.5),
    "in the pixels": cut(samples.ct("cut", size=64), 0.9),
    "in a fragment": cut(samples.jpeg("cut"), 0.9),
    "in a zip": cut(samples.zipped({"a.dcm": samples.ct("cut")}), 0.6),
    "to nothing": b"",
}


@pytest.mark.parametrize("where", TRUNCATED)
def test_an_upload_that_is_cut_short_is_rejected_as_it_came(ingest, storage, drop, tell, where):
    name = f"cut {where}.dcm"

    assert tell(drop(f"incoming/{name}", TRUNCATED[where])) == []

    assert found(ingest, "cut") == 0
    assert storage.read(f"rejected/{name}") == TRUNCATED[where]
    (refusal,) = json.loads(storage.read(f"rejected/{name}.json"))["refused"]
    assert refusal["detail"].endswith(".")
    assert keys(storage, f"incoming/{name}") == []


@pytest.mark.parametrize(
    "key",
    [
        "incoming/%20%2B%2F%00",
        "incoming/100%",
        "incoming/a+b c%20d+",
        "incoming/ in front and behind ",
        "incoming/quotes\"'&<>;=?#[]{}|\\^~`",
        "incoming/tab\tand such",
        "incoming/\U0001fa7b/e\u0301.dcm",
        "incoming/" + "é" * 507,
        "incoming/./..//.dcm",
    ],
)
def test_keys_that_are_written_in_any_way_are_found(ingest, storage, drop, tell, key):
    assert tell(drop(key, samples.ct(key))) == []
    assert found(ingest, key) == 1
    assert keys(storage, key) == []


@pytest.mark.parametrize(
    "body",
    [
        {"Records": "many"},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": None}]},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}}}]},
        {"Records": [{"eventName": 7}]},
        {"Type": "Notification", "Message": "no JSON"},
        {"Type": "Notification"},
        {"detail": {"bucket": "b"}},
        "[" * 100_000,
    ],
    ids=["no list", "no object", "no key", "no name", "no JSON", "no message", "bus", "deep"],
)
def test_an_event_of_another_shape_is_left_to_the_dead_letters(ingest, body, caplog):
    assert run(ingest, body) == ["message-0"]
    assert "The message is not an event of S3" in caplog.text


def test_an_event_of_another_kind_is_done_with(ingest, storage):
    event = s3_event(storage.bucket, "incoming/x")
    event["Records"][0]["eventName"] = "ObjectRemoved:Delete"

    assert run(ingest, event) == []


def test_while_the_database_is_down_nothing_is_lost_and_no_name_is_logged(
    ingest, storage, drop, tell, monkeypatch, caplog, capsys
):
    key = drop("incoming/while down", samples.ct("down", PatientName=NAME))
    down = Index("mysql+pymysql://nobody:password@127.0.0.1:1/nothing")
    with monkeypatch.context() as patch:
        patch.setattr("shared.SECONDS_TO_WAKE", 0)
        patch.setattr(ingest, "services", replace(ingest.services, index=down))
        assert tell(key) == ["message-0"]

    log = caplog.text + "".join(capsys.readouterr())
    assert keys(storage, key) == [key]
    assert "a message is left in the queue" in log
    assert "Confidential" not in log
    assert "password" not in log
    assert tell(key) == []
    assert found(ingest, "down") == 1


def test_what_is_refused_is_logged_without_names(ingest, storage, drop, tell, caplog, capsys):
    tell(drop("incoming/first one", samples.ct("named")))

    tell(drop("incoming/second one", samples.ct("named", PatientName=NAME)))

    assert "Confidential" not in caplog.text + "".join(capsys.readouterr())
    assert "Confidential" not in storage.read("rejected/second one.json").decode()


def test_a_message_without_a_body_does_not_hold_up_the_others(ingest, storage, drop):
    event = sqs_event("", s3_event(storage.bucket, drop("incoming/other", samples.ct("other one"))))

    answer = run(ingest, *(record["body"] for record in event["Records"]))

    assert answer == ["message-0"]
    assert found(ingest, "other one") == 1


def rejected(storage, folder: str) -> dict[str, bytes]:
    """What lies in a folder of `rejected/`, without the reports."""
    there = {key: storage.read(key) for key in keys(storage, f"rejected/{folder}/")}
    return {key: content for key, content in there.items() if b'"refused"' not in content}


def test_what_is_refused_twice_under_one_name_is_kept_twice(storage, drop, tell):
    for content in (b"first scan", b"second scan", b"second scan", b"third scan"):
        tell(drop("incoming/twice/scan", content))

    assert sorted(rejected(storage, "twice").values()) == [
        b"first scan",
        b"second scan",
        b"third scan",
    ]
    for key in rejected(storage, "twice"):
        assert json.loads(storage.read(f"{key}.json"))["refused"]


@pytest.mark.parametrize("names", [("scan", "scan.json"), ("scan.json", "scan")])
def test_the_report_of_one_file_never_replaces_another_file(storage, drop, tell, names):
    folder = f"{names[0]} first"
    for name in names:
        tell(drop(f"incoming/{folder}/{name}", f"content of {name}".encode()))

    assert sorted(rejected(storage, folder).values()) == [
        b"content of scan",
        b"content of scan.json",
    ]


def test_a_hiccup_of_the_storage_is_waited_for(ingest, storage, drop, tell, monkeypatch):
    key = drop("incoming/hiccup", samples.ct("hiccup"))
    put, failures = type(storage).put, [TimeoutError("The storage is overloaded.")]

    def put_later(self, key, body):
        if failures:
            raise failures.pop()
        put(self, key, body)

    monkeypatch.setattr("shared.SECONDS_AFTER_HICCUP", 0)
    monkeypatch.setattr(type(storage), "put", put_later)
    assert tell(key) == []
    assert found(ingest, "hiccup") == 1


def test_an_object_that_vanishes_while_it_is_taken_is_no_fault_and_not_named_in_the_log(
    storage, drop, tell, monkeypatch, caplog, capsys
):
    key = drop(f"incoming/{NAME}.dcm", samples.ct("vanishes"))
    fetch = type(storage).fetch

    def fetch_too_late(self, found):
        self.client.delete_object(Bucket=self.bucket, Key=key)
        return fetch(self, found)

    monkeypatch.setattr(type(storage), "fetch", fetch_too_late)
    assert tell(key) == []
    assert "Confidential" not in caplog.text + "".join(capsys.readouterr())


def test_an_object_whose_event_was_lost_is_taken_after_some_hours(ingest, storage, drop):
    drop("incoming/lost", samples.ct("lost"))
    drop("incoming/lost letter", b"no DICOM")
    services = ingest.services

    assert take_lost(services, storage, lambda: False) == 0
    assert take_lost(services, storage, lambda: False, older_than_seconds=-1) >= 2
    assert found(ingest, "lost") == 1
    assert keys(storage, "incoming/lost") == []
