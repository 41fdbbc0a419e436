"""What only an index on a server has: connections that break, writers that meet, failures."""

import os
import threading
import time
from contextlib import closing
from functools import partial

import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from lenticular.dicom.model import Level, Target
from lenticular.errors import Unavailable
from lenticular.index import Index
from lenticular.index.records import Outcome, Statistics
from lenticular.index.sql.database import Database
from lenticular.limits import Limits
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.transactions.search import parse_query
from lenticular.web.app import create_app
from tests.helpers import samples
from tests.helpers.databases import FAST, mariadb_server, round_trips, rows_read
from tests.helpers.indexes import counts, in_threads, new, target

STUDIES = 60


@pytest.fixture
def index(mariadb_url):
    opened = Index(mariadb_url)
    yield opened
    opened.close()


SEARCHES = [
    (Level.STUDY, None, {"PatientID": "P7"}),
    (Level.STUDY, None, {"AccessionNumber": "A7", "includefield": "all"}),
    (Level.STUDY, None, {"PatientName": "Doe*", "limit": "3"}),
    (Level.STUDY, None, {"StudyDate": "20240101-20241231", "limit": "3"}),
    (Level.STUDY, None, {"ModalitiesInStudy": "CT", "limit": "3"}),
    (Level.STUDY, None, {"limit": "3", "offset": "2"}),
    (Level.SERIES, Target(samples.study_uid(7)), {}),
    (Level.SERIES, None, {"Modality": "CT", "limit": "3"}),
    (Level.SERIES, None, {"SeriesInstanceUID": samples.series_uid(7, 1)}),
    (Level.INSTANCE, Target(samples.study_uid(7), samples.series_uid(7, 1)), {}),
    (Level.INSTANCE, None, {"SOPInstanceUID": samples.sop_uid(7, 1, 1)}),
    (Level.INSTANCE, None, {"limit": "3", "offset": "2", "includefield": "all"}),
    (Level.INSTANCE, None, {"InstanceNumber": "1", "limit": "3"}),
]


def _documents(index: Index, where: Target) -> list[bytes]:
    return list(index.retrieval.documents(where))


@pytest.fixture(scope="module")
def filled(mariadb):
    opened = Index(mariadb.new_database())
    opened.migrate()
    for study in range(STUDIES):
        opened.writer.add([new(study, series, n) for series in (1, 2) for n in (1, 2, 3)])
    yield opened
    opened.close()


@pytest.mark.parametrize(("level", "place", "asked"), SEARCHES)
def test_a_search_takes_at_most_two_round_trips(filled, mariadb, level, place, asked):
    query, _ = parse_query(level, place, list(asked.items()))
    assert filled.searcher.search(query).matches

    assert 1 <= round_trips(mariadb, lambda: filled.searcher.search(query)) <= 2


# All names with a beginning are read, to put their studies in order.
@pytest.mark.parametrize(
    ("level", "place", "asked"), [each for each in SEARCHES if "PatientName" not in each[2]]
)
def test_a_search_reads_about_as_many_rows_as_it_answers(filled, level, place, asked):
    """Whatever else is stored, and before the server has counted what it holds."""
    query, _ = parse_query(level, place, list(asked.items()))
    url = filled.database.url.render_as_string(hide_password=False)
    with closing(Index(f"{url}?pool_size=1")) as opened:
        opened.searcher.search(query)
        before = rows_read(opened), rows_read(opened)
        answered = len(opened.searcher.search(query).matches)
        read = rows_read(opened) - before[1] - (before[1] - before[0])

    # Some tables are joined, the rows of a page are numbered and sorted on the way, and the results
    # behind a page are counted up to a limit.
    assert answered < read <= 40 * (answered + query.offset + 2) + Limits().counted_results


def test_the_metadata_of_a_series_takes_two_round_trips(filled, mariadb):
    for place, expected in ((target(7, 1), 3), (target(7), 6)):
        assert len(list(filled.retrieval.documents(place))) == expected

        ask = partial(_documents, filled, place)
        assert round_trips(mariadb, ask) == 1 + expected // 3


def test_indexes_of_many_processes_add_and_remove_at_once(mariadb_url):
    opened = [Index(mariadb_url) for _ in range(6)]  # none shares anything with another

    def work(number, index):
        for n in range(1, 9):
            index.writer.add(
                [new("s", 1, n), new("t", number + 1, n, PatientID="Ps"), new("u", 1, n)]
            )
            if n % 3 == 0:
                index.writer.remove(target("s"), target("u"))

    failed = in_threads(*(lambda n=n, i=i: work(n, i) for n, i in enumerate(opened)))

    assert failed == []
    index = opened[0]
    assert len(index.retrieval.find(target("t"))) == 48
    total = index.retrieval.statistics()
    found = {study: index.retrieval.find(target(study)) for study in ("s", "t", "u")}
    assert total.instances == sum(map(len, found.values()))
    for study, stored in found.items():
        if stored and study != "t":
            assert counts(index, study)[1] == len(stored)
    index.writer.remove(*(target(study) for study in found))
    assert index.retrieval.statistics() == Statistics(0, 0, 0, 0, 0)
    for each in opened:
        each.close()


def test_who_follows_the_changes_misses_none(mariadb_url):
    opened = [Index(mariadb_url) for _ in range(4)]
    follower = Index(mariadb_url)
    start, seen, done = follower.changes.last_sequence(), [], threading.Event()

    def follow():
        last = start
        while not done.is_set() or follower.changes.last_sequence() > last:
            for change in follower.changes.page(last, 7):
                seen.append(change.sequence)
                last = change.sequence

    def add(number, index):
        for n in range(10):
            index.writer.add([new((number, n))])

    following = threading.Thread(target=follow)
    following.start()
    failed = in_threads(*(lambda n=n, i=i: add(n, i) for n, i in enumerate(opened)))
    done.set()
    following.join()

    assert failed == []
    assert len(seen) == 4 * 10 * 4
    assert seen == sorted(set(seen))
    for each in (*opened, follower):
        each.close()


def test_several_that_migrate_at_once_make_one_schema(mariadb):
    url = mariadb.new_database()
    opened = [Index(url) for _ in range(4)]

    assert in_threads(*(each.migrate for each in opened)) == []

    opened[0].writer.add([new()])
    assert opened[3].retrieval.statistics().instances == 1
    for each in opened:
        each.close()


def test_a_connection_that_was_closed_in_a_pause_is_replaced(index, mariadb):
    index.writer.add([new("s", 1, 1)])
    index.retrieval.find(target())
    kill_all(mariadb, index)
    time.sleep(1.1)

    assert len(index.retrieval.find(target())) == 1


def test_a_store_survives_the_loss_of_its_connection(index, mariadb):
    index.writer.add([new("s", 1, 1)])
    kill_all(mariadb, index)

    (added,) = index.writer.add([new("s", 1, 2)])

    assert added.outcome is Outcome.STORED
    assert counts(index) == (1, 2, [2])


def kill_all(mariadb, index):
    """Take its connections from the index, as a fail-over does."""
    user = index.database.url.username
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM information_schema.processlist WHERE user = %s", (user,))
        for (number,) in cursor.fetchall():
            cursor.execute(f"KILL {number}")


@pytest.fixture
def own_server(tmp_path):
    # It will be killed, so what it commits must at least have left the process.
    options = (*FAST, "--innodb-flush-log-at-trx-commit=2")
    with mariadb_server(tmp_path, *options) as server:
        yield server


def test_while_the_database_is_down_clients_are_asked_to_come_again(own_server, tmp_path):
    settings = Settings(data=tmp_path / "files", index=own_server.new_database())
    services = open_services(settings)
    services.index.migrate()
    services.index.writer.add([new()])
    application = create_app(services)
    with TestClient(application, "http://127.0.0.1:8042", raise_server_exceptions=False) as client:
        assert client.get("/dicom-web/studies").status_code == 200

        own_server.stop()
        for path in ("/dicom-web/studies", "/dicom-web/series", "/studies", "/changes"):
            answer = client.get(path)
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
        with pytest.raises(Unavailable):
            services.index.writer.add([new(instance=2)])
        own_server.start()

        assert len(client.get("/dicom-web/studies").json()) == 1
        services.index.writer.add([new(instance=2)])
    services.close()


def test_a_pool_of_one_is_enough_for_every_answer(mariadb_url):
    index = Index(f"{mariadb_url}?pool_size=1")
    index.writer.add([new("s", 1, 1), new("s", 1, 2)])
    engine = index.database.engine
    opened = []
    event.listen(engine, "connect", lambda *_: opened.append(1))
    engine.dispose()

    assert index.retrieval.representative(target()) is not None
    assert len(list(index.retrieval.documents(target()))) == 2
    assert len(index.orthanc.resources(Level.STUDY, 0, 10)) == 1
    index.writer.add([new("s", 1, 3)])

    assert opened == [1]
    index.close()


def test_iam_signs_in_with_a_token_over_tls(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setitem(os.environ, name, "test")
    database = Database(
        "mysql+pymysql://ann@db.example:3307/lenticular?authentication=iam&region=eu-west-1"
    )
    given = []

    def connect(*arguments):
        given.append(arguments[-1])
        raise ConnectionRefusedError

    event.listen(database.engine, "do_connect", connect)

    with pytest.raises(ConnectionRefusedError), database.connect():
        pass

    (parameters,) = given
    assert parameters["password"].startswith("db.example:3307/?Action=connect&DBUser=ann&")
    assert "X-Amz-Signature=" in parameters["password"]
    assert parameters["ssl"]
    assert "authentication" not in parameters


def test_certificates_are_named_in_the_url():
    database = Database("mysql+pymysql://ann@db.example/lenticular?ssl_ca=/etc/rds.pem")

    _, parameters = database.engine.dialect.create_connect_args(database.engine.url)

    assert parameters["ssl"] == {"ca": "/etc/rds.pem"}
