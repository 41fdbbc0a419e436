"""What nothing was added to for a while is told to be stable: once, whoever tells it."""

import threading
import time

import pytest

from lenticular.dicom.model import Level
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.index import Index
from tests.helpers import samples
from tests.helpers.indexes import new, target

LATER = 4_000_000_000_000  # milliseconds, the year 2096


def now() -> int:
    """A moment that lies between what was before and what comes after."""
    time.sleep(0.003)
    moment = time.time_ns() // 1_000_000
    time.sleep(0.003)
    return moment


def settle(index: Index, until: int = LATER) -> dict[Level, int]:
    return dict(index.stability.mark(index.stability.pending(0, until, 100), until))


def told(index: Index, since: int = 0) -> list[tuple[str, str]]:
    """Kind and beginning of the Orthanc id of what the feed tells besides new things."""
    return [
        (change.kind, change.orthanc_id)
        for change in index.changes.page(since, 1000)
        if not change.kind.startswith("New")
    ]


def ids(study: object, series: int = 1, patient: str | None = None) -> tuple[str, str, str]:
    """Orthanc ids of a series, its study and its patient."""
    of_patient = (patient or f"P{study}",)
    of_study = (*of_patient, samples.study_uid(study))
    of_series = (*of_study, samples.series_uid(study, series))
    return orthanc_id(*of_series), orthanc_id(*of_study), orthanc_id(*of_patient)


def test_what_is_quiet_is_told_once_the_series_first(index):
    before = now()
    index.writer.add([new("s", 1, 1), new("s", 1, 2)])

    assert settle(index, before) == {}
    assert settle(index) == {Level.SERIES: 1, Level.STUDY: 1, Level.PATIENT: 1}
    assert settle(index) == {}

    kinds = ("StableSeries", "StableStudy", "StablePatient")
    assert told(index) == list(zip(kinds, ids("s"), strict=True))


def test_what_is_added_makes_it_unstable_and_what_was_there_already_does_not(index):
    index.writer.add([new("s", 1, 1)])
    settle(index)

    index.writer.add([new("s", 1, 1)])
    assert settle(index) == {}
    index.writer.add([new("s", 2, 1)])
    assert settle(index) == {Level.SERIES: 1, Level.STUDY: 1, Level.PATIENT: 1}
    index.writer.add([new("s", 2, 1, version=1)], replace=True)
    assert settle(index) == {Level.SERIES: 1, Level.STUDY: 1, Level.PATIENT: 1}


def test_a_series_does_not_wait_for_its_study_nor_a_study_for_its_patient(index):
    index.writer.add([new("s", 1)])
    between = now()
    index.writer.add([new("s", 2)])
    later = now()
    index.writer.add([new("t", PatientID="Ps")])

    assert settle(index, between) == {Level.SERIES: 1}
    assert settle(index, later) == {Level.SERIES: 1, Level.STUDY: 1}
    assert settle(index) == {Level.SERIES: 1, Level.STUDY: 1, Level.PATIENT: 1}


def test_several_studies_of_a_patient_that_settle_together_tell_the_patient_once(index):
    index.writer.add([new("s"), new("t", PatientID="Ps"), new("u", PatientID="Ps")])
    assert settle(index) == {Level.SERIES: 3, Level.STUDY: 3, Level.PATIENT: 1}


def test_a_deletion_makes_nothing_unstable(index):
    index.writer.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1), new("t", PatientID="Ps")])
    settle(index)
    index.writer.remove(target("s", 1, 1))
    index.writer.remove(target("s", 2))
    index.writer.remove(target("t"))
    assert settle(index) == {}


def test_what_remains_after_a_deletion_is_told_when_it_is_due(index):
    index.writer.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1)])
    index.writer.remove(target("s", 1, 1))
    index.writer.remove(target("s", 2))
    assert settle(index) == {Level.SERIES: 1, Level.STUDY: 1, Level.PATIENT: 1}
    index.writer.add([new("s", 3, 1)])
    index.writer.remove(target("s", 3))
    # The study had something added, even if that is gone.
    assert settle(index) == {Level.STUDY: 1, Level.PATIENT: 1}


def test_a_patient_who_waited_for_a_study_that_is_deleted_waits_no_more(index):
    index.writer.add([new("s")])
    until = now()
    index.writer.add([new("t", PatientID="Ps")])
    assert settle(index, until) == {Level.SERIES: 1, Level.STUDY: 1}
    last = index.changes.last_sequence()

    index.writer.remove(target("t"))

    assert told(index, last)[-1] == ("StablePatient", orthanc_id("Ps"))
    assert settle(index) == {}


def test_what_is_gone_is_not_told(index):
    index.writer.add([new("s")])
    due = index.stability.pending(0, LATER, 10)
    index.writer.remove(target("s"))
    assert index.stability.mark(due, LATER) == {}


def test_only_what_changed_within_the_time_is_looked_at(index):
    index.writer.add([new("s")])
    between = now()
    index.writer.add([new("t")])
    assert len(index.stability.pending(0, LATER, 10)) == 2
    assert len(index.stability.pending(0, LATER, 1)) == 1
    assert len(index.stability.pending(between, LATER, 10)) == 1
    assert len(index.stability.pending(0, between, 10)) == 1


@pytest.mark.parametrize("url", ["SQLite"], indirect=True)
def test_what_is_due_is_found_by_the_index(index):
    executed = []
    with index.database.cursor() as cursor:
        cursor.connection.set_trace_callback(executed.append)
    index.stability.pending(0, LATER, 10)
    for statement in executed:
        if "updated" in statement:
            with index.database.cursor() as cursor:
                plan = str(cursor.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall())
            assert "_updated_settled" in plan
            assert "TEMP" not in plan


def test_many_who_settle_while_others_store_tell_each_time_of_quiet_once(url):
    storing, failed = threading.Event(), []

    def store(number: int) -> None:
        index = Index(url)
        for instance in range(8):
            index.writer.add([new(f"s{n}", number, instance, PatientID="P") for n in range(3)])
        index.close()

    def settle_all(number: int) -> None:
        index = Index(url)
        while not storing.is_set():
            settle(index)
        settle(index)
        index.close()

    def run(work, number: int) -> None:
        try:
            work(number)
        except Exception as error:
            failed.append(error)

    settlers = [threading.Thread(target=run, args=(settle_all, n)) for n in range(3)]
    stores = [threading.Thread(target=run, args=(store, n)) for n in range(1, 4)]
    for thread in settlers + stores:
        thread.start()
    for thread in stores:
        thread.join()
    storing.set()
    for thread in settlers:
        thread.join()

    assert failed == []
    index = Index(url)
    assert settle(index) == {}
    assert_told_after_something_new(index)
    index.close()


def assert_told_after_something_new(index: Index) -> None:
    """The feed ends with everything stable, and has something new before each time it says so."""
    above = {}
    for study in range(3):
        for series in (1, 2, 3):
            uids = samples.study_uid(f"s{study}"), samples.series_uid(f"s{study}", series)
            for instance in range(8):
                uid = samples.sop_uid(f"s{study}", series, instance)
                above[orthanc_id("P", *uids, uid)] = ids(f"s{study}", series, "P")
    is_stable: dict[str, bool] = {}
    for change in index.changes.page(0, 10_000):
        if change.kind == "NewInstance":
            is_stable |= dict.fromkeys(above[change.orthanc_id], False)
        elif change.kind.startswith("Stable"):
            assert is_stable[change.orthanc_id] is False
            is_stable[change.orthanc_id] = True
    assert len(is_stable) == 9 + 3 + 1
    assert all(is_stable.values())
