"""What every index does, whichever database it is in."""

import dataclasses
import fcntl
import hashlib
import multiprocessing
import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor

import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from lenticular import errors
from lenticular.dicom import part10
from lenticular.dicom.instance import Layout, PixelLayout, Target
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.index import Index
from lenticular.index.records import Level, NewInstance, Outcome, Statistics
from lenticular.index.schema import frames, metadata
from tests import samples

EMPTY = Statistics(0, 0, 0, 0, 0)


@pytest.fixture
def url(tmp_path):
    """The URL of a database that is empty but for its tables."""
    address = f"sqlite:///{tmp_path / 'index.sqlite'}"
    opened = Index(address)
    opened.migrate()
    opened.close()
    return address


@pytest.fixture
def index(url):
    opened = Index(url)
    yield opened
    opened.close()


def new(study="s", series=1, instance=1, version=0, layout=None, **attributes):
    """An instance whose file is thought to be stored; `version` stands for other bytes."""
    content = samples.encode(samples.dataset(study, series, instance, **attributes))
    parsed = part10.parse(content)
    sha256 = hashlib.sha256(content + bytes([version])).digest()
    key = f"{study}/{series}/{instance}/{sha256.hex()[:8]}"
    if layout is not None:
        parsed = dataclasses.replace(parsed, layout=layout)
    return NewInstance(parsed, key, 1000, sha256)


def target(study="s", series=None, instance=None):
    return Target(
        samples.study_uid(study),
        samples.series_uid(study, series) if series else None,
        samples.sop_uid(study, series, instance) if series and instance else None,
    )


def counts(index, study="s"):
    """Series and instances that the study says it has, and instances of each of its series."""
    resource = index.resource(Level.STUDY, orthanc_id(f"P{study}", samples.study_uid(study)))
    series = index.children(resource, Level.SERIES)
    return resource.series_count, resource.instance_count, [one.instance_count for one in series]


def test_what_was_added_is_found_at_every_level(index):
    instance = new()

    (added,) = index.add([instance])

    assert added.outcome is Outcome.STORED
    assert added.obsolete_key is None
    for where in (target(), target("s", 1), target("s", 1, 1)):
        (found,) = index.find(where)
        assert found.target == target("s", 1, 1)
        assert (found.key, found.size, found.sha256) == (instance.key, 1000, instance.sha256)
        assert found.transfer_syntax_uid == instance.parsed.transfer_syntax_uid
        assert found.orthanc_id == added.orthanc_ids[Level.INSTANCE]
    assert index.find(target("other")) == []
    assert index.statistics() == Statistics(1, 1, 1, 1, 1000)


def test_identifiers_are_those_of_orthanc(index):
    (added,) = index.add([new(PatientID=" Ä|1 ")])

    parts = [" Ä|1", samples.study_uid("s"), samples.series_uid("s"), samples.sop_uid("s")]
    expected = [orthanc_id(*parts[:depth]) for depth in (1, 2, 3, 4)]
    assert list(added.orthanc_ids.values()) == expected


def test_the_same_bytes_again_change_nothing(index):
    index.add([new()])
    again = dataclasses.replace(new(), key="another key")
    before = index.last_change()

    (added,) = index.add([again])

    assert added.outcome is Outcome.ALREADY_STORED
    assert added.obsolete_key == "another key"
    assert index.last_change() == before
    assert index.statistics().instances == 1


def test_a_call_that_is_repeated_does_not_call_its_own_file_obsolete(index):
    index.add([new()])

    (added,) = index.add([new()])

    assert (added.outcome, added.obsolete_key) == (Outcome.ALREADY_STORED, None)


def test_other_bytes_under_a_known_path_are_kept_out(index):
    first, second = new(version=1), new(version=2)
    (before,) = index.add([first])

    (added,) = index.add([second])

    assert (added.outcome, added.obsolete_key) == (Outcome.KEPT, second.key)
    assert added.orthanc_ids == before.orthanc_ids
    assert [found.key for found in index.find(target())] == [first.key]


def test_other_bytes_replace_the_known_ones_when_that_is_the_policy(index):
    first, other = new(PatientName="Before"), new(instance=2)
    second = new(version=2, PatientName="After")
    index.add([first, other])

    (added,) = index.add([second], replace=True)

    assert (added.outcome, added.obsolete_key) == (Outcome.REPLACED, first.key)
    assert {found.key for found in index.find(target())} == {second.key, other.key}
    assert counts(index) == (1, 2, [2])
    (document,) = index.documents(target("s", 1, 1))
    assert orjson.loads(document)["00100010"]["Value"] == [{"Alphabetic": "After"}]


def test_a_study_that_is_replaced_as_a_whole_tells_its_new_attributes(index):
    index.add([new(PatientName="Before")])

    index.add([new(version=2, PatientName="After")], replace=True)

    study = index.resources(Level.STUDY, 0, 10)[0]
    assert study.patient_attributes["00100010"]["Value"] == [{"Alphabetic": "After"}]


def test_a_batch_may_hold_anything_even_itself(index):
    batch = [
        *(new("a", series, n) for series in (1, 2) for n in range(1, 71)),
        new("a", 1, 1),
        new("a", 1, 2, version=3),
        new("b"),
    ]

    added = index.add(batch)

    outcomes = [each.outcome for each in added]
    assert outcomes[:140] == [Outcome.STORED] * 140
    assert outcomes[140:] == [Outcome.ALREADY_STORED, Outcome.KEPT, Outcome.STORED]
    assert counts(index, "a") == (2, 140, [70, 70])
    numbers = [orjson.loads(each)["00200013"]["Value"] for each in index.documents(target("a", 2))]
    assert numbers == [[n] for n in range(1, 71)]


def test_nothing_is_added_for_an_empty_batch(index):
    assert index.add([]) == []
    assert index.statistics() == EMPTY


def test_a_study_under_a_second_patient_id_joins_the_study_it_names(index):
    (first,) = index.add([new()])

    (second,) = index.add([new(instance=2, PatientID="somebody else")])

    assert second.orthanc_ids[Level.PATIENT] == first.orthanc_ids[Level.PATIENT]
    assert index.statistics().patients == 1
    assert len(index.find(target())) == 2


def test_a_series_uid_under_a_second_study_is_another_series(index):
    series = samples.series_uid("s")
    index.add([new(), new("t", SeriesInstanceUID=series, SOPInstanceUID=samples.sop_uid("s"))])

    (first,) = index.find(target("s"))
    (second,) = index.find(target("t"))

    assert first.series_instance_uid == second.series_instance_uid == series
    assert first.sop_instance_uid == second.sop_instance_uid
    assert first.orthanc_id != second.orthanc_id
    assert index.locate(second.target).instance == second
    index.remove(first.target)
    assert index.find(second.target) == [second]


def test_only_the_very_bytes_are_held(index):
    instance = new()
    (added,) = index.add([instance])

    assert index.holds(target("s", 1, 1), instance.sha256) == added.orthanc_ids
    assert index.holds(target("s", 1, 1), bytes(32)) is None
    assert index.holds(target("s", 1, 2), instance.sha256) is None


def encapsulated(count):
    ranges = array("Q", [at for n in range(count) for at in (2**33 + 1000 * n, 900 + n)])
    pixels = PixelLayout("7FE00010", "OB", True, 2**33, 1000 * count, count, frames=ranges)
    return Layout({"00420011": (17, 4, "OB"), "54000100/0/54001010": (99, 8, "OW")}, pixels)


@pytest.mark.parametrize("count", [1, 64, 65, 512, 513, 1200])
def test_every_frame_is_found_however_many_there_are(index, count):
    index.add([new(layout=encapsulated(count))])

    located = index.locate(target("s", 1, 1))

    assert located.layout.bulkdata == encapsulated(1).bulkdata
    assert located.instance.number_of_frames == count
    assert len(located.layout.pixels.frames) == (2 * count if count <= 64 else 0)
    wanted = [count, 1, (count + 1) // 2]
    expected = [(2**33 + 1000 * (n - 1), 900 + n - 1) for n in wanted]
    assert index.frame_ranges(located, wanted) == expected
    for beyond in (0, count + 1, count + 1000):
        with pytest.raises(errors.NotFound):
            index.frame_ranges(located, [beyond])


def test_one_frame_of_very_many_reads_one_small_row(index):
    index.add([new(layout=encapsulated(100_000))])
    located = index.locate(target("s", 1, 1))
    with index._database.connect() as connection:
        query = select(func.count(), func.max(func.length(frames.c.ranges)))
        assert connection.execute(query).one() == (196, 8192)
    assert index.frame_ranges(located, [100_000]) == [(2**33 + 99_999_000, 100_899)]


def test_an_instance_without_pixels_has_no_frames(index):
    index.add([new(layout=Layout({}))])

    located = index.locate(target("s", 1, 1))

    assert located.instance.number_of_frames == 0
    assert located.layout == Layout({})


def test_instances_and_documents_come_by_series_and_instance_number(index):
    order = [(2, 10), (1, 2), (2, 9), (1, 1)]
    index.add([new("s", series, n, SeriesNumber=3 - series) for series, n in order])

    found = [(each.series_instance_uid, each.sop_instance_uid) for each in index.find(target())]

    expected = [(2, 9), (2, 10), (1, 1), (1, 2)]
    assert found == [
        (samples.series_uid("s", series), samples.sop_uid("s", series, n)) for series, n in expected
    ]
    documents = [orjson.loads(document) for document in index.documents(target())]
    assert [each["00080018"]["Value"][0] for each in documents] == [uid for _, uid in found]


def test_the_representative_is_in_the_middle_of_the_first_pictures(index):
    pictures, none = encapsulated(1), Layout({})
    index.add(
        [
            new("s", 1, 1, layout=none, Modality="SR"),
            new("s", 2, 1, layout=pictures, Modality="SEG"),
            *(new("s", 3, n, layout=pictures) for n in range(1, 6)),
            new("t", 1, 1, layout=none),
        ]
    )

    assert index.representative(target()).target == target("s", 3, 3)
    assert index.representative(target("s", 2)).target == target("s", 2, 1)
    assert index.representative(target("s", 1)).target == target("s", 1, 1)
    assert index.representative(target("s", 3, 5)).target == target("s", 3, 5)
    assert index.representative(target("t")).target == target("t", 1, 1)
    assert index.representative(target("u")) is None


def test_removing_an_instance_keeps_what_is_right_about_the_rest(index):
    added = index.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1, Modality="MR")])

    removed = index.remove(target("s", 1, 2))

    assert removed.keys == (new("s", 1, 2).key,)
    assert removed.remaining_ancestor == (Level.SERIES, added[1].orthanc_ids[Level.SERIES])
    assert counts(index) == (2, 2, [1, 1])
    assert index.statistics() == Statistics(1, 1, 2, 2, 2000)
    assert index.locate(target("s", 1, 2)) is None
    assert len(list(index.documents(target()))) == 2
    removed = index.remove(target("s", 2, 1))
    assert removed.remaining_ancestor == (Level.STUDY, added[0].orthanc_ids[Level.STUDY])
    assert counts(index) == (1, 1, [1])


def test_removing_the_last_instance_removes_everything_above(index):
    index.add([new("s"), new("t", PatientID="Ps", layout=encapsulated(100))])

    patient = orthanc_id("Ps")
    assert index.remove(target("s", 1, 1)).remaining_ancestor == (Level.PATIENT, patient)
    assert index.remove(target("t")).remaining_ancestor is None

    assert index.statistics() == EMPTY
    with index._database.connect() as connection:
        for table in metadata.sorted_tables:
            left = connection.scalar(select(func.count()).select_from(table))
            assert left == 0 or table.name == "changes"


def test_several_targets_go_together(index):
    index.add([new("s"), new("t", PatientID="Ps")])

    removed = index.remove(target("s"), target("nothing"), target("t"))

    assert removed.keys == (new("s").key, new("t", PatientID="Ps").key)
    assert index.statistics() == EMPTY
    assert index.remove(target("s"), target("t")) is None


def test_what_was_removed_can_be_added_again(index):
    (before,) = index.add([new()])
    index.remove(target())

    (after,) = index.add([new()])

    assert after == before
    assert counts(index) == (1, 1, [1])


def test_changes_are_told_in_order(index):
    (added,) = index.add([new()])
    index.add([new(), new(instance=2)])
    index.remove(target())

    changes = index.changes(0, 100)

    numbers = [change.sequence for change in changes]
    assert numbers == sorted(set(numbers))
    told = [change.kind for change in changes]
    assert told[:5] == ["NewInstance", "NewSeries", "NewStudy", "NewPatient", "NewInstance"]
    assert told[5:] == ["Deleted"] * 5
    assert changes[1].orthanc_id == added.orthanc_ids[Level.SERIES]
    assert [change.level for change in changes[5:]] == [
        *(Level.INSTANCE, Level.INSTANCE, Level.SERIES, Level.STUDY, Level.PATIENT),
    ]
    assert index.changes(numbers[3], 2) == changes[4:6]
    assert index.last_change() == numbers[-1]
    assert index.changes(numbers[-1], 10) == []


def test_resources_are_browsed_by_identifier(index):
    added = index.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1), new("t")])
    patient, study, series, instance = added[0].orthanc_ids.values()

    assert index.resource(Level.PATIENT, patient).child_ids == (study,)
    found = index.resource(Level.STUDY, study)
    assert found.parent_id == patient
    assert found.child_ids == (series, added[2].orthanc_ids[Level.SERIES])
    assert (found.series_count, found.instance_count, found.size) == (2, 3, 3000)
    assert found.attributes["00081030"]["Value"] == ["Head plain"]
    assert "00100020" not in found.attributes
    assert found.patient_attributes["00100020"]["Value"] == ["Ps"]
    assert not found.is_stable
    assert index.resource(Level.SERIES, series).parent_id == study
    bottom = index.resource(Level.INSTANCE, instance)
    assert (bottom.parent_id, bottom.index_in_series, bottom.size) == (series, 1, 1000)
    assert bottom.instance == index.find(target("s", 1, 1))[0]
    assert index.resource(Level.SERIES, study) is None
    assert index.resource(Level.STUDY, "no identifier") is None


def test_resources_come_in_the_order_of_arrival(index):
    added = index.add([new(n) for n in range(5)])
    ids = [each.orthanc_ids[Level.STUDY] for each in added]

    assert index.resource_ids(Level.STUDY) == ids
    assert index.resource_ids(Level.STUDY, 1, 2) == ids[1:3]
    assert [each.orthanc_id for each in index.resources(Level.STUDY, 3, 9)] == ids[3:]
    some = [ids[4], ids[0], orthanc_id("unknown")]
    assert [each.orthanc_id for each in index.resources_of(Level.STUDY, some)] == some[:2]


def test_everything_below_a_resource_is_found(index):
    index.add([new("s", series, n) for series in (1, 2) for n in (1, 2)])
    index.add([new("t", PatientID="Ps")])
    patient = index.resource(Level.PATIENT, orthanc_id("Ps"))

    below = [len(index.children(patient, level)) for level in list(Level)[1:]]

    assert below == [2, 3, 5]


def test_identifiers_lead_to_targets(index):
    ids = index.add([new()])[0].orthanc_ids

    assert index.target_of(Level.STUDY, ids[Level.STUDY]) == target()
    assert index.target_of(Level.SERIES, ids[Level.SERIES]) == target("s", 1)
    assert index.target_of(Level.INSTANCE, ids[Level.INSTANCE]) == target("s", 1, 1)
    assert index.target_of(Level.PATIENT, ids[Level.PATIENT]) is None
    assert index.target_of(Level.STUDY, ids[Level.SERIES]) is None


def test_what_was_acknowledged_is_there_after_opening_anew(index, url):
    index.add([new()])

    again = Index(url)

    assert len(again.find(target())) == 1
    again.close()


def test_migrating_again_changes_nothing(index):
    index.add([new()])

    index.migrate()
    index.ping()

    assert index.statistics().instances == 1


def test_the_migrations_make_the_tables_that_the_code_uses(index):
    with index._database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_an_index_without_tables_does_not_pretend_to_be_well(tmp_path):
    opened = Index(f"sqlite:///{tmp_path / 'new.sqlite'}")

    with pytest.raises(RuntimeError, match="migrate"):
        opened.ping()
    opened.close()


def test_threads_share_transactions_and_counts_stay_exact(index):
    batches = [[new("s", 1 + n % 3, n), new("s", 1, 999)] for n in range(1, 41)]

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(index.add, batches))

    stored = [each for batch in added for each in batch if each.outcome is Outcome.STORED]
    assert len(stored) == 41
    assert counts(index)[:2] == (3, 41)
    assert index.statistics() == Statistics(1, 1, 3, 41, 41_000)


def test_a_bad_batch_harms_only_itself(index, url):
    bad = dataclasses.replace(new("bad"), size=2**70)  # no database has such an integer
    with (
        open(url.removeprefix("sqlite:///") + ".lock", "w") as lock,
        ThreadPoolExecutor(6) as pool,
    ):
        # While another process writes, batches pile up and become one transaction.
        fcntl.flock(lock, fcntl.LOCK_EX)
        answers = [pool.submit(index.add, [new(n)]) for n in range(2)]
        time.sleep(0.2)
        answers += [pool.submit(index.add, [each]) for each in (new(2), bad, new(3))]
        time.sleep(0.2)
        fcntl.flock(lock, fcntl.LOCK_UN)

        with pytest.raises(OverflowError):
            answers[3].result(timeout=20)
        good = [answer.result(timeout=20)[0].outcome for answer in answers if answer != answers[3]]

    assert good == [Outcome.STORED] * 4
    assert index.statistics() == Statistics(4, 4, 4, 4, 4000)
    assert index.find(target("bad")) == []


def add_some(url, worker, together):
    """Another process: instances of its own and instances that every process adds."""
    index = Index(url)
    index.migrate()
    threads = [
        threading.Thread(target=add_few, args=(index, worker, thread, together))
        for thread in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index.close()


def add_few(index, worker, thread, together):
    together.wait(timeout=60)
    for n in range(1, 11):
        index.add([new("s", worker + 1, 100 * thread + n), new("s", 9, n), new(("own", worker))])


def test_processes_add_to_one_study_and_counts_stay_exact(tmp_path):
    url = f"sqlite:///{tmp_path / 'index.sqlite'}"
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(6)
    workers = [context.Process(target=add_some, args=(url, n, together)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    index = Index(url)
    series, instances, of_each = counts(index)
    assert (series, instances, sorted(of_each)) == (4, 70, [10, 20, 20, 20])
    assert index.statistics() == Statistics(4, 4, 7, 73, 73_000)
    sequence = [change.sequence for change in index.changes(0, 1000)]
    assert sequence == sorted(set(sequence))
    assert len(sequence) == 73 + 7 + 4 + 4
    index.close()


def test_a_single_instance_takes_few_statements(index):
    index.add([new("s", 1, 1)])
    executed = []
    with index._database.cursor() as cursor:
        cursor.connection.set_trace_callback(executed.append)

    index.add([new("s", 1, 2)])

    assert executed[0] == "BEGIN IMMEDIATE"
    assert executed[-1] == "COMMIT"
    assert len(executed) - 2 <= 7
