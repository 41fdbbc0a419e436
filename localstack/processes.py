"""Processes that go on after the command that has started them, and how they are found again."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

SECONDS = 120


def start(
    pid_file: Path, command: Sequence[object], environment: Mapping[str, str], folder: Path
) -> None:
    """Start a program in the background; what it prints goes to a .log beside its pid file."""
    with pid_file.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    pid_file.write_text(f"{process.pid} {_started(process.pid)}")


def stop(pid_file: Path) -> None:
    """Stop a program of an earlier command, with all that it has started."""
    if not pid_file.exists():
        return
    pid, _, started = pid_file.read_text().partition(" ")
    # Numbers are used again: only the process that was started at that moment is ours.
    if started and _started(int(pid)) == started:
        os.killpg(int(pid), signal.SIGTERM)
        try:
            wait_until(lambda: _started(int(pid)) != started, "", seconds=20)
        except TimeoutError:
            os.killpg(int(pid), signal.SIGKILL)
    pid_file.unlink()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def lives(pid_file: Path) -> bool:
    """True if the program still runs."""
    pid, _, started = pid_file.read_text().partition(" ")
    return bool(started) and _started(int(pid)) == started


def wait_until(condition: Callable[[], bool], complaint: str, seconds: float = SECONDS) -> None:
    """Wait, but not for ever."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.1)


def await_start(pid_file: Path, answers: Callable[[], bool]) -> None:
    """Wait until a program answers; end with the last that it has printed when it does not."""
    try:
        wait_until(lambda: answers() or not lives(pid_file), "it does not answer")
        if answers():
            return
    except TimeoutError:
        pass
    log = pid_file.with_suffix(".log")
    sys.exit(
        f"{pid_file.stem} does not start; see {log}:\n{log.read_text('utf-8', 'replace')[-2000:]}"
    )


def _started(pid: int) -> str:
    """When a process was started; nothing for none and for one that is only remembered."""
    done = subprocess.run(
        ["ps", "-p", str(pid), "-o", "stat=,lstart="],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    state, _, started = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
