"""SQLite beside a process that was stopped while it wrote: others are answered, and soon served."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lenticular.errors import Unavailable
from lenticular.index import Index
from lenticular.index.records import Outcome
from lenticular.limits import Limits
from tests.helpers.indexes import new, target

LONGEST_ANSWER = 25

WRITE_FOR_LONG = """
import sys, time
from lenticular.index import Index
with Index(sys.argv[1]).database.transaction():
    print("writing", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def index(tmp_path):
    opened = Index(f"sqlite:///{tmp_path / 'index.sqlite'}")
    opened.migrate()
    opened.writer.add([new()])
    yield opened
    opened.close()


@pytest.fixture
def impatient(index):
    """The same index for writers that soon give up."""
    opened = Index(str(index.database.url), limits=Limits(writer_seconds=0.5))
    yield opened
    opened.close()


@pytest.fixture
def stopped(index, tmp_path):
    """A process that writes to the index and was stopped."""
    command = [sys.executable, "-c", WRITE_FOR_LONG, f"sqlite:///{tmp_path / 'index.sqlite'}"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        yield process
        process.send_signal(signal.SIGCONT)


CHANGES = {
    "add": lambda index: index.writer.add([new(instance=2)]),
    "add another": lambda index: index.writer.add([new(instance=3)]),
    "remove": lambda index: index.writer.remove(target()),
}


@pytest.mark.slow
def test_writers_beside_a_stopped_one_are_refused_in_time(index, stopped):
    def change(name: str) -> float:
        started = time.monotonic()
        with pytest.raises(Unavailable) as refusal:
            CHANGES[name](index)
        assert refusal.value.retry_after > 0
        return time.monotonic() - started

    with ThreadPoolExecutor() as writers:
        assert max(writers.map(change, CHANGES)) < LONGEST_ANSWER
    assert len(index.retrieval.find(target())) == 1


def test_writers_go_on_when_the_stopped_one_goes_on(index, impatient, stopped):
    for _ in range(3):
        with pytest.raises(Unavailable):
            CHANGES["add"](impatient)
    with ThreadPoolExecutor() as writers:
        adding = writers.submit(CHANGES["add"], index)
        time.sleep(0.2)
        stopped.send_signal(signal.SIGCONT)
        stopped.communicate(b"\n")
        assert adding.result(5)[0].outcome is Outcome.STORED


def test_a_writer_that_gave_up_does_not_keep_the_lock_from_others(index, impatient, stopped):
    with pytest.raises(Unavailable):
        CHANGES["add"](impatient)
    stopped.send_signal(signal.SIGCONT)
    stopped.communicate(b"\n")
    (added,) = index.writer.add([new(instance=2)])
    assert added.outcome is Outcome.STORED
