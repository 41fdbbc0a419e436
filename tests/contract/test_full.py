"""A database without room: the client is told so, nothing is half there, and reading goes on."""

import random
import string
from contextlib import contextmanager

import pymysql
import pytest
from sqlalchemy import event
from starlette.testclient import TestClient

from lenticular.errors import StorageFull
from lenticular.index.sql.database import Database
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.web.app import create_app
from tests.helpers import samples, wire
from tests.helpers.databases import FAST, mariadb_server


def fill(client, first: int = 1) -> int:
    """Store until it is refused; the number of the one that was."""
    for number in range(first, 400):
        answer = wire.store(client, content(number))
        if answer.status_code != 200:
            assert answer.status_code == 507, answer.text
            assert "full" in answer.json()["detail"]
            return number
    raise AssertionError("there was always room")


def content(number: int) -> bytes:
    # Text is kept in the index; this does not become much smaller there.
    text = "".join(random.Random(number).choices(string.ascii_letters, k=50_000))
    return samples.ct("full", instance=number, TextValue=text)


def assert_consistent(client, services, stored: int) -> None:
    (study,) = client.get("/dicom-web/studies?includefield=00201208").json()
    assert study["00201208"]["Value"] == [stored]
    assert len(client.get("/dicom-web/instances?limit=1000").json()) == stored
    assert len(list(services.storage.keys("instances/"))) == stored


@contextmanager
def running(settings: Settings):
    """The application on a new index, and its services."""
    services = open_services(settings)
    services.index.migrate()
    app = create_app(services)
    with TestClient(app, "http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client, services
    services.close()


def test_a_full_disk_under_sqlite_is_told_and_over_when_there_is_room(tmp_path):
    with running(Settings(data=tmp_path)) as (client, services):
        engine = services.index.database.engine
        pages = [300]

        def limit(connection, _) -> None:
            connection.execute(f"PRAGMA max_page_count={pages[-1]}")

        engine.dispose()
        event.listen(engine, "connect", limit)
        refused = fill(client)
        assert refused > 1
        assert_consistent(client, services, refused - 1)
        assert client.post("/instances", content=content(refused)).status_code == 507

        pages.append(100_000)
        engine.dispose()
        assert wire.store(client, content(refused)).status_code == 200
        assert_consistent(client, services, refused)


def test_a_full_table_on_mariadb_is_told(tmp_path):
    # All tables in one file that does not grow.
    options = ("--innodb-file-per-table=0", "--innodb-data-file-path=ibdata1:12M;ibdata2:4M")
    with mariadb_server(tmp_path, *FAST, *options) as server:
        settings = Settings(data=tmp_path / "files", index=server.new_database())
        with running(settings) as (client, services):
            refused = fill(client)
            assert refused > 1
            assert_consistent(client, services, refused - 1)


@pytest.mark.parametrize("code", [1021, 1114])
def test_what_mysql_says_without_room_is_known(code):
    dialect = Database("mysql+pymysql://127.0.0.1/none").dialect
    full = dialect.refusal(pymysql.err.OperationalError(code, "full"))
    assert isinstance(full, StorageFull)
    no_space = pymysql.err.OperationalError(1030, 'Got error 28 "No space left on device"')
    assert isinstance(dialect.refusal(no_space), StorageFull)
    assert dialect.refusal(pymysql.err.OperationalError(1030, "Got error 122")) is None


def test_a_store_that_the_index_cannot_take_leaves_no_file(tmp_path):
    with running(Settings(data=tmp_path)) as (client, services):
        with services.index.database.transaction() as connection:
            connection.exec_driver_sql("ALTER TABLE documents RENAME TO elsewhere")

        assert wire.store(client, content(1)).status_code == 503

        assert list(services.storage.keys("instances/")) == []
