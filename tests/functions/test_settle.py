"""Events of stored objects settle what is quiet; what fails or is not understood comes again."""

import dataclasses
import json
from pathlib import Path

import pytest

from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import store
from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context
from tests.helpers.aws.events import KEY, call, of_bucket, s3_event


@pytest.fixture
def settings(bucket, tmp_path):
    """A bucket and an index of its own, in which everything is stable at once."""
    index = f"sqlite:///{tmp_path / 'index.sqlite'}"
    return Settings(storage=f"s3://{bucket}", index=index, stable_age=-1)


@pytest.fixture
def maintenance(import_function, settings, monkeypatch):
    """The function that works with them."""
    module = import_function("maintenance.handler")
    services = open_services(settings)
    services.index.migrate()
    monkeypatch.setattr(module, "services", services)
    yield module
    services.close()


def put(module, study: str, **attributes) -> None:
    with Spool() as spool:
        spool.write(samples.ct(study, **attributes))
        store(module.services, [spool])


def stable(module) -> list[str]:
    changes = module.services.index.changes.page(0, 1000)
    return [change.kind for change in changes if change.kind.startswith("Stable")]


def test_events_settle_all_that_is_quiet_once(maintenance):
    put(maintenance, "first")
    put(maintenance, "second")
    event = of_bucket(maintenance, KEY)

    assert call(maintenance, event, event) == []
    assert call(maintenance, event) == []

    assert sorted(stable(maintenance)) == sorted(
        ["StableSeries", "StableStudy", "StablePatient"] * 2
    )


def test_an_event_that_comes_too_early_is_harmless(maintenance, settings, monkeypatch):
    put(maintenance, "early")
    patient = open_services(dataclasses.replace(settings, stable_age=60))
    monkeypatch.setattr(maintenance, "services", patient)
    assert call(maintenance, of_bucket(maintenance, KEY)) == []
    assert stable(maintenance) == []
    patient.close()


def test_events_that_tell_of_nothing_of_ours_are_ignored(maintenance):
    put(maintenance, "ignored")
    assert call(maintenance, {"Service": "Amazon S3", "Event": "s3:TestEvent"}) == []
    assert call(maintenance, s3_event("another", KEY)) == []
    assert call(maintenance, of_bucket(maintenance, "elsewhere/x")) == []
    assert stable(maintenance) == []


def test_a_message_that_cannot_be_understood_comes_again_and_harms_no_other(maintenance):
    put(maintenance, "beside")
    bodies = ("no JSON", of_bucket(maintenance, KEY), {"Records": [{"s3": {}}]}, {"other": "shape"})
    assert call(maintenance, *bodies) == ["message-0", "message-2", "message-3"]
    assert len(stable(maintenance)) == 3


def test_when_there_is_no_time_the_messages_come_again(maintenance):
    put(maintenance, "again")
    event = of_bucket(maintenance, KEY)
    assert call(maintenance, event, context=Context(milliseconds=1000)) == ["message-0"]
    assert stable(maintenance) == []
    assert call(maintenance, event) == []
    assert len(stable(maintenance)) == 3


def test_by_hand_everything_is_settled_and_counted(maintenance):
    put(maintenance, "a", PatientID="P")
    put(maintenance, "b", PatientID="P")
    done = maintenance.handler({"action": "settle"}, Context())
    assert done == {"patients": 1, "studies": 2, "series": 2, "complete": True}


def test_the_sample_event_is_understood(import_function):
    event = json.loads(Path("events/maintenance-stored.json").read_text("utf-8"))
    assert import_function("maintenance.handler").handler(event, Context()) == {
        "batchItemFailures": []
    }
