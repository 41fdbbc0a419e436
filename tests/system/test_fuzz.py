"""Damaged files and odd requests, one after the other, against the real server.

`pytest tests/system/test_fuzz.py --fuzz-seconds 600` goes on for longer, `--fuzz-seed` with the
same files asks once more what was asked when it broke.
"""

import random
import time
from contextlib import closing

import pytest

from tests.helpers.files.corpus import corpus_files
from tests.helpers.fuzz.fuzzer import LARGEST_FILE, Broken, Fuzzer
from tests.helpers.server_process import Server

WARM_AFTER = 0.5
"""The share of the time after which the server has loaded all it needs and filled its caches."""
GONE = "the handler is closed"
MAY_GROW_BY = 150 * 1024 * 1024
"""One large picture may leave some fifty megabytes, in each of two processes."""


@pytest.mark.slow
@pytest.mark.not_on_stack("looks at the processes of the server")
def test_nothing_that_is_sent_breaks_the_server_or_makes_it_grow(backend, tmp_path, pytestconfig):
    seed = pytestconfig.getoption("--fuzz-seed")
    seed = random.randrange(10**9) if seed is None else seed
    print(f"--fuzz-seed {seed}")
    files = [path for path in corpus_files() if path.stat().st_size <= LARGEST_FILE]
    with (
        backend.server(tmp_path) as server,
        closing(Fuzzer(server, seed, files, tmp_path)) as fuzzer,
    ):
        processes = server.processes()
        try:
            warm, grown = ask(server, fuzzer, pytestconfig.getoption("--fuzz-seconds"))
        except Broken as broken:
            pytest.fail(f"{broken}\n--fuzz-seed {seed}\n{server.output()[-3000:]}")
        print(f"{fuzzer.statuses.total()} requests, {warm >> 20} MiB, then {grown >> 20} MiB more")
        print(dict(fuzzer.statuses))
        assert server.processes() == processes
        assert complaints(server) == []
        assert grown < MAY_GROW_BY


def complaints(server: Server) -> list[str]:
    """What the log has of mistakes; a client that went away is none of ours."""
    lines = (line for line in server.output().splitlines() if "Traceback" in line)
    return [line for line in lines if GONE not in line]


def ask(server: Server, fuzzer: Fuzzer, seconds: float) -> tuple[int, int]:
    """Ask for so long; the memory in between, and how much more it is in the end."""
    began, warm = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        fuzzer.step()
        if not warm and passed > seconds * WARM_AFTER:
            warm = server.memory()
    fuzzer.check_all()
    return warm, server.memory() - warm
