"""The feed of instances: every change in the order of commits, and nothing lost in between."""

import threading
import time

import pytest
from sqlalchemy import select, text

from lenticular.errors import Unavailable
from lenticular.index import Index
from lenticular.index.read.instance_changes import InstanceChange, TimeWindow
from lenticular.index.sql.schema import changes
from tests.helpers.databases import DATABASES, new_database
from tests.helpers.indexes import new, target
from tests.helpers.migrations import opened, replay, upgraded

ALWAYS = TimeWindow()
FOREVER = 4_000_000_000_000  # milliseconds, the year 2096


def feed(index: Index, window: TimeWindow = ALWAYS) -> list[InstanceChange]:
    return index.instance_changes.page(0, 1000, window)


def told(entries: list[InstanceChange]) -> list[tuple[str, str, str]]:
    return [
        (entry.action.value, entry.target.sop_instance_uid or "", entry.state.value)
        for entry in entries
    ]


def uid(study: str, series: int = 1, instance: int = 1) -> str:
    return target(study, series, instance).sop_instance_uid or ""


def test_what_is_stored_replaced_and_deleted_is_told_in_order(index):
    index.writer.add([new("a", 1, 1), new("a", 1, 2)])
    index.writer.add([new("b")])
    index.writer.add([new("a", 1, 2, version=1)], replace=True)
    index.writer.add([new("a", 1, 1)])  # is there already
    index.writer.remove(target("b"))

    entries = feed(index)

    assert told(entries) == [
        ("create", uid("a", 1, 1), "current"),
        ("create", uid("a", 1, 2), "replaced"),
        ("create", uid("b"), "deleted"),
        ("update", uid("a", 1, 2), "current"),
        ("delete", uid("b"), "deleted"),
    ]
    assert [each.target for each in entries][2::2] == [target("b", 1, 1), target("b", 1, 1)]
    numbers = [entry.sequence for entry in entries]
    assert numbers == sorted(set(numbers))
    assert index.instance_changes.latest() == entries[-1]


def test_what_comes_back_is_current_and_what_it_was_before_is_replaced(index):
    index.writer.add([new("a")])
    index.writer.remove(target("a"))
    index.writer.add([new("a")])

    assert told(feed(index)) == [
        ("create", uid("a"), "replaced"),
        ("delete", uid("a"), "replaced"),
        ("create", uid("a"), "current"),
    ]


def test_a_replaced_instance_within_one_request_is_told_twice(index):
    index.writer.add([new("a"), new("a", version=1), new("a", version=2)], replace=True)

    assert told(feed(index)) == [
        ("create", uid("a"), "replaced"),
        ("update", uid("a"), "replaced"),
        ("update", uid("a"), "current"),
    ]


def test_nothing_has_happened_in_an_empty_index(index):
    assert feed(index) == []
    assert feed(index, TimeWindow(0, FOREVER)) == []
    assert index.instance_changes.latest() is None


def test_pages_and_times_take_the_feed_apart_without_a_loss(index):
    for number in range(7):
        index.writer.add([new("a", 1, number)])
        time.sleep(0.003)
    entries = feed(index)

    paged = [index.instance_changes.page(offset, 3, ALWAYS) for offset in (0, 3, 6, 9)]
    assert [len(page) for page in paged] == [3, 3, 1, 0]
    assert [each for page in paged for each in page] == entries
    middle = entries[3].created
    assert feed(index, TimeWindow(end=middle)) == entries[:3]
    assert feed(index, TimeWindow(start=middle)) == entries[3:]
    assert feed(index, TimeWindow(middle, middle + 1)) == [entries[3]]
    assert index.instance_changes.page(1, 1, TimeWindow(start=middle)) == [entries[4]]
    assert feed(index, TimeWindow(start=FOREVER)) == []


def test_who_follows_the_feed_while_many_write_misses_nothing_and_sees_it_only_grow(url):
    """By offset, by time and at the end: three readers while four write, replace and delete."""
    writers = [Index(url) for _ in range(4)]
    reader = Index(url)
    done = threading.Event()
    failed: list[Exception] = []
    by_offset: list[InstanceChange] = []
    by_time: list[InstanceChange] = []

    def write(number: int) -> None:
        index = writers[number]
        for count in range(8):
            index.writer.add([new(f"w{number}", 1, count), new(f"w{number}", 2, count)])
            index.writer.add([new(f"w{number}", 1, count, version=1)], replace=True)
            index.writer.remove(target(f"w{number}", 2, count))

    def follow_offset() -> None:
        while True:
            finished = done.is_set()
            page = reader.instance_changes.page(len(by_offset), 13, ALWAYS)
            by_offset.extend(page)
            if finished and not page:
                return

    def follow_time() -> None:
        start = 0
        while True:
            finished = done.is_set()
            end = time.time_ns() // 1_000_000 + (1 if finished else 0)
            if end > start:
                by_time.extend(feed(reader, TimeWindow(start, end)))
                start = end
            if finished:
                return

    def run(work, *arguments) -> threading.Thread:
        def guarded() -> None:
            try:
                work(*arguments)
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    following = [run(follow_offset), run(follow_time)]
    for thread in [run(write, number) for number in range(4)]:
        thread.join()
    time.sleep(0.002)
    done.set()
    for thread in following:
        thread.join()

    assert failed == []
    entries = feed(reader)
    assert len(entries) == 4 * 8 * 4
    expected = [entry.sequence for entry in entries]
    assert expected == sorted(set(expected))
    assert [entry.sequence for entry in by_offset] == expected
    assert [entry.sequence for entry in by_time] == expected
    for index in (*writers, reader):
        index.close()


@pytest.fixture(params=DATABASES)
def before(request: pytest.FixtureRequest) -> str:
    """A database as the release before left it, with what it had stored and deleted."""
    address = new_database(request)
    with opened(address) as index:
        upgraded(index, "0001")
        replay(index, "rows")
        upgraded(index, "0002")
        gone = "INSERT INTO changes (kind, level, orthanc_id, created) VALUES "
        with index.database.transaction() as connection:
            for kind in ("NewInstance", "Deleted"):
                row = f"('{kind}', 'Instance', x'{'ab' * 20}', 5)"
                connection.exec_driver_sql(gone + row)
    return address


def test_the_feed_waits_for_its_migration_and_stores_do_not(before):
    with opened(before) as index:
        index.ping()
        with pytest.raises(Unavailable, match="migrate"):
            feed(index)
        with pytest.raises(Unavailable, match="migrate"):
            index.instance_changes.latest()
        assert index.changes.page(0, 100)
        index.writer.add([new("newer")])
        index.writer.add([new("newer", version=1)], replace=True)
        index.writer.remove(target("older"))

        index.migrate()

        # Of what was deleted before, nobody knows what it was.
        stored = [uid("old", 1, 1), uid("old", 1, 2), uid("old", 2, 1), uid("newer")]
        known = told(feed(index))
        assert [each for _, each, state in known if state == "current"] == stored
        assert {each for _, each, _ in known} == set(stored)


def test_what_was_there_is_in_the_feed_after_the_migration_also_when_it_goes(before):
    with opened(before) as index:
        index.migrate()
        assert len(feed(index)) == 4
        index.writer.remove(target("old", 1, 1))
        assert told(feed(index))[0] == ("create", uid("old", 1, 1), "deleted")
        assert told(feed(index))[-1] == ("delete", uid("old", 1, 1), "deleted")


def test_what_the_release_before_writes_after_the_migration_is_told(before):
    with opened(before) as index:
        index.migrate()
        replay(index, "store", FOREVER - 2)
        assert ("create", uid("newer"), "current") in told(feed(index))

        replay(index, "remove", FOREVER - 1)
        entries = told(feed(index))
        assert entries[-1] == ("delete", uid("old", 1, 1), "deleted")
        assert entries.count(("delete", uid("older"), "deleted")) == 1


def test_a_migration_that_died_half_way_is_finished(before):
    with opened(before) as index:
        with index.database.alone() as connection:
            # MySQL keeps what was done until then.
            connection.execute(text("ALTER TABLE changes ADD sop_instance_uid VARCHAR(64)"))
            connection.execute(text("CREATE INDEX ix_changes_created ON changes (created)"))
        index.migrate()
        assert len(feed(index)) == 4
        with index.database.connect() as connection:
            unknown = select(changes.c.sequence).where(changes.c.sop_instance_uid == "")
            assert len(connection.execute(unknown).all()) == 2
