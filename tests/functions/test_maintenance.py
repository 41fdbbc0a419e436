"""Maintenance: sweep, reindex, and the answers that a deployment waits for."""

import json

import pytest

from lenticular.dicom.model import Target
from lenticular.errors import Conflict
from lenticular.index import Index
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.upkeep import sweep_and_reindex
from lenticular.transactions.upkeep.sweep_in_parts import sweep_next_parts
from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context
from tests.helpers.aws.cloudformation import cloudformation, deployment
from tests.helpers.aws.events import put
from tests.helpers.aws.sam_template import load

__all__ = ["cloudformation"]


@pytest.fixture
def maintenance(import_function):
    return import_function("maintenance.handler")


@pytest.fixture
def empty(services, tmp_path):
    """The same files with an index that knows nothing of them."""
    index = Index(f"sqlite:///{tmp_path / 'other.sqlite'}")
    index.migrate()
    yield Services(services.settings, services.storage, index)
    index.close()


def test_files_that_no_row_names_are_swept_when_they_are_old(services):
    put(services, *samples.ct_series("swept", 3))
    (known, *_) = (key for key, _, _ in services.storage.keys("instances/"))
    orphan = known.replace(".dcm", "-orphan.dcm")
    with Spool() as spool:
        spool.write(b"left by a crash")
        services.storage.put(orphan, spool)

    assert sweep_and_reindex.sweep(services).removed == 0
    assert sweep_and_reindex.sweep(services, older_than_seconds=-1).removed == 1
    assert len(list(services.storage.keys("instances/"))) == 3


def test_a_sweep_goes_on_where_the_last_one_ran_out_of_time(ingest):
    services = ingest.services
    put(services, *(samples.ct(f"part {number}") for number in range(8)))
    total = len(list(services.storage.keys("instances/")))
    looked_at, calls = 0, 0

    while True:
        answers = iter([False] * 40)
        swept = sweep_next_parts(services, services.bucket, lambda: next(answers, True))  # noqa: B023
        looked_at += swept.looked_at
        calls += 1
        if swept.complete:
            break

    assert calls > 5
    assert looked_at >= total  # a part that was cut short is looked at from its start
    assert list(services.storage.keys("upkeep/")) == []


@pytest.mark.parametrize(("milliseconds", "cut_short"), [(900_000, 0), (1_000, 1)])
def test_a_sweep_that_runs_out_of_time_is_counted_for_its_alarm(
    maintenance, capsys, monkeypatch, milliseconds, cut_short
):
    alarm = load()["Resources"]["SweepAlarm"]["Properties"]
    monkeypatch.setattr(Context, "get_remaining_time_in_millis", lambda self: milliseconds)
    capsys.readouterr()

    maintenance.handler({"action": "sweep"}, Context())

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (sent,) = [line for line in lines if alarm["MetricName"] in line]
    assert sent[alarm["MetricName"]] == [cut_short]
    assert sent["_aws"]["CloudWatchMetrics"][0]["Namespace"] == alarm["Namespace"]


def test_an_empty_index_is_no_leave_to_sweep_everything(services, empty):
    put(services, samples.ct("kept"))
    with pytest.raises(Conflict, match="reindex"):
        sweep_and_reindex.sweep(empty, older_than_seconds=-1)
    assert len(list(services.storage.keys("instances/"))) == 1


def test_the_index_is_rebuilt_from_the_files_alone(services, empty):
    put(services, *samples.ct_series("a", 3), *samples.ct_series("b", 2), samples.ct("c"))

    done = sweep_and_reindex.reindex(empty)

    assert (done.filed, done.unreadable, done.complete) == (6, 0, True)
    for label in "abc":
        target = Target(samples.study_uid(label))
        assert list(empty.index.retrieval.documents(target)) == list(
            services.index.retrieval.documents(target)
        )
    assert empty.index.retrieval.statistics() == services.index.retrieval.statistics()
    assert sweep_and_reindex.reindex(empty).filed == 0


def test_reindexing_goes_on_where_it_was_stopped(services, empty):
    put(services, *samples.ct_series("a", 2), *samples.ct_series("b", 2))
    answers = iter([False, True])
    assert not sweep_and_reindex.reindex(empty, should_stop=lambda: next(answers)).complete
    assert empty.index.retrieval.statistics().instances == 2
    assert sweep_and_reindex.reindex(empty).filed == 2


def test_a_file_that_cannot_be_read_does_not_stop_reindexing(services, empty):
    put(services, samples.ct("whole"))
    (key,) = (key for key, _, _ in services.storage.keys("instances/"))
    with Spool() as spool:
        spool.write(b"no DICOM")
        services.storage.put(key.replace("-", "9-", 1), spool)
    done = sweep_and_reindex.reindex(empty)
    assert (done.filed, done.unreadable) == (1, 1)


def test_actions_are_called_by_name(maintenance):
    assert maintenance.handler({"action": "migrate"}, Context()) == {"complete": True}
    assert maintenance.handler({"action": "settle"}, Context())["complete"]
    assert maintenance.handler({"action": "sweep"}, Context())["complete"] in (True, False)
    assert maintenance.handler({"action": "index"}, Context())["complete"]
    with pytest.raises(ValueError, match="action"):
        maintenance.handler({"action": "explode"}, Context())


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_a_deployment_hears_of_success(maintenance, cloudformation, kind):
    maintenance.handler(deployment(cloudformation, kind), Context())
    ((outcome, content_type),) = cloudformation.received
    assert outcome["Status"] == "SUCCESS"
    assert outcome["PhysicalResourceId"] == "Migration"
    assert not content_type


def test_a_deployment_hears_of_failure_too(maintenance, cloudformation, monkeypatch):
    def fail(index) -> None:
        raise OSError("The database is down.")

    monkeypatch.setattr(Index, "migrate", fail)
    maintenance.handler(deployment(cloudformation, "Update"), Context())
    assert cloudformation.received[0][0]["Status"] == "FAILED"
    assert "OSError" in cloudformation.received[0][0]["Reason"]
