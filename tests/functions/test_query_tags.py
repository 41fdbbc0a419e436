"""What the functions do for query tags: by hand, by a deployment, and with what is stored."""

import dataclasses

import pytest

from lenticular.dicom.model import Level
from lenticular.index import Index
from lenticular.limits import Limits
from lenticular.services import Services, open_services
from lenticular.settings import QueryTagSetting, Settings
from lenticular.transactions.search import parse_query
from lenticular.transactions.upkeep import sweep_and_reindex
from tests.helpers import samples
from tests.helpers.aws.api_gateway import Context
from tests.helpers.aws.cloudformation import cloudformation, deployment
from tests.helpers.aws.events import KEY, call, of_bucket, put

__all__ = ["cloudformation"]

TAGS = (QueryTagSetting("DeviceUID", "series"), QueryTagSetting("ImageComments", "instance"))


@pytest.fixture
def settings(bucket, mariadb_url):
    """A bucket and an index of its own, on a server that others may write to."""
    return Settings(storage=f"s3://{bucket}", index=mariadb_url)


@pytest.fixture
def before(settings):
    """The services as they were configured before."""
    services = open_services(settings)
    put(services, *(samples.ct(n, DeviceUID="1.2.3") for n in (1, 2, 3)))
    yield services
    services.close()


@pytest.fixture
def maintenance(import_function, before, monkeypatch):
    """The function with query tags, among what was stored before it."""
    module = import_function("maintenance.handler")
    services = open_services(dataclasses.replace(before.settings, query_tags=TAGS))
    monkeypatch.setattr(module, "services", services)
    yield module
    services.close()


def found(index: Index) -> int:
    query, _ = parse_query(Level.SERIES, None, [("DeviceUID", "1.2.3")], index.query_tags)
    return len(index.searcher.search(query).matches)


def statuses(module) -> list[str]:
    return [each.status.value for each in module.services.index.query_tag_registry.registered()]


def test_an_hour_after_a_change_the_second_look_ends_it(maintenance, before, monkeypatch):
    index = maintenance.services.index
    done = maintenance.handler({"action": "index"}, Context())
    assert done == {"studies": 3, "complete": False}
    assert (found(index), statuses(maintenance)) == (3, ["Adding"] * 2)

    put(before, samples.ct("by the configuration before", DeviceUID="1.2.3"))
    assert maintenance.handler({"action": "index"}, Context())["studies"] == 0
    assert found(index) == 3

    later = open_services(maintenance.services.settings, Limits(backfill_grace=1))
    monkeypatch.setattr(maintenance, "services", later)
    assert maintenance.handler({"action": "index"}, Context())["complete"]
    assert (found(index), statuses(maintenance)) == (4, ["Ready"] * 2)
    later.close()


def test_a_deployment_notes_what_is_configured_and_begins(maintenance, cloudformation):
    maintenance.handler(deployment(cloudformation, "Update"), Context())

    assert cloudformation.received[0][0]["Status"] == "SUCCESS"
    assert statuses(maintenance) == ["Adding"] * 2
    assert found(maintenance.services.index) == 3


def test_what_is_stored_moves_it_on(maintenance):
    maintenance.services.index.query_tag_registry.register()
    assert found(maintenance.services.index) == 0

    assert call(maintenance, of_bucket(maintenance, KEY)) == []

    assert found(maintenance.services.index) == 3


def test_when_there_is_no_time_it_is_left_for_the_next_call(maintenance):
    hasty = maintenance.handler({"action": "index"}, Context(milliseconds=1000))
    assert hasty == {"studies": 0, "complete": False}
    assert maintenance.handler({"action": "index"}, Context())["studies"] == 3


def test_an_index_that_is_rebuilt_from_the_files_has_the_values(maintenance, mariadb, tmp_path):
    services = maintenance.services
    index = Index(
        f"sqlite:///{tmp_path / 'other.sqlite'}", query_tags=[("DeviceUID", "series", "", "")]
    )
    index.migrate()
    empty = Services(services.settings, services.storage, index)

    assert sweep_and_reindex.reindex(empty).filed == 3

    assert found(index) == 3
    assert sweep_and_reindex.sweep(empty, older_than_seconds=-1).removed == 0
    index.close()
