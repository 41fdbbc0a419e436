"""Indexing for query tags in the background: stopped, taken up again, among others who write."""

import pytest
from sqlalchemy import inspect, text, update

from lenticular.dicom.model import Level
from lenticular.errors import Unavailable
from lenticular.index.records import Outcome
from lenticular.index.sql.schema import TAG_VALUES, studies
from tests.helpers.indexes import in_threads, new, target
from tests.helpers.query_tags import (
    ALL,
    GANTRY,
    POSITION,
    VENDOR,
    answers,
    ask,
    count_values,
    found,
    go_on,
    index_all,
    opened,
    statuses,
    tagged,
)


def test_while_a_tag_is_added_a_search_says_that_something_may_be_missing(url):
    with opened(url) as plain:
        plain.writer.add([new(n, DeviceUID="1.2.3") for n in range(3)])
    with opened(url, GANTRY) as index:
        assert ask(index, Level.SERIES, DeviceUID="1.2.3") == ([], ("00181002",))
        index.query_tag_registry.register()
        assert statuses(index) == {"00181002": "Adding"}
        index.writer.add([new("new", DeviceUID="1.2.3")])
        matches, adding = ask(index, Level.SERIES, DeviceUID="1.2.3")
        assert (len(matches), adding) == (1, ("00181002",))
        index_all(index)
        assert statuses(index) == {"00181002": "Ready"}
        matches, adding = ask(index, Level.SERIES, DeviceUID="1.2.3")
        assert (len(matches), adding) == (4, ())


def test_indexing_goes_on_where_it_was_stopped_and_splits_what_is_large(url):
    stored = [tagged(9, 1, n) for n in range(1, 8)] + [tagged(n) for n in range(5)]
    with opened(url) as plain:
        plain.writer.add(stored)
    steps = 0
    with opened(url, *ALL) as index:
        index.query_tag_registry.register()
    while True:
        with opened(url, *ALL, backfilled_instances=2) as index:  # a process for each step
            if index.query_tag_registry.advance() is None:
                break
            steps += 1
    with opened(url, *ALL) as index:
        assert steps > 6
        assert set(statuses(index).values()) == {"Ready"}
        assert len(found(index, Level.INSTANCE, ImageComments="comment*")) == 12
        assert len(found(index, Level.SERIES, DeviceUID="1.2.9.1")) == 1


def test_what_goes_while_it_is_being_indexed_takes_nothing_along(url):
    with opened(url) as plain:
        plain.writer.add([tagged(1, 1, n) for n in range(1, 6)] + [tagged(2)])
    with opened(url, *ALL, backfilled_instances=2) as index:
        index.query_tag_registry.register()
        index.query_tag_registry.advance()  # in the midst of the first
        index.writer.remove(target(1))
        index_all(index)
        assert found(index, Level.INSTANCE, ImageComments="comment*") == [target(2, 1, 1)]
        assert len(found(index, Level.STUDY, VerifyingObserverSequence_VerifyingObserverName="m*"))


def test_a_tag_that_is_configured_no_more_is_removed_and_may_come_again(url):
    with opened(url, *ALL) as index:
        index.writer.add([tagged(1), tagged(2)])
        index_all(index)
    with opened(url, POSITION) as index:
        index.query_tag_registry.register()
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


def test_who_still_stores_as_configured_before_is_looked_after(url):
    """On AWS functions of the configuration before may work on for a while."""
    with opened(url) as before, opened(url, GANTRY, backfill_grace=600_000) as index:
        is_one_machine = index.database.dialect.is_embedded
        before.writer.add([new("first", DeviceUID="1.2.3")])
        index_all(index)
        assert statuses(index) == {"00181002": "Ready" if is_one_machine else "Adding"}
        if is_one_machine:
            return
        before.writer.add([new("late", DeviceUID="1.2.3")])
        go_on(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 1
    with opened(url, GANTRY) as index:  # when that time has passed
        go_on(index)
        assert statuses(index) == {"00181002": "Ready"}
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 2


def test_what_a_release_without_query_tags_stored_meanwhile_is_found_after_the_next_start(url):
    with opened(url, *ALL) as index:
        index.writer.add([tagged(study) for study in (1, 2, 3)])
        index_all(index)
        with index.database.transaction() as connection:
            connection.execute(update(studies).values(updated=1))  # long ago
    with opened(url) as before:
        before.writer.add([tagged(4), tagged(2, 2, 1)])
    with opened(url, *ALL) as index:
        assert index_all(index) == 2
        assert set(statuses(index).values()) == {"Ready"}
        assert len(found(index, Level.INSTANCE, ImageComments="comment*")) == 5
        assert len(found(index, Level.SERIES, DeviceUID="1.2.2.2")) == 1
        with index.database.transaction() as connection:
            connection.execute(update(studies).values(updated=1))
    with opened(url, *ALL) as index:
        assert index_all(index) == 0


def test_a_look_that_a_start_breaks_into_begins_again(url):
    with opened(url, GANTRY, backfilled_studies=1) as index:
        index.writer.add([new(study, DeviceUID="1.2.3") for study in (1, 2)])
        index_all(index)
        index.query_tag_registry.register()
        assert index.query_tag_registry.advance() == 1
    with opened(url) as before:
        before.writer.add([new(1, 2, DeviceUID="1.2.3")])  # which was looked at already
    with opened(url, GANTRY) as index:
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.3")) == 3


def test_the_next_instance_gives_the_values_when_the_first_is_removed(url):
    with opened(url, GANTRY, VENDOR) as index:
        index.writer.add([tagged(1, 1, 1, vendor=1.5), tagged(1, 1, 2, vendor=2.5)])
        index.writer.remove(target(1, 1, 1))
        index_all(index)
        assert found(index, Level.SERIES, **{"00191010": "1.5"}) == []
        (series,) = answers(index, Level.SERIES, **{"00191010": "2.5"})
        assert series["00191010"]["Value"] == [2.5]


def test_who_has_another_configuration_does_not_undo_what_is_done(url):
    with opened(url, GANTRY) as index, opened(url, POSITION) as other:
        index.writer.add([tagged(1)])
        index.query_tag_registry.register()
        assert other.query_tag_registry.advance() is None
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.1")) == 1


def test_storing_and_removing_while_it_is_indexed_leaves_exact_values(url):
    with opened(url) as plain:
        plain.writer.add([tagged(study, 1, n) for study in range(6) for n in range(1, 6)])
    with opened(url, *ALL) as index, opened(url, *ALL) as other, opened(url, *ALL) as third:
        index.query_tag_registry.register()
        failed = in_threads(
            lambda: index_all(index),
            lambda: index_all(third),
            lambda: [
                other.writer.add([tagged(study, 1, 9), tagged(study, 2, 1)]) for study in range(6)
            ],
            lambda: [other.writer.remove(target(study, 1, 3)) for study in range(0, 6, 2)],
        )
        assert failed == []
        assert len(found(index, Level.INSTANCE, ImageComments="comment*")) == 6 * 7 - 3
        assert len(found(index, Level.SERIES, **{"00191010": "1.5"})) == 12


def test_a_migration_that_died_half_way_is_finished_by_the_next(url):
    """MySQL keeps what was done until then."""
    with opened(url, GANTRY) as index:
        last = TAG_VALUES[Level.INSTANCE]
        with index.database.transaction() as connection:
            connection.execute(text(f"DROP TABLE {last.name}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        index.migrate()
        with index.database.connect() as connection:
            names = {each["name"] for each in inspect(connection).get_indexes(last.name)}
        assert f"ix_{last.name}_row_id_tag_id" in names
        index.writer.add([tagged(1)])
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.1")) == 1


def test_before_the_migration_storing_goes_on_and_a_search_by_a_tag_waits(url):
    with opened(url, GANTRY) as index:
        with index.database.transaction() as connection:
            for table in ("query_tags", *(table.name for table in TAG_VALUES.values())):
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
        try:
            assert index.writer.add([tagged(1)])[0].outcome is Outcome.STORED
            assert len(found(index, Level.SERIES)) == 1
            with pytest.raises(Unavailable, match="migrate"):
                found(index, Level.SERIES, DeviceUID="1.2.1.1")
            with pytest.raises(Unavailable, match="migrate"):
                index.query_tag_registry.register()
            assert index.query_tag_registry.registered() == []
        finally:
            index.migrate()
        index_all(index)
        assert len(found(index, Level.SERIES, DeviceUID="1.2.1.1")) == 1
