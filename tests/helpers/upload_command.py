"""The command `lenticular upload` as the tests of it run it, and break it off."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import samples, wire
from tests.helpers.server_process import Server, environment_with
from tests.helpers.tcp_relay import Answer, Broken, Passed

SECONDS_TO_WAIT = 120


class Uploads:
    """The command, with a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self._started: list[subprocess.Popen[str]] = []

    def start(
        self, *arguments: object, stdout: int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen[str]:
        """Start it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "lenticular", "upload", *map(str, arguments)],
            env=environment_with({"XDG_STATE_HOME": str(self.state), **environment}),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Leave nothing running."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def __call__(self, *arguments: object, **environment: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, output and errors."""
        process = self.start(*arguments, **environment)
        output, error = process.communicate(timeout=2 * SECONDS_TO_WAIT)
        assert "Traceback" not in error, error
        return process.returncode, output, error

    @property
    def journals(self) -> list[Path]:
        """What it has noted of uploads that are not finished."""
        return list(self.state.rglob("*.jsonl"))


class Gate:
    """A hook that holds back the requests it is meant for, after so many, until it is opened."""

    def __init__(self, meant: Callable[[Passed], bool], after: int = 0) -> None:
        self.meant = meant
        self._left = after
        self._lock = threading.Lock()
        self.reached = threading.Event()
        self.opened = threading.Event()

    def __call__(self, asked: Passed) -> Answer | None:
        """Hold the request, and break it off when that ends."""
        if self.opened.is_set() or not self.meant(asked):
            return None
        with self._lock:
            self._left -= 1
            if self._left >= 0:
                return None
        self.reached.set()
        self.opened.wait(SECONDS_TO_WAIT)
        raise Broken


def until(condition: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + SECONDS_TO_WAIT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on one machine, whatever the backend of other tests is."""
    with Server(tmp_path_factory.mktemp("machine") / "data") as running:
        yield running


@pytest.fixture
def upload(tmp_path: Path) -> Iterator[Uploads]:
    """The command, which knows of no earlier run."""
    uploads = Uploads(tmp_path / "state")
    yield uploads
    uploads.end()


def series(folder: Path, label: str, count: int, size: int = 16) -> Path:
    """A folder with the files of a study."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, count + 1):
        (folder / f"{number:03}.dcm").write_bytes(samples.ct(label, 1, number, size=size))
    return folder


def count(server: Server, label: str) -> int:
    """The instances that are stored of a study."""
    with server.client() as client:
        return len(wire.search(client, f"/studies/{samples.study_uid(label)}/instances"))
