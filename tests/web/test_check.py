"""Check proves rows and files against each other, and repairs what it can, beside a server."""

from dataclasses import replace

import pytest

from lenticular.dicom.model import Target
from lenticular.limits import Limits
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import delete
from lenticular.transactions.upkeep.check import Checked, CheckRequest, check
from tests.helpers import samples, wire
from tests.helpers.databases import empty_tables

pytestmark = pytest.mark.not_on_stack("reaches into the services")

STUDY = Target(samples.study_uid("s"))


@pytest.fixture
def keys(client, services) -> list[str]:
    """The keys of a study of three instances."""
    wire.must_store(client, *samples.ct_series("s", 3))
    return [instance.key for instance in services.index.retrieval.find(STUDY)]


def checked(services, **options) -> Checked:
    return check(services, CheckRequest(older_than_seconds=-1, **options))


def put(services, key: str, content: bytes) -> None:
    with Spool() as spool:
        spool.write(content)
        services.storage.put(key, spool)


def overwrite(services, key: str, content: bytes) -> None:
    services.storage.delete(key)
    put(services, key, content)


@pytest.mark.parametrize("with_hash", [False, True])
def test_missing_longer_and_shorter_files_are_found(services, keys, with_hash):
    content = services.storage.read(keys[0])
    services.storage.delete(keys[0])
    overwrite(services, keys[1], services.storage.read(keys[1])[:-1])
    overwrite(services, keys[2], services.storage.read(keys[2]) + b"\0")

    found = checked(services, with_hash=with_hash)
    assert (found.rows, found.files, found.missing, found.damaged) == (3, 2, 1, 2)
    assert found.problems == 3

    put(services, keys[0], content)
    assert checked(services).missing == 0


def test_other_bytes_of_the_same_size_are_found_by_the_hash(services, keys):
    content = services.storage.read(keys[0])
    overwrite(services, keys[0], content[:-1] + bytes([content[-1] ^ 1]))
    assert checked(services).problems == 0
    assert checked(services, with_hash=True).damaged == 1


def test_files_of_instances_without_rows_are_added_by_repair_alone(client, services, keys):
    wire.must_store(client, samples.ct("other"))
    empty_tables(services.index)
    wire.must_store(client, samples.ct("other"))

    found = checked(services)
    assert (found.unindexed, found.added, found.left_over) == (3, 0, 1)
    repaired = checked(services, repair=True)
    assert (repaired.unindexed, repaired.added, repaired.problems) == (3, 3, 0)
    assert {instance.key for instance in services.index.retrieval.find(STUDY)} == set(keys)
    assert checked(services).problems == 0


def test_repair_adds_a_foreign_file_and_tells_of_one_that_cannot_be_read(services, keys):
    put(services, "instances/abc/1.2.3/4.5.6/IM1", samples.ct("by hand"))
    put(services, "instances/abc/1.2.3/4.5.6/IM2", b"no DICOM")

    repaired = checked(services, repair=True)
    assert (repaired.unindexed, repaired.added, repaired.problems) == (2, 1, 1)
    assert len(services.index.retrieval.find(Target(samples.study_uid("by hand")))) == 1


def test_a_young_file_may_belong_to_a_store_in_progress(services, keys):
    empty_tables(services.index)
    assert check(services, CheckRequest()).unindexed == 0


def test_a_delete_meanwhile_is_no_problem(services, keys, monkeypatch):
    read = services.storage.read

    def read_after_a_delete(*arguments):
        monkeypatch.undo()
        delete(services, STUDY)
        return read(*arguments)

    monkeypatch.setattr(services.storage, "read", read_after_a_delete)
    assert checked(services).problems == 0


def test_a_check_that_is_stopped_continues_and_sees_everything(client, services, keys):
    wire.must_store(client, samples.ct("other"))
    services = replace(services, limits=Limits(checked_rows=2))
    rows = files = calls = 0
    request = CheckRequest()
    while True:
        answers = iter([False, True])
        found = check(services, request, lambda answers=answers: next(answers, True))
        rows, files, calls = rows + found.rows, files + found.files, calls + 1
        if found.complete:
            break
        request = CheckRequest(start=found.next)
    assert rows == 4
    assert files >= 4
    assert calls > 2


def test_parts_together_see_everything(client, services, keys):
    wire.must_store(client, samples.ct("other"))
    parts = [checked(services, spread=digit) for digit in "0123456789abcdef"]
    assert sum(part.rows for part in parts) == sum(part.files for part in parts) == 4
    assert not any(part.problems for part in parts)
