"""The two servers: started on ports and folders of their own, watched, and stopped."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.driver import HOST, Client, Request
from bench.mysql import Database, MariaDB

PACKAGE = Path(__file__).parents[1] / "layers" / "lenticular"
ORTHANC = ("/usr/sbin/Orthanc", "/usr/bin/Orthanc", "/usr/local/sbin/Orthanc")
ORTHANC_PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
DICOMWEB_PLUGIN, MYSQL_PLUGIN = "libOrthancDicomWeb", "libOrthancMySQLIndex"
HOW_TO_INSTALL = "Orthanc is missing: apt-get install orthanc orthanc-dicomweb orthanc-mysql"
TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 60


@dataclass
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    facts: dict[str, str] = field(default_factory=dict)
    mariadb: MariaDB | None = None

    def client(self) -> Client:
        """A new connection to it."""
        return Client(self.port)

    def pids(self) -> list[int]:
        """Its process and all that descend from it."""
        return _descendants(self.process.pid)

    def cpu_seconds(self) -> float:
        """The CPU time of all its processes since they began, and of the database it asks."""
        database = [self.mariadb.process.pid] if self.mariadb else []
        return sum(_cpu_ticks(pid) for pid in [*self.pids(), *database]) / TICKS

    def stop(self) -> None:
        """Ask it to end, and end it when it does not."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def wait_until_ready(self) -> None:
        """Wait for its first answer."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, EOFError), self.client() as client:
                if client.send(Request("/system")).status == 200:
                    return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")


def start_ours(folder: Path, workers: int | None, database: Database | None = None) -> Server:
    """Start our server on an empty folder, with its own defaults where nothing is said."""
    port = _free_port()
    program = [sys.executable, "-m", "lenticular"]
    command = [*program, "serve", "--port", str(port), "--data", str(folder / "data")]
    if workers is not None:
        command += ["--workers", str(workers)]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LENTICULAR_")
    }
    paths = [str(PACKAGE), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    if database is not None:
        environment["LENTICULAR_INDEX"] = database.url
    server = _start("Lenticular", command, port, folder, environment)
    server.facts |= _facts(program, environment)
    if workers is not None:
        server.facts["workers"] = str(workers)
    return server


def start_orthanc(folder: Path, database: Database | None = None) -> Server:
    """Start Debian's Orthanc on an empty folder with SQLite or MySQL and the DICOMweb plug-in."""
    program = orthanc_program()
    if program is None:
        raise FileNotFoundError(HOW_TO_INSTALL)
    port = _free_port()
    folder.mkdir(parents=True, exist_ok=True)
    plugins = [str(_plugin(DICOMWEB_PLUGIN))]
    configuration: dict[str, Any] = {
        "StorageDirectory": str(folder / "data"),
        "IndexDirectory": str(folder / "data"),
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "DicomServerEnabled": False,
        "Plugins": plugins,
    }
    if database is not None:
        configuration["MySQL"] = database.plugin
        plugins.append(str(_plugin(MYSQL_PLUGIN)))
    path = folder / "orthanc.json"
    path.write_text(json.dumps(configuration, indent=2))
    server = _start("Orthanc", [program, str(path)], port, folder, dict(os.environ))
    with server.client() as client:
        server.facts["version"] = client.send(Request("/system")).json()["Version"]
        for name in ("dicom-web", *(["mysql-index"] if database else [])):
            plugin = client.send(Request(f"/plugins/{name}"))
            server.facts[name] = plugin.json()["Version"] if plugin.status == 200 else "missing"
    return server


def orthanc_program() -> str | None:
    """Return the path of Orthanc if its DICOMweb plug-in is installed as well."""
    program = shutil.which("Orthanc") or next(filter(os.path.exists, ORTHANC), None)
    return program if program and _plugin(DICOMWEB_PLUGIN) else None


def has_mysql_plugin() -> bool:
    """True if Orthanc's plug-in for an index on MySQL is installed."""
    return _plugin(MYSQL_PLUGIN) is not None


def machine_cpu_seconds() -> float:
    """The CPU time that the whole machine has spent since it started."""
    values = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, interrupts, soft = map(int, values[:7])
    return (user + nice + system + interrupts + soft) / TICKS


class Memory:
    """Samples the memory of a server while a `with` block runs.

    Pages that processes share are divided between them (PSS), so the sum is what the machine
    really spends; `largest` is the resident size of the largest single process.
    """

    def __init__(self, server: Server, seconds: float = 0.1) -> None:
        self.peak = 0.0
        self.largest = 0.0
        self._server = server
        self._seconds = seconds
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> "Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            readings = [_memory(pid) for pid in self._server.pids()]
            self.peak = max(self.peak, sum(reading[0] for reading in readings))
            self.largest = max(self.largest, *(reading[1] for reading in readings))
            if self._end.wait(self._seconds):
                return


def _start(
    name: str, command: Sequence[str], port: int, folder: Path, environment: dict[str, str]
) -> Server:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name.lower()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    server = Server(name, port, process, log)
    server.wait_until_ready()
    return server


def _facts(program: Sequence[str], environment: dict[str, str]) -> dict[str, str]:
    """Our version, and how many workers it starts when it is told nothing."""

    def said(*arguments: str) -> str:
        command = [*program, *arguments]
        return subprocess.check_output(command, env=environment, text=True).strip()

    settings = dict(line.split(" = ", 1) for line in said("config", "show").splitlines())
    return {"version": said("--version").split()[-1], "workers": settings["workers"]}


def _plugin(name: str) -> Path | None:
    for folder in ORTHANC_PLUGINS:
        for path in sorted(Path(folder).glob(f"{name}.so*")):
            return path
    return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _descendants(pid: int) -> list[int]:
    found = [pid]
    for parent in found:  # grows while it is walked
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def _cpu_ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        # The name of the program, in brackets, may hold spaces.
        values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, values[11:15]))  # user, system, and both of ended children
    return 0


def _memory(pid: int) -> tuple[float, float]:
    """PSS and RSS of one process in megabytes."""
    values = {"Pss": 0.0, "Rss": 0.0}
    with contextlib.suppress(OSError):
        values |= dict(_rollup(pid))
    return values["Pss"], values["Rss"]


def _rollup(pid: int) -> Iterator[tuple[str, float]]:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.replace(":", " ").split()
        yield key, int(value) * 1024 / 1e6
