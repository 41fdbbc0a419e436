"""Runs the real server as processes of their own, for the tests that must not share ours."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx2
import requests

SECONDS_TO_START = 30


class Server:
    """`python -m lenticular serve` on a free port of 127.0.0.1, in a process group of its own."""

    def __init__(
        self,
        data: Path,
        *arguments: str,
        workers: int = 1,
        port: int | None = None,
        environment: Mapping[str, str] = {},
    ) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = data.with_name(data.name + ".log")
        self._arguments = [
            *(sys.executable, "-m", "lenticular", "serve"),
            *("--port", str(self.port), "--data", str(data), "--workers", str(workers)),
            *arguments,
        ]
        self._environment = environment_with(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_health()
        return self

    def kill(self) -> None:
        """Kill every process of it at once, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def client(self, **options: object) -> httpx2.Client:
        """A new client of this server."""
        return httpx2.Client(base_url=self.url, timeout=120, trust_env=False, **options)

    def session(self) -> requests.Session:
        """A new session of requests, for clients that are built on it."""
        session = requests.Session()
        session.trust_env = False
        return session

    def output(self) -> str:
        """Everything it has printed."""
        return self.log.read_text("utf-8", "replace")

    def processes(self) -> list[int]:
        """The ids of its processes: the one we started and its descendants."""
        assert self._process is not None
        found, todo = [], [self._process.pid]
        while todo:
            process = todo.pop()
            found.append(process)
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
        return found

    def peak_memory(self) -> int:
        """The sum of the largest memory each of its processes ever had, in bytes."""
        return sum(_memory(process, "VmHWM") for process in self.processes())

    def memory(self) -> int:
        """The sum of the memory that its processes have now, in bytes."""
        return sum(_memory(process, "VmRSS") for process in self.processes())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _end(self, by: signal.Signals) -> None:
        if self._process is None:
            return
        os.killpg(self._process.pid, by)
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            raise
        finally:
            self._process = None

    def _await_health(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended at once:\n{self.output()}")
            try:
                # It may be ill, since some tests take its bucket away before.
                if httpx2.get(f"{self.url}/health", trust_env=False).status_code in (200, 503):
                    return
            except httpx2.TransportError:
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.output()}")


def environment_with(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process with these settings of Lenticular and no others."""
    inherited = {name: text for name, text in os.environ.items() if "LENTICULAR_" not in name}
    return {**inherited, **settings}


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _memory(process: int, kind: str) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    line = next((line for line in status.splitlines() if line.startswith(kind)), "none: 0 kB")
    return int(line.split()[1]) * 1024
