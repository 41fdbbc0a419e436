"""The index of the stack on this machine: Debian's MariaDB as a process, emptied at every start."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import processes
from environments import PLACE, CannotBeHad

HOST = "127.0.0.1"
PID_FILE = PLACE / "mariadb.pid"
# Nothing here outlives a restart, so nothing waits for the disk.
FAST = (
    *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--skip-log-bin"),
    *("--innodb-buffer-pool-size=64M", "--skip-name-resolve", "--max-connections=300"),
)


def check() -> None:
    """See that it is on this machine, unless another index was named."""
    if os.environ.get("STACK_INDEX"):
        return
    if shutil.which("mariadbd") is None or shutil.which("mariadb-install-db") is None:
        raise CannotBeHad(
            "There is no MariaDB on this machine for the index: install it (Debian: apt install"
            " mariadb-server), or name an index with STACK_INDEX=mysql+pymysql://user:password@host/name"
            " (or STACK_INDEX=sqlite:////tmp/index.sqlite)."
        )


def start(bridge: str | None) -> str:
    """Start it for this machine and for containers, and return the URL of an empty database."""
    check()
    folder = PLACE / "mariadb"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _install(folder)
    password = secrets.token_hex(16)
    port = processes.free_port()
    setup = folder / "setup.sql"
    setup.touch(mode=0o600)
    setup.write_text(
        "CREATE DATABASE lenticular CHARACTER SET utf8mb4;\n"
        "CREATE DATABASE lenticular_local CHARACTER SET utf8mb4;\n"
        f"CREATE USER lenticular@'%' IDENTIFIED BY '{password}';\n"
        "GRANT ALL ON `lenticular%`.* TO lenticular@'%';\n"
    )
    command = [
        *("mariadbd", "--no-defaults", *_user(), f"--datadir={folder / 'data'}"),
        *(
            f"--bind-address={','.join(filter(None, [HOST, bridge]))}",
            f"--port={port}",
            "--socket=socket",
        ),
        *(f"--init-file={setup}", *FAST),
    ]
    processes.start(PID_FILE, command, dict(os.environ), folder)
    processes.await_start(PID_FILE, lambda: _answers(port))
    return f"mysql+pymysql://lenticular:{password}@{HOST}:{port}/lenticular?pool_size=1"


def stop() -> None:
    """Stop it."""
    processes.stop(PID_FILE)


def _install(folder: Path) -> None:
    done = subprocess.run(
        [
            *("mariadb-install-db", "--no-defaults", *_user(), "--skip-test-db"),
            *(f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"MariaDB cannot make its tables:\n{done.stdout[-2000:]}")


def _user() -> list[str]:
    # It refuses to be root unless told to.
    return ["--user=root"] if os.getuid() == 0 else []


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
