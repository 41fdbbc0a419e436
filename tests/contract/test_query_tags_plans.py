"""What a search by query tags costs, and what it costs to store with some and with none."""

from contextlib import closing

import pytest

from lenticular.dicom.model import Level, Target
from lenticular.index import Index
from lenticular.limits import Limits
from lenticular.transactions.search import parse_query
from tests.helpers import samples
from tests.helpers.databases import questions, round_trips, rows_read
from tests.helpers.indexes import new
from tests.helpers.query_tags import ALL, GANTRY, POSITION, index_all, opened

STUDIES = 60
TAGS = (GANTRY, POSITION, ("PatientWeight", "study", "", ""))
SEARCHES = [
    (Level.STUDY, None, {"PatientWeight": "7"}),
    (Level.STUDY, None, {"PatientWeight": "7", "StudyDate": "20200101-"}),
    (Level.SERIES, None, {"DeviceUID": "1.2.7.1"}),
    (Level.SERIES, None, {"PatientWeight": "7", "limit": "5"}),
    (Level.SERIES, Target(samples.study_uid(7)), {"DeviceUID": "1.2.7.1"}),
    (Level.INSTANCE, None, {"ImageComments": "rare 7"}),
    (Level.INSTANCE, None, {"ImageComments": "RARE 7*"}),
    (Level.INSTANCE, None, {"DeviceUID": "1.2.7.1"}),
    (Level.INSTANCE, None, {"PatientWeight": "7", "PatientID": "P7"}),
    (Level.INSTANCE, None, {"ImageComments": "common", "limit": "3"}),
    (Level.INSTANCE, None, {"ImageComments": "comm*", "limit": "3", "includefield": "all"}),
    (Level.INSTANCE, None, {"ImageComments": "*omm*", "limit": "3"}),
    (Level.INSTANCE, None, {"ImageComments": "common", "PatientID": "P7"}),
]


# As many rows are few as in a large archive.
LIMITS = Limits(few_rows=20, backfill_grace=0)


@pytest.fixture(scope="module")
def filled(mariadb):
    """Each study has an instance of its own kind, and two of the kind that all have."""
    opened = Index(mariadb.new_database(), query_tags=TAGS, limits=LIMITS)
    opened.migrate()
    index_all(opened)
    for study in range(STUDIES):
        opened.writer.add(
            [
                new(
                    *(study, series, n),
                    PatientWeight=study,
                    DeviceUID=f"1.2.{study}.{series}",
                    ImageComments=f"rare {study}" if n == 1 else "common",
                )
                for series in (1, 2)
                for n in (1, 2, 3)
            ]
        )
    yield opened
    opened.close()


def asked(index, level, place, keys):
    query, _ = parse_query(level, place, list(keys.items()), index.query_tags)
    return query


@pytest.mark.parametrize(("level", "place", "keys"), SEARCHES)
def test_a_search_by_tags_takes_two_round_trips(filled, mariadb, level, place, keys):
    query = asked(filled, level, place, keys)
    assert filled.searcher.search(query).matches

    assert round_trips(mariadb, lambda: filled.searcher.search(query)) <= 2


@pytest.mark.parametrize(("level", "place", "keys"), SEARCHES)
def test_a_search_by_tags_reads_about_as_many_rows_as_it_answers(filled, level, place, keys):
    """Whether few rows have the value or most of them, before anybody has counted them."""
    query = asked(filled, level, place, keys)
    url = filled.database.url.render_as_string(hide_password=False)
    with closing(Index(f"{url}?pool_size=1", query_tags=TAGS, limits=LIMITS)) as opened:
        opened.searcher.search(query)
        before = rows_read(opened), rows_read(opened)
        answered = len(opened.searcher.search(query).matches)
        read = rows_read(opened) - before[1] - (before[1] - before[0])

    assert answered < read <= LIMITS.few_rows + 40 * (answered + 2)


@pytest.mark.parametrize("level", [Level.STUDY, Level.SERIES, Level.INSTANCE])
def test_without_a_tag_in_it_a_search_takes_one_round_trip_as_before(filled, mariadb, level):
    query = asked(filled, level, None, {"PatientID": "P7"})
    assert filled.searcher.search(query).matches

    assert round_trips(mariadb, lambda: filled.searcher.search(query)) == 1


def asked_to_store(mariadb, url, tags, *instances):
    """How many statements it takes to store these into a series that is there."""
    with opened(url, *tags) as index:
        index.writer.add([new("s", 1, 1)])
        counted = []
        for _ in range(3):  # the server counts the statements of all, so the least counts
            nothing = min(-questions(mariadb) + questions(mariadb) for _ in range(3))
            before = questions(mariadb)
            index.writer.add(list(instances))
            counted.append(questions(mariadb) - before - nothing)
            index.writer.remove(*(each.parsed.target for each in instances))
        return min(counted)


def test_storing_takes_a_statement_more_with_tags_and_none_without(mariadb, mariadb_url):
    def some(first):
        return [new("s", 1, n, ImageComments=f"c{n}") for n in range(first, first + 5)]

    plain = asked_to_store(mariadb, mariadb_url, (), *some(10))
    with_tags = asked_to_store(mariadb, mariadb_url, ALL, *some(20))
    without_values = asked_to_store(mariadb, mariadb_url, ALL, new("s", 1, 30))
    one = asked_to_store(mariadb, mariadb_url, (), new("s", 1, 31))

    assert with_tags == plain + 1
    assert without_values == one


@pytest.mark.parametrize(
    ("level", "keys", "start"),
    [
        (Level.SERIES, {"DeviceUID": "1.2.7.1"}, "tagged"),
        (Level.INSTANCE, {"ImageComments": "rare 7"}, "tagged"),
        (Level.INSTANCE, {"DeviceUID": "1.2.7.1"}, "tagged"),
        (Level.INSTANCE, {"ImageComments": "common"}, "studies"),
        (Level.INSTANCE, {"ImageComments": "comm*"}, "studies"),
        (Level.INSTANCE, {"ImageComments": "*x*"}, "studies"),
        (Level.INSTANCE, {"ImageComments": "rare 7", "PatientID": "P7"}, "studies"),
    ],
)
def test_sqlite_begins_with_the_few_or_walks(tmp_path, level, keys, start):
    tags = (GANTRY, POSITION)
    with opened(f"sqlite:///{tmp_path / 'index.sqlite'}", *tags, few_rows=20) as index:
        index.migrate()
        index_all(index)
        for study in range(STUDIES):
            index.writer.add(
                [
                    new(
                        *(study, 1, n),
                        DeviceUID=f"1.2.{study}.1",
                        ImageComments=f"rare {study}" if n == 1 else "common",
                    )
                    for n in (1, 2)
                ]
            )
        statements = []
        with index.database.cursor() as cursor:
            cursor.connection.set_trace_callback(statements.append)
        index.searcher.search(asked(index, level, None, keys))
        with index.database.cursor() as cursor:
            cursor.connection.set_trace_callback(None)
            explained = cursor.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()

    steps = [row[3] for row in explained if not row[3].startswith(("MATERIALIZE", "CO-ROUTINE"))]
    walk = steps[: steps.index("SCAN page")]
    looked_at = [step.split()[1] for step in walk if step.startswith(("SCAN", "SEARCH"))]
    assert next(each for each in looked_at if "values" not in each) == start
    assert not [step for step in walk[1:] if step.startswith("SCAN") and "tagged" not in step]
