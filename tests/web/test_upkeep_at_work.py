"""Sweep and reindex while others store and delete: no row without its file, nothing comes back."""

import hashlib

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from lenticular.dicom.model import Target
from lenticular.dicom.read import part10
from lenticular.index.records import NewInstance
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import delete
from lenticular.transactions.upkeep.check import CheckRequest, check
from lenticular.transactions.upkeep.sweep_and_reindex import reindex, sweep
from tests.helpers import samples, wire
from tests.helpers.databases import empty_tables

pytestmark = pytest.mark.not_on_stack("reaches into the services")

STUDY = Target(samples.study_uid("s"))


@pytest.fixture
def study(client):
    """A study of three instances."""
    wire.must_store(client, *samples.ct_series("s", 3))


def rows_and_files(services) -> tuple[set[str], set[str]]:
    """The keys that the rows of the study name, and those of all files."""
    named = {instance.key for instance in services.index.retrieval.find(STUDY)}
    return named, {key for key, _, _ in services.storage.keys("instances/")}


def test_a_reindex_between_the_rows_and_the_files_of_a_delete_brings_nothing_back(
    services, study, monkeypatch
):
    remove = services.storage.delete

    def remove_after_a_reindex(key: str) -> None:
        reindex(services)
        remove(key)

    monkeypatch.setattr(services.storage, "delete", remove_after_a_reindex)
    delete(services, STUDY)

    assert rows_and_files(services) == (set(), set())


def test_a_reindex_takes_back_the_rows_of_files_that_went_while_it_read_them(
    services, study, monkeypatch
):
    read = services.storage.stream

    def read_and_remove(key: str, *part: int | None):
        pieces = list(read(key, *part))
        services.storage.delete(key)
        return iter(pieces)

    empty_tables(services.index)
    monkeypatch.setattr(services.storage, "stream", read_and_remove)

    assert reindex(services).filed == 0
    assert rows_and_files(services) == (set(), set())


def test_sweep_keeps_a_file_that_a_reindex_names_after_sweep_has_looked(
    client, services, study, monkeypatch
):
    _, files = rows_and_files(services)
    empty_tables(services.index)
    wire.must_store(client, samples.ct("another"))
    find = services.index.retrieval.find

    def find_before_a_reindex(target: Target):
        found = find(target)
        monkeypatch.undo()
        reindex(services)
        return found

    monkeypatch.setattr(services.index.retrieval, "find", find_before_a_reindex)
    sweep(services, older_than_seconds=-1)

    named, left = rows_and_files(services)
    assert named == files
    assert named < left


def test_a_file_that_vanishes_while_it_is_listed_ends_no_reindex(client, services, study):
    keys = services.storage.keys("instances/")
    listed = [next(keys)[0]]
    delete(services, STUDY)
    listed += [key for key, _, _ in keys]

    assert len(listed) <= 3
    assert reindex(services).filed == 0


@pytest.mark.parametrize("name", ["IM0001", "2.25.9-0123456789abcdef-01234567.dcm"])
def test_a_file_under_the_uids_of_others_is_filed_under_its_own_and_swept_by_nobody(
    client, services, study, name
):
    by_hand = f"instances/abc/1.2.3/4.5.6/{name}"
    with services.new_spool() as spool:
        spool.write(samples.ct("found"))
        services.storage.put(by_hand, spool)

    reindex(services)
    sweep(services, older_than_seconds=-1)
    reindex(services)

    path = wire.DICOMWEB + samples.path("found")
    whole = {"Accept": "application/dicom; transfer-syntax=*"}
    assert client.get(path, headers=whole).content == samples.ct("found")
    keys = {key for key, _, _ in services.storage.keys("instances/")}
    assert by_hand not in keys
    assert len(keys) == 4


@pytest.mark.parametrize(
    "key", ["instances/abc/1.2.3/4.5.6/IM0001", "instances/abc/1.2.3/4.5.6/7-8.dcm", "instances/x"]
)
def test_a_file_under_a_foreign_key_is_filed_under_its_own_uids_and_never_lost(
    client, services, key
):
    content = samples.ct("foreign")
    wire.must_store(client, samples.ct("another"))
    put_file(services, key, content)

    assert reindex(services).filed == 1
    sweep(services, older_than_seconds=-1)

    (instance,) = services.index.retrieval.find(Target(samples.study_uid("foreign")))
    assert services.storage.read(instance.key) == content
    assert len(list(services.storage.keys("instances/"))) == 2
    assert reindex(services).filed == 0


@pytest.mark.parametrize(
    "transfer_syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_file_under_the_name_of_a_stored_instance_is_kept_by_sweep_and_found_by_reindex(
    client, services, study, transfer_syntax
):
    content = samples.ct("misplaced", transfer_syntax=transfer_syntax)
    key = f"{min(rows_and_files(services)[0]).rpartition('-')[0]}-00000000.dcm"
    put_file(services, key, content)

    assert sweep(services, older_than_seconds=-1).removed == 0
    assert reindex(services).filed == 1
    sweep(services, older_than_seconds=-1)

    (instance,) = services.index.retrieval.find(Target(samples.study_uid("misplaced")))
    assert instance.key != key
    assert services.storage.read(instance.key) == content
    assert len(list(services.storage.keys("instances/"))) == 4


def test_a_check_reports_and_repairs_a_file_under_the_name_of_a_stored_instance(
    client, services, study
):
    put_file(services, min(rows_and_files(services)[0]) + "0", samples.ct("misplaced"))
    request = CheckRequest(older_than_seconds=-1, repair=True)

    checked = check(services, request)
    assert (checked.unindexed, checked.added, checked.left_over) == (1, 1, 0)
    assert services.index.retrieval.find(Target(samples.study_uid("misplaced")))
    assert check(services, request).files == 4


def test_upkeep_keeps_a_file_that_a_row_of_any_series_names(client, services):
    wire.must_store(client, samples.ct("another"))
    key, content = "instances/abc/1.2.3/4.5.6/7-8.dcm", samples.ct("named elsewhere")
    put_file(services, key, content)
    new = NewInstance(part10.parse(content), key, len(content), hashlib.sha256(content).digest())
    services.index.writer.add([new])

    assert reindex(services).filed == 0
    assert sweep(services, older_than_seconds=-1).removed == 0
    assert services.storage.read(key) == content
    assert len(list(services.storage.keys("instances/"))) == 2


def test_a_file_under_a_foreign_key_that_is_stored_already_is_removed(client, services):
    content = samples.ct("twice")
    wire.must_store(client, content)
    put_file(services, "instances/abc/1.2.3/4.5.6/IM0001", content)

    assert reindex(services).filed == 0
    assert len(list(services.storage.keys("instances/"))) == 1


def test_other_bytes_of_a_known_instance_under_a_foreign_key_stay_where_they_are(client, services):
    key = "instances/abc/1.2.3/4.5.6/IM0001"
    wire.must_store(client, samples.ct("twice"))
    put_file(services, key, samples.ct("twice", PatientName="Other^Bytes"))

    assert reindex(services).filed == 0
    assert services.storage.read(key)
    assert len(list(services.storage.keys("instances/"))) == 2


def put_file(services, key: str, content: bytes) -> None:
    with Spool() as spool:
        spool.write(content)
        services.storage.put(key, spool)
