"""Migrations: nothing is lost, and for a while two releases work on one index."""

import threading

import pymysql
import pytest
from sqlalchemy import func, inspect, select, text

from lenticular.dicom.model import Level, Target
from lenticular.errors import Conflict, Unavailable
from lenticular.index import Index
from lenticular.index.migrations import upgrade
from lenticular.index.records import Outcome
from lenticular.index.sql import mysql
from lenticular.index.sql.database import Database
from lenticular.index.sql.schema import series, studies
from lenticular.transactions.search import parse_query
from tests.helpers.databases import DATABASES, new_database
from tests.helpers.indexes import counts, in_threads, new, target
from tests.helpers.migrations import opened, replay, upgraded

LEVELS = (Level.STUDY, Level.SERIES, Level.INSTANCE)
FOREVER = 4_000_000_000_000  # milliseconds, the year 2096


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str:
    """A database as the release before left it, with what it had stored."""
    address = new_database(request)
    with opened(address) as index:
        upgraded(index, "0001")
        replay(index, "rows")
    return address


def everything(index: Index, *targets: Target) -> list[object]:
    """All that can be asked of an index, but for what time alone changes."""
    answers: list[object] = [
        index.retrieval.statistics(),
        index.changes.page(0, 100),
        index.changes.last_sequence(),
    ]
    for each in targets or (target("old"), target("older")):
        answers += [
            index.retrieval.find(each),
            list(index.retrieval.documents(each)),
            index.retrieval.representative(each),
        ]
    for level in LEVELS:
        query, _ = parse_query(level, None, [("includefield", "all")])
        answers += [index.searcher.search(query), index.searcher.ids(level, query)]
    return [*answers, *(index.orthanc.resources(level, 0, 100) for level in Level)]


def unsettled(index: Index) -> int:
    return len(index.stability.pending(0, FOREVER, 100))


def test_what_was_stored_is_answered_the_same_before_and_after_the_migration(url):
    with opened(url) as index:
        before = everything(index)
        index.migrate()
        index.ping()
        assert everything(index) == before
        assert unsettled(index) == 0


def test_what_was_stored_before_the_migration_is_what_this_release_would_have_stored(url, tmp_path):
    with opened(url) as index, opened(f"sqlite:///{tmp_path / 'other.sqlite'}") as other:
        index.migrate()
        other.migrate()
        other.writer.add([new("old", 1, 1), new("old", 1, 2), new("old", 2, 1)])
        other.writer.add([new("older", 1, 1)])
        for study in ("old", "older"):
            assert list(index.retrieval.documents(target(study))) == list(
                other.retrieval.documents(target(study))
            )
        for level in LEVELS:
            query, _ = parse_query(level, None, [("includefield", "all")])
            assert index.searcher.search(query) == other.searcher.search(query)


def test_this_release_stores_and_deletes_before_the_migration(url):
    with opened(url) as index:
        index.ping()
        added = index.writer.add([new("old", 1, 3), new("newer")])
        assert [each.outcome for each in added] == [Outcome.STORED] * 2
        index.writer.add([new("old", 1, 2, version=1)], replace=True)
        index.writer.remove(target("older"))
        index.writer.remove(target("old", 1, 1))
        assert counts(index, "old") == (2, 3, [2, 1])
        with pytest.raises(Unavailable, match="migrate"):
            index.stability.pending(0, FOREVER, 100)

        index.migrate()
        # What arrives while a deployment goes on is told to be stable by the release after it.
        with index.database.connect() as connection:
            assert connection.scalar(select(func.min(studies.c.settled))) > 0
        assert counts(index, "old") == (2, 3, [2, 1])


def test_the_release_before_stores_and_deletes_after_the_migration(url):
    with opened(url) as index:
        index.migrate()
        replay(index, "store", FOREVER - 2)
        assert counts(index, "old") == (2, 4, [3, 1])
        assert counts(index, "newer") == (1, 1, [1])
        assert [each.outcome for each in index.writer.add([new("newer"), new("old", 1, 3)])] == [
            Outcome.ALREADY_STORED
        ] * 2
        # Also what it stored is told to be stable.
        assert unsettled(index) == 2
        told = index.stability.mark(index.stability.pending(0, FOREVER, 100), FOREVER)
        assert told == {Level.SERIES: 2, Level.STUDY: 2, Level.PATIENT: 2}

        replay(index, "remove", FOREVER - 1)
        assert counts(index, "old") == (2, 3, [2, 1])
        assert index.retrieval.find(target("older")) == []


def test_a_migration_that_died_half_way_is_finished_by_the_next(url):
    with opened(url) as index:
        with index.database.alone() as connection:
            # MySQL keeps what was done until then.
            connection.execute(text("ALTER TABLE studies ADD settled BIGINT NOT NULL DEFAULT 7"))
        index.migrate()
        with index.database.connect() as connection:
            for table in (studies, series):
                columns = {each["name"] for each in inspect(connection).get_columns(table.name)}
                names = {each["name"] for each in inspect(connection).get_indexes(table.name)}
                assert "settled" in columns
                assert f"ix_{table.name}_updated_settled" in names


def test_several_processes_migrate_at_once(url):
    indexes = [Index(url) for _ in range(4)]

    failed = in_threads(*(index.migrate for index in indexes))

    assert failed == []
    for index in indexes:
        assert index.retrieval.statistics().instances == 4
        index.close()


def test_the_schema_of_a_later_release_is_left_alone(url):
    with opened(url) as index:
        index.migrate()
        with index.database.transaction() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        upgrade(index.database)
        index.ping()
        assert index.writer.add([new("newer")])[0].outcome is Outcome.STORED
        assert unsettled(index) == 1


@pytest.mark.parametrize("database", DATABASES)
def test_the_index_of_orthanc_is_recognised_and_left_alone(request, database):
    request.param = database
    with opened(new_database(request)) as index:
        with index.database.transaction() as connection:
            connection.execute(text("CREATE TABLE GlobalProperties (property INTEGER, value TEXT)"))
            connection.execute(text("INSERT INTO GlobalProperties VALUES (1, '6')"))
        with pytest.raises(Conflict, match=r"Orthanc.s index \(version 6\)"):
            index.migrate()
        with index.database.connect() as connection:
            assert inspect(connection).get_table_names() == ["GlobalProperties"]


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_long_identifier_before_the_migration_is_refused_with_what_to_do(url):
    long = new("long", FrameOfReferenceUID="1." * 49 + "1")
    with opened(url) as index:
        upgraded(index, "0004")
        if not index.database.dialect.is_embedded:  # whose columns hold text of any length
            with pytest.raises(Unavailable, match="lenticular migrate"):
                index.writer.add([long])
        index.migrate()
        assert index.writer.add([long])[0].outcome is Outcome.STORED


def test_a_reader_whom_a_migration_overtakes_is_asked_to_come_again():
    # What MySQL says when a table is not any more what it was when the snapshot was taken.
    overtaken = pymysql.err.OperationalError(1412, "Table definition has changed")
    assert isinstance(
        Database("mysql+pymysql://127.0.0.1/none").dialect.refusal(overtaken), Unavailable
    )


QUERY, _ = parse_query(Level.STUDY, None, [])
QUESTIONS = {
    "search": lambda index: index.searcher.search(QUERY),
    "retrieve": lambda index: index.retrieval.find(target()),
    "documents": lambda index: list(index.retrieval.documents(target())),
    "statistics": lambda index: index.retrieval.statistics(),
    "changes": lambda index: index.changes.page(0, 10),
    "add": lambda index: index.writer.add([new()]),
    "remove": lambda index: index.writer.remove(target()),
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_an_index_that_was_never_migrated_asks_for_its_migration(request, index_url, ask):
    with opened(index_url) as index, pytest.raises(Unavailable, match="lenticular migrate"):
        ask(index)


def test_a_migration_waits_for_a_writer_longer_than_writers_wait_for_each_other(mariadb):
    address = mariadb.new_database()
    name = address.rpartition("/")[2]
    mariadb.execute(f"SET GLOBAL innodb_lock_wait_timeout = {mysql.SECONDS_FOR_LOCK}")
    with opened(address) as index, mariadb.connect() as writer, writer.cursor() as cursor:
        upgraded(index, "0001")
        cursor.execute(f"SELECT * FROM {name}.alembic_version FOR UPDATE")
        done = threading.Timer(2 * mysql.SECONDS_FOR_LOCK, writer.rollback)
        done.start()

        index.migrate()

        done.join()
        assert index.retrieval.statistics().instances == 0
    mariadb.execute("SET GLOBAL innodb_lock_wait_timeout = 50")
