"""The databases of the tests: files of SQLite, and a real MariaDB as a process of its own."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from lenticular.index import Index
from lenticular.index.sql.schema import metadata

SECONDS_TO_START = 60
PASSWORD = "only for tests"
# What is stored here may be lost with the machine, and need not wait for its disk.
FAST = (
    *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"),
    *("--innodb-doublewrite=0", "--innodb-flush-method=nosync", "--performance-schema=0"),
    *("--skip-name-resolve", "--skip-log-bin", "--max-connections=300"),
)


@dataclass
class MariaDB:
    """A server, which can be stopped and started again."""

    folder: Path
    port: int
    options: tuple[str, ...] = FAST
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = subprocess.Popen(
            [
                *("mariadbd", "--no-defaults", "--user=root", f"--datadir={self.folder / 'data'}"),
                *("--bind-address=127.0.0.1", f"--port={self.port}"),
                *(f"--socket={self.folder / 'socket'}", f"--log-error={self.folder / 'log'}"),
                *self.options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server as if its machine had failed."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def connect(self) -> pymysql.Connection:
        """A connection of the administrator."""
        return pymysql.connect(unix_socket=str(self.folder / "socket"), user="root")

    def execute(self, *statements: str) -> None:
        """Run statements as the administrator."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def new_database(self) -> str:
        """The URL of a new, empty database, and of a user who has rights only in it."""
        name = f"test_{secrets.token_hex(8)}"
        self.execute(
            f"CREATE DATABASE {name} CHARACTER SET utf8mb4",
            f"GRANT ALL ON {name}.* TO '{name}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
        )
        password = PASSWORD.replace(" ", "%20")
        return f"mysql+pymysql://{name}:{password}@127.0.0.1:{self.port}/{name}"

    def empty(self, url: str) -> None:
        """Take everything out of the tables of a database: much quicker than making new ones."""
        name = url.rpartition("/")[2]
        tables = [f"{name}.{table.name}" for table in metadata.sorted_tables]
        deletions = (f"DELETE FROM {table}" for table in reversed(tables))
        self.execute("SET autocommit=1", *deletions)


def empty_tables(index: Index) -> None:
    """Take everything out of an index, on any database."""
    with index.database.transaction() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(table.delete())


def _migrated(url: str) -> str:
    opened = Index(url)
    opened.migrate()
    opened.close()
    return url


@contextmanager
def mariadb_server(folder: Path, *options: str) -> Iterator[MariaDB]:
    """A server that runs while this lasts; the test is skipped where there can be none."""
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        pytest.skip("MariaDB is not installed here (Debian: mariadb-server)")
    if os.getuid() != 0:
        pytest.skip("MariaDB is only started by root, in containers and on build machines")
    subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", "--user=root", "--skip-test-db"),
            *(f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal"),
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = MariaDB(folder, port, options or FAST)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One server for all tests; each uses databases of its own."""
    with mariadb_server(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_mariadb(mariadb: MariaDB) -> str:
    """The URL of a database with our tables, which tests empty before they use it."""
    return _migrated(mariadb.new_database())


@pytest.fixture
def mariadb_url(mariadb: MariaDB, migrated_mariadb: str) -> str:
    """The URL of a database on MariaDB that is empty but for its tables."""
    mariadb.empty(migrated_mariadb)
    return migrated_mariadb


@dataclass
class SQLiteFiles:
    """A folder of databases."""

    folder: Path

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        return f"sqlite:///{self.folder / secrets.token_hex(8)}.sqlite"


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> SQLiteFiles:
    """A folder for the databases of all tests."""
    return SQLiteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def sqlite_url(sqlite: SQLiteFiles) -> str:
    """The URL of a database on SQLite that is empty but for its tables."""
    return _migrated(sqlite.new_database())


DATABASES = ("SQLite", "MariaDB")
"""The databases that must pass the contract. Each has two fixtures that are named after it: one
with a method `new_database` (`sqlite`), and the URL of a database with our tables only
(`sqlite_url`)."""


def new_database(request: pytest.FixtureRequest) -> str:
    """The URL of a new database without tables, for a fixture with `params=DATABASES`."""
    url: str = request.getfixturevalue(request.param.lower()).new_database()
    return url


def empty_database(request: pytest.FixtureRequest) -> str:
    """The URL of a database with empty tables, for a fixture with `params=DATABASES`."""
    url: str = request.getfixturevalue(f"{request.param.lower()}_url")
    return url


@pytest.fixture(scope="module", params=DATABASES)
def index_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new database for all tests of a module; each uses studies of its own."""
    return new_database(request)


def questions(mariadb):
    """Return the number of statements that the server was sent, this one included."""
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
        return int(cursor.fetchone()[1])


def round_trips(mariadb: MariaDB, ask: Callable[[], object]) -> int:
    """Return the statements this takes: the least seen, for the server counts those of all."""
    counting = min(-questions(mariadb) + questions(mariadb) for _ in range(5))
    asking = []
    for _ in range(5):
        before = questions(mariadb)
        ask()
        asking.append(questions(mariadb) - before)
    return min(asking) - counting


def rows_read(index):
    """Return the rows that the only connection has read; all have to have fitted into memory."""
    with index.database.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE 'Created_tmp_disk_tables'")
        assert cursor.fetchone()[1] == "0"
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(value) for _, value in cursor.fetchall())
