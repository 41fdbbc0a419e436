"""Cold starts: each function in a fresh process, from its layers as Lambda has them.

INIT (the import of the handler) and the first answer, in turns with the bare import of fastapi by
the same interpreter from the same layers: ratios hold where times do not. The files are in moto's
S3, the index on SQLite and, where it is installed, on MariaDB. Then the same under AWS's runtime
interface emulator, when `make stack` has fetched it. Nothing here is asked for a second time, so
what is reported beside the median is the least: noise only adds.
"""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from bench import mysql
from bench.measure import say
from bench.report import Goal, Row, Section

ROOT = Path(__file__).parents[1]
LAYERS = ROOT / "build" / "layers"
EVENTS = ROOT / "events"
STACK = ROOT / "build" / "stack"
BUCKET = "lenticular"  # as the sample events name it
FASTAPI = "import fastapi"
GOAL = Goal(2)
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

_IMPORT = f"""
import time
start = time.perf_counter()
{FASTAPI}
print((time.perf_counter() - start) * 1e3, 0)
"""
_CALL = """
import importlib, json, sys, time
from types import SimpleNamespace
start = time.perf_counter()
handler = importlib.import_module(sys.argv[1]).handler
ready = time.perf_counter()
arn = "arn:aws:lambda:eu-central-1:1:function:f"
names = {"function_name": "f", "memory_limit_in_mb": 1769, "invoked_function_arn": arn}
left = {"get_remaining_time_in_millis": lambda: 900000}
answer = handler(json.loads(sys.argv[2]), SimpleNamespace(**names, **left, aws_request_id="1"))
done = time.perf_counter()
if answer and answer.get("statusCode", 200) != 200:
    sys.exit(f"{answer}")
print((ready - start) * 1e3, (done - ready) * 1e3)
"""
_IMPORT_TIME = re.compile(r"import time:\s+(\d+) \|\s+\d+ \| \s*([\w.]+)")


@dataclass(frozen=True, slots=True)
class Case:
    """A function, and the first that is asked of it."""

    function: str
    work: str
    event: str
    goal: Goal | None = None
    traced: bool = False


MIGRATE = Case("maintenance", "migrate", "maintenance-migrate")
CASES = (
    Case("upload", "STOW", "upload-stow"),
    Case("dicomweb", "search", "dicomweb-search", GOAL),
    Case("dicomweb", "search, traced", "dicomweb-search", traced=True),
    Case("dicomweb", "metadata", "dicomweb-metadata"),
    Case("dicomweb", "instance", "dicomweb-retrieve"),
    Case("preview", "rendered", "preview-rendered"),
    Case("ingest", "message of the queue", "ingest-dropped"),
    MIGRATE,
)
OFTEN = tuple(case for case in CASES if case.event in ("upload-stow", "dicomweb-search"))


class CannotStartError(Exception):
    """Raised when this machine lacks something that a measurement needs."""


def measure(folder: Path, quick: bool) -> list[Section]:
    """All sections; none when this machine has no Python of the functions' version."""
    try:
        python = _python()
    except CannotStartError as error:
        say(str(error))
        return []
    subprocess.run(
        ["make", "--quiet", "-C", str(ROOT / "layers"), f"PYTHON={sys.executable}"], check=True
    )
    rounds = 3 if quick else 5
    # As Lambda has it: the layers bring byte code, the functions' own few lines are compiled.
    task = folder / "task"
    shutil.copytree(ROOT / "functions", task, ignore=shutil.ignore_patterns("__pycache__"))
    # A copy, for tests and `make stack` build this layer anew whenever a file of it has changed.
    shutil.copytree(LAYERS / "lenticular" / "python", folder / "package")
    with _s3() as s3:
        place = _Place(python, task, s3, f"sqlite:///{folder / 'cold.sqlite'}")
        sections = [_cold("SQLite", place, CASES, rounds)]
        if not mysql.missing():
            database = mysql.start(folder / "cold-mariadb")
            try:
                url = database.new_database("cold").url + "?pool_size=1"
                sections.append(_cold("MariaDB", replace(place, index=url), OFTEN, rounds))
            finally:
                database.stop()
        sections += _emulated(place, rounds)
        sections.append(_breakdown(place, rounds))
    return sections


@dataclass(frozen=True, slots=True)
class _Place:
    """An interpreter, and what the environment of a function says."""

    python: str
    task: Path
    s3: dict[str, str]
    index: str

    def environment(self, case: Case | None = None) -> dict[str, str]:
        folders = [self.task, LAYERS / "dependencies" / "python", self.task.parent / "package"]
        if case and case.function == "preview":
            folders.append(LAYERS / "codecs" / "python")
        return {
            **self.s3,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(map(str, folders)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_FUNCTION_NAME": "function",
            "LAMBDA_TASK_ROOT": str(self.task),
            "LENTICULAR_STORAGE": f"s3://{BUCKET}",
            "LENTICULAR_INDEX": self.index,
            "LENTICULAR_ALLOWED_ORIGINS": "*",
            "PYDANTIC_DISABLE_PLUGINS": "true",
            "POWERTOOLS_SERVICE_NAME": case.function if case else "none",
            **({"_X_AMZN_TRACE_ID": TRACE} if case and case.traced else {}),
        }

    def run(self, *arguments: str, case: Case | None = None) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.python, "-s", *arguments],
            env=self.environment(case),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{case} fails: {done.stderr[-2000:]}")
        return done

    def start(self, case: Case | None) -> tuple[float, float]:
        """Milliseconds of INIT and of the first answer; of the import of fastapi without a case."""
        if case is None:
            done = self.run("-c", _IMPORT)
        else:
            event = (EVENTS / f"{case.event}.json").read_text()
            done = self.run("-c", _CALL, f"{case.function}.handler", event, case=case)
        init, first = done.stdout.split("\n")[-2].split()
        return float(init), float(first)


def _cold(index: str, place: _Place, cases: Sequence[Case], rounds: int) -> Section:
    """These cases, in turns with the import of fastapi."""
    for case in (MIGRATE, *cases, None):
        place.start(case)  # stores what the others read, and brings everything off the disk
    times: dict[Case | None, list[tuple[float, float]]] = {case: [] for case in (None, *cases)}
    for _ in range(rounds):
        for case, measured in times.items():
            measured.append(place.start(case))
    bare = [sum(pair) for pair in times[None]]
    section = Section(f"Cold start, index on {index}", "import fastapi")
    for case in cases:
        totals = [sum(pair) for pair in times[case]]
        init, first = min(zip(totals, times[case], strict=True))[1]
        note = (
            f"INIT {init:.0f}, first answer {first:.0f}; medians {statistics.median(totals):.0f}"
            f" and {statistics.median(bare):.0f}"
        )
        work = f"{case.function}: {case.work}"
        section.rows.append(Row(work, "ms", min(totals), min(bare), case.goal, note))
    return section


def _breakdown(place: _Place, rounds: int) -> Section:
    """Return the import time of functions/dicomweb by package."""
    ours = _packages(place, "import dicomweb.handler", rounds)
    bare = _packages(place, FASTAPI, rounds)
    section = Section("What a search imports", "import fastapi")
    section.remarks.append("By `python -X importtime`, which itself takes time; least of all runs.")
    for package, milliseconds in sorted(ours.items(), key=lambda item: -item[1])[:14]:
        section.rows.append(Row(package, "ms", milliseconds, bare.get(package)))
    return section


def _packages(place: _Place, code: str, rounds: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for _ in range(rounds):
        done = place.run("-X", "importtime", "-c", code)
        counted: dict[str, float] = defaultdict(float)
        for microseconds, module in _IMPORT_TIME.findall(done.stderr):
            counted[_package(module)] += int(microseconds) / 1e3
        best = counted if not best or sum(counted.values()) < sum(best.values()) else best
    return best


def _package(module: str) -> str:
    name = module.partition(".")[0]
    return "the standard library" if name in sys.stdlib_module_names or name[0] == "_" else name


def _emulated(place: _Place, rounds: int) -> list[Section]:
    """The first call under AWS's runtime interface emulator, which runs INIT within it."""
    emulators = list(STACK.glob("sam/lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-x86*"))
    runtime = STACK / "runtime" / "bin" / "python"
    if not emulators or not runtime.exists() or os.uname().machine != "x86_64":
        say("Without `make stack` there is no runtime interface emulator to measure under.")
        return []
    package = place.task / "bare"
    package.mkdir()
    (package / "handler.py").write_text(f"{FASTAPI}\n\ndef handler(*_):\n    return None\n")
    bare = Case("bare", "", "dicomweb-search")
    times: dict[Case, list[float]] = {case: [] for case in (bare, *OFTEN)}
    for _ in range(rounds):
        for case, measured in times.items():
            measured.append(_first_call(emulators[0], runtime, place, case))
    section = Section("Cold start under the runtime interface emulator", "import fastapi")
    section.remarks.append(
        "Duration of the first call as the emulator reports it, with the start of Python, of AWS's"
        " runtime client and INIT; beside it that of a function that only imports fastapi."
    )
    for case in OFTEN:
        note = f"medians {statistics.median(times[case]):.0f}, {statistics.median(times[bare]):.0f}"
        work = f"{case.function}: {case.work}"
        section.rows.append(Row(work, "ms", min(times[case]), min(times[bare]), None, note))
    return [section]


def _first_call(emulator: Path, runtime: Path, place: _Place, case: Case) -> float:
    own, api = _free_port(), _free_port()
    process = subprocess.Popen(
        [
            *(str(emulator), "--log-level", "error"),
            *("--runtime-interface-emulator-address", f"127.0.0.1:{own}"),
            *("--runtime-api-address", f"127.0.0.1:{api}"),
            *(str(runtime), "-m", "awslambdaric", f"{case.function}.handler.handler"),
        ],
        env=place.environment(case),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _await(own)
        headers = {"X-Amzn-Trace-Id": TRACE} if case.traced else {}
        request = urllib.request.Request(
            f"http://127.0.0.1:{own}/2015-03-31/functions/function/invocations",
            (EVENTS / f"{case.event}.json").read_bytes(),
            headers,
        )
        urllib.request.urlopen(request, timeout=60).read()
    finally:
        process.terminate()
        log, _ = process.communicate()
    return max(map(float, re.findall(r"\tDuration: ([\d.]+) ms", log)))


@contextmanager
def _s3() -> Iterator[dict[str, str]]:
    """A moto server with our bucket, and the environment by which it is found."""
    port = _free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await(port)
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT")).read()
        yield {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
    finally:
        process.terminate()
        process.wait()


def _python() -> str:
    """The interpreter of the functions' version."""
    installed = Path("~/.pyenv/versions").expanduser().glob("3.13.*/bin/python")
    found = [shutil.which("python3.13"), *map(str, installed)]
    check = "import sys; sys.exit(sys.version_info[:2] != (3, 13))"
    for candidate in filter(None, found):
        if subprocess.call([candidate, "-c", check], stderr=subprocess.DEVNULL) == 0:
            return candidate
    raise CannotStartError("Cold starts are not measured: there is no Python 3.13 here.")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def _await(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise CannotStartError(f"Nothing answers at port {port}.")
