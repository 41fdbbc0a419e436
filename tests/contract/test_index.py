"""What every index does, whichever database it is in."""

import dataclasses
import itertools
from array import array

import orjson
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, select

from lenticular import errors
from lenticular.dicom.model import Layout, Level, PixelLayout
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.index import Index
from lenticular.index.records import Outcome, Statistics
from lenticular.index.sql.schema import frames, metadata
from lenticular.transactions.search import parse_query
from tests.helpers import samples
from tests.helpers.indexes import counts, new, target

EMPTY = Statistics(0, 0, 0, 0, 0)


def test_what_was_added_is_found_at_every_level(index):
    instance = new()

    (added,) = index.writer.add([instance])

    assert added.outcome is Outcome.STORED
    assert added.obsolete_key is None
    for where in (target(), target("s", 1), target("s", 1, 1)):
        (found,) = index.retrieval.find(where)
        assert found.target == target("s", 1, 1)
        assert (found.key, found.size, found.sha256) == (instance.key, 1000, instance.sha256)
        assert found.transfer_syntax_uid == instance.parsed.transfer_syntax_uid
        assert found.orthanc_id == added.orthanc_ids[Level.INSTANCE]
    assert index.retrieval.find(target("other")) == []
    assert index.retrieval.statistics() == Statistics(1, 1, 1, 1, 1000)


def test_identifiers_are_those_of_orthanc(index):
    (added,) = index.writer.add([new(PatientID=" Ä|1 ")])

    parts = [" Ä|1", samples.study_uid("s"), samples.series_uid("s"), samples.sop_uid("s")]
    expected = [orthanc_id(*parts[:depth]) for depth in (1, 2, 3, 4)]
    assert list(added.orthanc_ids.values()) == expected


def test_the_same_bytes_again_change_nothing(index):
    index.writer.add([new()])
    again = dataclasses.replace(new(), key="another key")
    before = index.changes.last_sequence()

    (added,) = index.writer.add([again])

    assert added.outcome is Outcome.ALREADY_STORED
    assert added.obsolete_key == "another key"
    assert index.changes.last_sequence() == before
    assert index.retrieval.statistics().instances == 1


def test_a_call_that_is_repeated_does_not_call_its_own_file_obsolete(index):
    index.writer.add([new()])

    (added,) = index.writer.add([new()])

    assert (added.outcome, added.obsolete_key) == (Outcome.ALREADY_STORED, None)


def test_other_bytes_under_a_known_path_are_kept_out(index):
    first, second = new(version=1), new(version=2)
    (before,) = index.writer.add([first])

    (added,) = index.writer.add([second])

    assert (added.outcome, added.obsolete_key) == (Outcome.REFUSED_DUPLICATE, second.key)
    assert added.orthanc_ids == before.orthanc_ids
    assert [found.key for found in index.retrieval.find(target())] == [first.key]


def test_a_batch_may_hold_anything_even_itself(index):
    batch = [
        *(new("a", series, n) for series in (1, 2) for n in range(1, 71)),
        new("a", 1, 1),
        new("a", 1, 2, version=3),
        new("b"),
    ]

    added = index.writer.add(batch)

    outcomes = [each.outcome for each in added]
    assert outcomes[:140] == [Outcome.STORED] * 140
    assert outcomes[140:] == [Outcome.ALREADY_STORED, Outcome.REFUSED_DUPLICATE, Outcome.STORED]
    assert counts(index, "a") == (2, 140, [70, 70])
    numbers = [
        orjson.loads(each)["00200013"]["Value"]
        for each in index.retrieval.documents(target("a", 2))
    ]
    assert numbers == [[n] for n in range(1, 71)]


def test_nothing_is_added_for_an_empty_batch(index):
    assert index.writer.add([]) == []
    assert index.retrieval.statistics() == EMPTY


def test_a_study_under_a_second_patient_id_joins_the_study_it_names(index):
    (first,) = index.writer.add([new()])

    (second,) = index.writer.add([new(instance=2, PatientID="somebody else")])

    assert second.orthanc_ids[Level.PATIENT] == first.orthanc_ids[Level.PATIENT]
    assert index.retrieval.statistics().patients == 1
    assert len(index.retrieval.find(target())) == 2


def test_a_series_uid_under_a_second_study_is_another_series(index):
    series = samples.series_uid("s")
    index.writer.add(
        [new(), new("t", SeriesInstanceUID=series, SOPInstanceUID=samples.sop_uid("s"))]
    )

    (first,) = index.retrieval.find(target("s"))
    (second,) = index.retrieval.find(target("t"))

    assert first.series_instance_uid == second.series_instance_uid == series
    assert first.sop_instance_uid == second.sop_instance_uid
    assert first.orthanc_id != second.orthanc_id
    assert index.retrieval.locate(second.target).instance == second
    index.writer.remove(first.target)
    assert index.retrieval.find(second.target) == [second]


def test_only_the_very_bytes_are_held(index):
    instance = new()
    (added,) = index.writer.add([instance])

    here, sha256 = target("s", 1, 1), instance.sha256
    assert index.retrieval.already_stored([(here, sha256)]) == [added.orthanc_ids]
    others = [(here, bytes(32)), (target("s", 1, 2), sha256), (target("t", 1, 1), sha256)] * 15
    assert index.retrieval.already_stored([*others, (here, sha256)]) == [None] * 45 + [
        added.orthanc_ids
    ]
    assert index.retrieval.already_stored([]) == []


def encapsulated(count):
    ranges = array("Q", [at for n in range(count) for at in (2**33 + 1000 * n, 900 + n)])
    pixels = PixelLayout("7FE00010", "OB", True, 2**33, 1000 * count, count, frames=ranges)
    return Layout({"00420011": (17, 4, "OB"), "54000100/0/54001010": (99, 8, "OW")}, pixels)


@pytest.mark.parametrize("count", [1, 64, 65, 512, 513, 1200])
def test_every_frame_is_found_however_many_there_are(index, count):
    index.writer.add([new(layout=encapsulated(count))])

    located = index.retrieval.locate(target("s", 1, 1))

    assert located.layout.bulkdata == encapsulated(1).bulkdata
    assert located.instance.number_of_frames == count
    assert len(located.layout.pixels.frames) == (2 * count if count <= 64 else 0)
    wanted = [count, 1, (count + 1) // 2]
    expected = [(2**33 + 1000 * (n - 1), 900 + n - 1) for n in wanted]
    assert index.retrieval.frame_ranges(located, wanted) == expected
    for beyond in (0, count + 1, count + 1000):
        with pytest.raises(errors.NotFound):
            index.retrieval.frame_ranges(located, [beyond])


def test_one_frame_of_very_many_reads_one_small_row(index):
    index.writer.add([new(layout=encapsulated(100_000))])
    located = index.retrieval.locate(target("s", 1, 1))
    with index.database.connect() as connection:
        query = select(func.count(), func.max(func.length(frames.c.ranges)))
        assert connection.execute(query).one() == (196, 8192)
    assert index.retrieval.frame_ranges(located, [100_000]) == [(2**33 + 99_999_000, 100_899)]


def test_an_instance_without_pixels_has_no_frames(index):
    index.writer.add([new(layout=Layout({}))])

    located = index.retrieval.locate(target("s", 1, 1))

    assert located.instance.number_of_frames == 0
    assert located.layout == Layout({})


def test_instances_and_documents_come_by_series_and_instance_number(index):
    order = [(2, 10), (1, 2), (2, 9), (1, 1)]
    index.writer.add([new("s", series, n, SeriesNumber=3 - series) for series, n in order])

    found = [
        (each.series_instance_uid, each.sop_instance_uid) for each in index.retrieval.find(target())
    ]

    expected = [(2, 9), (2, 10), (1, 1), (1, 2)]
    assert found == [
        (samples.series_uid("s", series), samples.sop_uid("s", series, n)) for series, n in expected
    ]
    documents = [orjson.loads(document) for document in index.retrieval.documents(target())]
    assert [each["00080018"]["Value"][0] for each in documents] == [uid for _, uid in found]


def test_the_representative_is_in_the_middle_of_the_first_pictures(index):
    pictures, none = encapsulated(1), Layout({})
    index.writer.add(
        [
            new("s", 1, 1, layout=none, Modality="SR"),
            new("s", 2, 1, layout=pictures, Modality="SEG"),
            *(new("s", 3, n, layout=pictures) for n in range(1, 6)),
            new("t", 1, 1, layout=none),
        ]
    )

    assert index.retrieval.representative(target()).target == target("s", 3, 3)
    assert index.retrieval.representative(target("s", 2)).target == target("s", 2, 1)
    assert index.retrieval.representative(target("s", 1)).target == target("s", 1, 1)
    assert index.retrieval.representative(target("s", 3, 5)).target == target("s", 3, 5)
    assert index.retrieval.representative(target("t")).target == target("t", 1, 1)
    assert index.retrieval.representative(target("u")) is None


def test_removing_an_instance_keeps_what_is_right_about_the_rest(index):
    added = index.writer.add([new("s", 1, 1), new("s", 1, 2), new("s", 2, 1, Modality="MR")])

    removed = index.writer.remove(target("s", 1, 2))

    assert removed.keys == (new("s", 1, 2).key,)
    assert removed.remaining_ancestor == (Level.SERIES, added[1].orthanc_ids[Level.SERIES])
    assert counts(index) == (2, 2, [1, 1])
    assert index.retrieval.statistics() == Statistics(1, 1, 2, 2, 2000)
    assert index.retrieval.locate(target("s", 1, 2)) is None
    assert len(list(index.retrieval.documents(target()))) == 2
    removed = index.writer.remove(target("s", 2, 1))
    assert removed.remaining_ancestor == (Level.STUDY, added[0].orthanc_ids[Level.STUDY])
    assert counts(index) == (1, 1, [1])


def test_removing_the_last_instance_removes_everything_above(index):
    index.writer.add([new("s"), new("t", PatientID="Ps", layout=encapsulated(100))])

    patient = orthanc_id("Ps")
    assert index.writer.remove(target("s", 1, 1)).remaining_ancestor == (
        Level.PATIENT,
        patient,
    )
    assert index.writer.remove(target("t")).remaining_ancestor is None

    assert index.retrieval.statistics() == EMPTY
    with index.database.connect() as connection:
        for table in metadata.sorted_tables:
            left = connection.scalar(select(func.count()).select_from(table))
            assert left == 0 or table.name == "changes"


def test_several_targets_go_together(index):
    index.writer.add([new("s"), new("t", PatientID="Ps")])

    removed = index.writer.remove(target("s"), target("nothing"), target("t"))

    assert removed.keys == (new("s").key, new("t", PatientID="Ps").key)
    assert index.retrieval.statistics() == EMPTY
    assert index.writer.remove(target("s"), target("t")) is None


def test_what_was_removed_can_be_added_again(index):
    (before,) = index.writer.add([new()])
    index.writer.remove(target())

    (after,) = index.writer.add([new()])

    assert after == before
    assert counts(index) == (1, 1, [1])


def test_what_was_acknowledged_is_there_after_opening_anew(index, url):
    index.writer.add([new()])

    again = Index(url)

    assert len(again.retrieval.find(target())) == 1
    again.close()


def test_migrating_again_changes_nothing(index):
    index.writer.add([new()])

    index.migrate()
    index.ping()

    assert index.retrieval.statistics().instances == 1


def test_the_migrations_make_the_tables_that_the_code_uses(index):
    with index.database.connect() as connection:
        # SQLite holds text of any length in any column, so no migration changes one there.
        options = {"compare_type": not index.database.dialect.is_embedded}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


def test_an_index_without_tables_does_not_pretend_to_be_well(tmp_path):
    opened = Index(f"sqlite:///{tmp_path / 'new.sqlite'}")

    with pytest.raises(RuntimeError, match="migrate"):
        opened.ping()
    opened.close()


def test_a_single_instance_takes_few_statements(tmp_path):
    index = Index(f"sqlite:///{tmp_path / 'index.sqlite'}")
    index.migrate()
    index.writer.add([new("s", 1, 1)])
    executed = []
    with index.database.cursor() as cursor:
        cursor.connection.set_trace_callback(executed.append)

    index.writer.add([new("s", 1, 2)])

    assert executed[0] == "BEGIN IMMEDIATE"
    assert executed[-1] == "COMMIT"
    assert len(executed) - 2 <= 7
    index.close()


ACROSS = [  # label of the study, its series, instances of each, and what else
    (1, 1, 3, {"StudyDate": "20240301"}),
    (2, 2, 3, {"StudyDate": "20240301", "StudyTime": "120000"}),
    (3, 3, 1, {"StudyDate": None}),
    (4, 1, 1, {"StudyDate": "20230101"}),
    (5, 2, 2, {"StudyDate": "20250101", "Modality": "MR"}),
    (6, 1, 4, {"StudyDate": None, "InstanceNumber": None}),
]


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.INSTANCE])
def test_pages_across_studies_are_slices_of_the_whole(index, level):
    for label, how_many_series, how_many, attributes in ACROSS:
        series = range(1, how_many_series + 1)
        numbers = range(how_many, 0, -1)
        index.writer.add([new(label, one, n, **attributes) for one in series for n in numbers])
    whole = {}
    for asked in ((), (("Modality", "CT"),), (("PatientID", "P*"),), (("SOPClassUID", "*"),)):
        query, _ = parse_query(level, None, asked)
        whole[asked] = [match.target for match in index.searcher.search(query).matches]
        ids = index.searcher.ids(level, query)
        assert len(ids) == len(set(whole[asked])) == len(whole[asked])
        for limit, offset in itertools.product((1, 2, 7), range(len(ids) + 2)):
            part = dataclasses.replace(query, limit=limit, offset=offset)
            page, end = index.searcher.search(part), offset + limit
            assert [match.target for match in page.matches] == whole[asked][offset:end]
            assert page.more is (end < len(ids))
            # A condition without an index is not counted by.
            assert page.remaining in (max(len(ids) - end, 0), *([None] if asked else []))
            assert index.searcher.ids(level, part) == ids[offset:end]

    studies = list(dict.fromkeys(each.study_instance_uid for each in whole[()]))
    assert studies == [samples.study_uid(label) for label in (5, 2, 1, 4, 6, 3)]
    assert len(whole[(("Modality", "CT"),)]) < len(whole[()])
