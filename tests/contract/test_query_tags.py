"""Query tags: keys of searches by configuration, found whenever they were configured."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import pytest
from pydicom.dataset import Dataset
from sqlalchemy import func, select, text

from lenticular.dicom.instance import Level
from lenticular.errors import Unavailable
from lenticular.index import Index, tagging
from lenticular.index.records import Outcome
from lenticular.index.schema import (
    TAG_VALUES,
    documents,
    instances,
    series,
    series_attributes,
    studies,
)
from lenticular.transactions.search import parse_query
from tests.indexes import new, target

GANTRY = ("DeviceUID", "series", "", "")
POSITION = ("ImageComments", "instance", "", "")
REVIEWER = ("VerifyingObserverSequence.VerifyingObserverName", "study", "", "")
CODE = ("AcquisitionContextSequence.ConceptCodeSequence.CodeValue", "instance", "", "")
VENDOR = ("00191010", "series", "DS", "ACME 1.0")
ALL = (GANTRY, POSITION, REVIEWER, CODE, VENDOR)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Nobody is left who stores as it was configured before."""
    monkeypatch.setattr(tagging, "GRACE", 0)


@contextmanager
def opened(url: str, *tags) -> Iterator[Index]:
    index = Index(url, query_tags=tags)
    yield index
    index.close()


def item(**attributes) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def tagged(study, series=1, instance=1, version=0, *, vendor=1.5, block=0x10, **attributes):
    """An instance that has something of every tag."""
    made = new(
        study,
        series,
        instance,
        version,
        DeviceUID=f"1.2.{study}.{series}",
        ImageComments=f"Comment {instance}",
        VerifyingObserverSequence=[item(VerifyingObserverName=f"Müller^{study}=山田^{study}")],
        AcquisitionContextSequence=[
            item(ConceptCodeSequence=[item(CodeValue=f"C{instance}")]),
            item(ConceptCodeSequence=[item(CodeValue="ANY")]),
        ],
        **attributes,
    )
    made.parsed.dataset[f"001900{block:02X}"] = {"vr": "LO", "Value": ["ACME 1.0"]}
    made.parsed.dataset[f"0019{block:02X}10"] = {"vr": "DS", "Value": [vendor]}
    return made


def index_all(index: Index) -> None:
    index.register_query_tags()
    while index.advance_query_tags() is not None:
        pass


def ask(index: Index, level: Level, place=None, **keys):
    """The results, and which tags are not ready."""
    asked = [(name.replace("_", "."), value) for name, value in keys.items()]
    query, warnings = parse_query(level, place, asked, index.query_tags)
    assert warnings == []
    page = index.search(query)
    return page.matches, page.adding


def found(index: Index, level: Level, place=None, **keys) -> list:
    return sorted(
        (match.target for match in ask(index, level, place, **keys)[0]),
        key=lambda each: (each.study_instance_uid, str(each.series_instance_uid)),
    )


def answers(index: Index, level: Level, **keys) -> list[dict]:
    matches, _ = ask(index, level, **keys)
    return [orjson.loads(b"{%s}" % b",".join(match.attributes)) for match in matches]


def statuses(index: Index) -> dict[str, str]:
    return {each.path: each.status.value for each in index.registered_query_tags()}


def count_values(index: Index) -> list[int]:
    with index._database.connect() as connection:
        counts = (select(func.count()).select_from(table) for table in TAG_VALUES.values())
        return [connection.scalar(count) for count in counts]


def values(index: Index) -> list[list[tuple]]:
    """Everything that is compared, level by level."""
    with index._database.connect() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for table in TAG_VALUES.values()
        ]


MATCHES = [
    (Level.SERIES, {"DeviceUID": "1.2.1.1"}, 1),
    (Level.SERIES, {"DeviceUID": "1.2.1.1\\1.2.2.1"}, 2),
    (Level.SERIES, {"00181002": "1.2.9.9"}, 0),
    (Level.INSTANCE, {"DeviceUID": "1.2.1.1"}, 2),
    (Level.INSTANCE, {"ImageComments": "comment 2"}, 2),
    (Level.INSTANCE, {"ImageComments": "comm*"}, 4),
    (Level.INSTANCE, {"ImageComments": "*NT ?"}, 4),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "muller^1"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "M*"}, 2),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "=山田^2"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "müller*=山田^2"}, 1),
    (Level.STUDY, {"VerifyingObserverSequence_VerifyingObserverName": "山田*=*"}, 0),
    (Level.SERIES, {"VerifyingObserverSequence_VerifyingObserverName": "Müller^1"}, 1),
    (
        Level.STUDY,
        {"VerifyingObserverSequence_VerifyingObserverName": "2 mul", "fuzzymatching": "true"},
        1,
    ),
    (Level.INSTANCE, {"AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "c1"}, 2),
    (Level.INSTANCE, {"AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "ANY"}, 4),
    (
        Level.INSTANCE,
        {
            "AcquisitionContextSequence_ConceptCodeSequence_CodeValue": "any\\c2",
            "multiplevaluematching": "true",
        },
        2,
    ),
    (Level.SERIES, {"00191010": "1.50"}, 2),
    (Level.SERIES, {"00191010": "15e-1"}, 2),
    (Level.SERIES, {"00191010": "1"}, 0),
    (Level.SERIES, {"00191010": "1\\1.5"}, 2),
    (Level.SERIES, {"00191010": '""', "emptyvaluematching": "true"}, 1),
    (Level.INSTANCE, {"ImageComments": '""', "emptyvaluematching": "true"}, 1),
    (Level.INSTANCE, {"ImageComments": "Comment 1", "PatientID": "P1"}, 1),
    (Level.INSTANCE, {"ImageComments": "Comment 1", "DeviceUID": "1.2.2.1"}, 1),
    (Level.SERIES, {"DeviceUID": "*"}, 3),
]


@pytest.mark.parametrize("when", ["before", "after"])
def test_every_kind_of_matching_finds_what_was_stored_before_and_after(url, when):
    stored = [tagged(study, instance=n, block=0x10 + study) for study in (1, 2) for n in (1, 2)]
    if when == "before":
        with opened(url) as plain:
            plain.add([*stored, new("plain")])
    with opened(url, *ALL) as index:
        index_all(index)
        if when == "after":
            index.add([*stored, new("plain")])
        for level, keys, count in MATCHES:
            matches, adding = ask(index, level, **keys)
            assert (len(matches), adding) == (count, ()), keys


def test_the_same_is_kept_of_what_was_stored_before_and_after(url, tmp_path):
    stored = [tagged(study, series, n) for study in (1, 2) for series in (1, 2) for n in (1, 2)]
    with opened(url) as plain, opened(f"sqlite:///{tmp_path / 'other.sqlite'}", *ALL) as other:
        plain.add(stored)
        other.migrate()
        other.add(stored)
        with opened(url, *ALL) as index:
            index_all(index)
            assert [[row[:2] for row in each] for each in values(index)] == [
                [row[:2] for row in each] for each in values(other)
            ]
            for level in (Level.STUDY, Level.SERIES, Level.INSTANCE):
                query, _ = parse_query(level, None, [("includefield", "all")])
                assert index.search(query) == other.search(query)


def test_what_was_matched_or_included_is_answered_in_order(url):
    with opened(url, *ALL) as index:
        index.add([tagged(1, block=0x42)])
        path = "VerifyingObserverSequence.VerifyingObserverName"
        (study,) = answers(index, Level.STUDY, **{path.replace(".", "_"): "m*"})
        assert study["0040A073"]["Value"][0]["0040A075"]["Value"] == [
            {"Alphabetic": "Müller^1", "Ideographic": "山田^1"}
        ]
        for keys in ({"00191010": "1.5"}, {"includefield": "all"}, {"includefield": "00191010"}):
            (series,) = answers(index, Level.SERIES, **keys)
            assert series["00190010"] == {"vr": "LO", "Value": ["ACME 1.0"]}
            assert series["00191010"] == {"vr": "DS", "Value": [1.5]}
            assert list(series) == sorted(series)
        (instance,) = answers(index, Level.INSTANCE, **{"00191010": "1.5"})
        assert instance["00191010"] == {"vr": "DS", "Value": [1.5]}
        (series,) = answers(index, Level.SERIES)
        assert "00191010" not in series


def test_a_sequence_is_answered_with_what_is_searched_for_alone(url):
    with opened(url, ("ContentSequence.TextValue", "study", "", "")) as index:
        content = item(TextValue="Finding", ConceptCodeSequence=[item(CodeValue="x")])
        index.add([new("report", ContentSequence=[content])])
        (study,) = answers(index, Level.STUDY, ContentSequence_TextValue="finding")
        assert study["0040A730"]["Value"] == [{"0040A160": {"vr": "UT", "Value": ["Finding"]}}]


def test_a_study_and_a_series_have_what_their_first_instance_has(url):
    with opened(url, GANTRY) as index:
        index.add([new("s", 1, 1, DeviceUID="1.2.3"), new("s", 1, 2, DeviceUID="1.2.4")])
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 1
        assert found(index, Level.SERIES, DeviceUID="1.2.4") == []


def test_values_go_with_what_they_belong_to(url):
    with opened(url, *ALL) as index:
        index.add(
            [tagged(study, series, n) for study in (1, 2) for series in (1, 2) for n in (1, 2)]
        )
        before = count_values(index)
        index.remove(target(1, 1, 1))
        assert found(index, Level.INSTANCE, target(1, 1), ImageComments="Comment 1") == []
        index.remove(target(1, 1))
        assert found(index, Level.SERIES, DeviceUID="1.2.1.1") == []
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.2")) == 1
        index.remove(target(1))
        assert count_values(index) == [count // 2 for count in before]
        index.remove(target(2))
        assert count_values(index) == [0, 0, 0]


def test_the_release_before_takes_the_values_along(url):
    """It knows nothing of them, and removes rows as it always did."""
    with opened(url, *ALL) as index:
        index.add([tagged(1)])
        assert count_values(index) == [2, 2, 3]
        with index._database.transaction() as connection:
            for table in (documents, instances, series_attributes, series):
                connection.execute(table.delete())
            assert connection.scalar(select(func.count()).select_from(studies)) == 1
        assert count_values(index) == [2, 0, 0]


def test_a_replaced_instance_has_its_new_values(url):
    with opened(url, POSITION) as index:
        index.add([new("s", 1, 1, ImageComments="old"), new("s", 1, 2, ImageComments="other")])
        replaced = index.add([new("s", 1, 1, 1, ImageComments="new")], replace=True)
        assert replaced[0].outcome is Outcome.REPLACED
        assert found(index, Level.INSTANCE, ImageComments="old") == []
        assert found(index, Level.INSTANCE, ImageComments="new") == [target("s", 1, 1)]
        kept = index.add([new("s", 1, 2, 1, ImageComments="refused")])
        assert kept[0].outcome is Outcome.KEPT
        assert found(index, Level.INSTANCE, ImageComments="refused") == []


def test_while_a_tag_is_added_a_search_says_that_something_may_be_missing(url):
    with opened(url) as plain:
        plain.add([new(n, DeviceUID="1.2.3") for n in range(3)])
    with opened(url, GANTRY) as index:
        assert ask(index, Level.SERIES, DeviceUID="1.2.3") == ([], ("00181002",))
        index.register_query_tags()
        assert statuses(index) == {"00181002": "Adding"}
        index.add([new("new", DeviceUID="1.2.3")])
        matches, adding = ask(index, Level.SERIES, DeviceUID="1.2.3")
        assert (len(matches), adding) == (1, ("00181002",))
        index_all(index)
        assert statuses(index) == {"00181002": "Ready"}
        matches, adding = ask(index, Level.SERIES, DeviceUID="1.2.3")
        assert (len(matches), adding) == (4, ())


def test_indexing_goes_on_where_it_was_stopped_and_splits_what_is_large(url, monkeypatch):
    monkeypatch.setattr(tagging, "AT_ONCE", 2)
    stored = [tagged(9, 1, n) for n in range(1, 8)] + [tagged(n) for n in range(5)]
    with opened(url) as plain:
        plain.add(stored)
    steps = 0
    with opened(url, *ALL) as index:
        index.register_query_tags()
    while True:
        with opened(url, *ALL) as index:  # a process of its own for each step
            if index.advance_query_tags() is None:
                break
            steps += 1
    with opened(url, *ALL) as index:
        assert steps > 6
        assert set(statuses(index).values()) == {"Ready"}
        assert len(found(index, Level.INSTANCE, ImageComments="comment*")) == 12
        assert len(found(index, Level.SERIES, DeviceUID="1.2.9.1")) == 1


def test_what_goes_while_it_is_being_indexed_takes_nothing_along(url, monkeypatch):
    monkeypatch.setattr(tagging, "AT_ONCE", 2)
    with opened(url) as plain:
        plain.add([tagged(1, 1, n) for n in range(1, 6)] + [tagged(2)])
    with opened(url, *ALL) as index:
        index.register_query_tags()
        index.advance_query_tags()  # in the midst of the first
        index.remove(target(1))
        index_all(index)
        assert found(index, Level.INSTANCE, ImageComments="comment*") == [target(2, 1, 1)]
        assert len(found(index, Level.STUDY, VerifyingObserverSequence_VerifyingObserverName="m*"))


def test_a_tag_that_is_configured_no_more_is_removed_and_may_come_again(url):
    with opened(url, *ALL) as index:
        index.add([tagged(1), tagged(2)])
        index_all(index)
    with opened(url, POSITION) as index:
        index.register_query_tags()
        assert sorted(statuses(index).values()) == ["Deleting"] * 4 + ["Ready"]
        index_all(index)
        assert statuses(index) == {"00204000": "Ready"}
        assert count_values(index) == [0, 0, 2]
        (first, _) = answers(index, Level.SERIES, includefield="all")
        assert "00191010" not in first
        assert "00190010" not in first
        assert "00181002" in first  # which a series has anyway
    with opened(url, *ALL) as index:
        index_all(index)
        assert len(found(index, Level.SERIES, **{"00191010": "1.5"})) == 2


def test_who_still_stores_as_configured_before_is_looked_after(url, monkeypatch):
    """On AWS functions of the configuration before may work on for a while."""
    monkeypatch.setattr(tagging, "GRACE", 600_000)
    clock = [1_000_000_000_000]
    monkeypatch.setattr("lenticular.index.feed.now", lambda: clock[0])
    with opened(url) as before, opened(url, GANTRY) as index:
        is_one_machine = index._database.is_sqlite
        before.add([new("first", DeviceUID="1.2.3")])
        index_all(index)
        assert statuses(index) == {"00181002": "Ready" if is_one_machine else "Adding"}
        if is_one_machine:
            return
        before.add([new("late", DeviceUID="1.2.3")])
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 1
        clock[0] += 600_001
        index_all(index)
        assert statuses(index) == {"00181002": "Ready"}
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 2


def test_who_has_another_configuration_does_not_undo_what_is_done(url):
    with opened(url, GANTRY) as index, opened(url, POSITION) as other:
        index.add([tagged(1)])
        index.register_query_tags()
        assert other.advance_query_tags() is None
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.1")) == 1


def test_storing_and_removing_while_it_is_indexed_leaves_exact_values(url):
    with opened(url) as plain:
        plain.add([tagged(study, 1, n) for study in range(6) for n in range(1, 6)])
    failed = []

    def at_once(*works):
        def run(work):
            try:
                work()
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=run, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with opened(url, *ALL) as index, opened(url, *ALL) as other, opened(url, *ALL) as third:
        index.register_query_tags()
        at_once(
            lambda: index_all(index),
            lambda: index_all(third),
            lambda: [other.add([tagged(study, 1, 9), tagged(study, 2, 1)]) for study in range(6)],
            lambda: [other.remove(target(study, 1, 3)) for study in range(0, 6, 2)],
        )
        assert failed == []
        assert len(found(index, Level.INSTANCE, ImageComments="comment*")) == 6 * 7 - 3
        assert len(found(index, Level.SERIES, **{"00191010": "1.5"})) == 12


def test_before_the_migration_storing_goes_on_and_a_search_by_a_tag_waits(url):
    with opened(url, GANTRY) as index:
        with index._database.transaction() as connection:
            for table in ("query_tags", *(table.name for table in TAG_VALUES.values())):
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        try:
            assert index.add([tagged(1)])[0].outcome is Outcome.STORED
            assert len(found(index, Level.SERIES)) == 1
            with pytest.raises(Unavailable, match="migrate"):
                found(index, Level.SERIES, DeviceUID="1.2.1.1")
            with pytest.raises(Unavailable, match="migrate"):
                index.register_query_tags()
            assert index.registered_query_tags() == []
        finally:
            index.migrate()
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.1")) == 1
