"""A MariaDB for the comparison on MySQL: temporary, durable, and shared by both servers.

Both ask the same server, each in a database of its own. What the server does while one of them
is measured is done for that one, so its CPU time counts as theirs.
"""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
USER, PASSWORD = "bench", "bench"
READY_SECONDS = 60
INSTALL = "mariadb-install-db"
HOW_TO_INSTALL = "MariaDB is not installed: apt-get install mariadb-server"
OPTIONS = {
    "innodb-buffer-pool-size": "1G",
    "innodb-flush-log-at-trx-commit": "1",  # the default: an answered commit is on the disk
    "max-connections": "200",
}


@dataclass(frozen=True, slots=True)
class Database:
    """A database of the server, and where it is."""

    name: str
    port: int

    @property
    def url(self) -> str:
        """Return the URL for our server."""
        return f"mysql+pymysql://{USER}:{PASSWORD}@{HOST}:{self.port}/{self.name}"

    @property
    def plugin(self) -> dict[str, object]:
        """Return the configuration of Orthanc's plug-in; the files stay in its folder."""
        return {
            "EnableIndex": True,
            "EnableStorage": False,
            "EnableSsl": False,
            "Lock": False,
            "Host": HOST,
            "Port": self.port,
            "UnixSocket": "",
            "Database": self.name,
            "Username": USER,
            "Password": PASSWORD,
        }


@dataclass
class MariaDB:
    """A running server."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    facts: dict[str, str] = field(default_factory=dict)

    def new_database(self, name: str) -> Database:
        """An empty database."""
        self._run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return Database(name, self.port)

    def analyze(self, *databases: str) -> None:
        """Let the server count what it holds, which Orthanc's searches need to be planned well."""
        for name in databases:
            shown = self._run(f"SHOW TABLES FROM {name}")
            tables = ", ".join(f"{name}.{table}" for table in shown.split()[1:])
            self._run(f"ANALYZE TABLE {tables}")

    def drop(self, name: str) -> None:
        """Take a database away again."""
        self._run(f"DROP DATABASE {name}")

    def stop(self) -> None:
        """End it; nothing of it is needed afterwards."""
        self.process.kill()
        self.process.wait()

    def _run(self, statement: str) -> str:
        return _client(self.folder, statement)


def start(folder: Path) -> MariaDB:
    """Start a server on an empty folder, and make its user."""
    folder.mkdir(parents=True)
    subprocess.run(
        [
            *(INSTALL, "--no-defaults", "--skip-test-db", f"--datadir={folder / 'data'}"),
            *("--user=root", "--auth-root-authentication-method=normal"),
        ],
        check=True,
        capture_output=True,
    )
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(_command(folder, port), stderr=subprocess.DEVNULL)
    server = MariaDB(folder, port, process)
    _wait(server)
    _client(folder, f"GRANT ALL ON *.* TO '{USER}'@'{HOST}' IDENTIFIED BY '{PASSWORD}'")
    server.facts["version"] = _client(folder, "SELECT VERSION()").split()[-1]
    server.facts |= OPTIONS
    return server


def missing() -> str:
    """Return what has to be installed first; an empty string if nothing."""
    return "" if shutil.which(INSTALL) and shutil.which("mariadbd") else HOW_TO_INSTALL


def _command(folder: Path, port: int) -> Sequence[str]:
    return [
        *("mariadbd", "--no-defaults", "--user=root", f"--datadir={folder / 'data'}"),
        *(f"--bind-address={HOST}", f"--port={port}", f"--socket={folder / 'socket'}"),
        *(f"--log-error={folder / 'log'}", "--skip-name-resolve", "--skip-log-bin"),
        *(f"--{name}={value}" for name, value in OPTIONS.items()),
    ]


def _wait(server: MariaDB) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            _client(server.folder, "SELECT 1")
        except subprocess.CalledProcessError:
            time.sleep(0.1)
        else:
            return
    server.stop()
    raise RuntimeError((server.folder / "log").read_text()[-2000:])


def _client(folder: Path, statement: str) -> str:
    command = ["mariadb", "--no-defaults", f"--socket={folder / 'socket'}", "--user=root"]
    output: str = subprocess.run(
        [*command, "-e", statement], check=True, capture_output=True, text=True
    ).stdout
    return output
