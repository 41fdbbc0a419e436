"""`python -m bench`: our server and Debian's Orthanc, measured in turns in one run."""

import argparse
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import coldstart, large, mysql, parse, report
from bench.files import ELEMENTS, Shape, Templates
from bench.fill import fill
from bench.measure import Pair, load, reads, say, stores
from bench.report import Section
from bench.servers import (
    HOW_TO_INSTALL,
    Server,
    has_mysql_plugin,
    machine_cpu_seconds,
    orthanc_program,
    start_orthanc,
    start_ours,
)
from bench.work import FEW, MANY, ON_MYSQL, ON_SQLITE, STORED, rest, retrieval, searches

DEFAULT_PARTS = ("parse", "store", "read", "big", "large")
COMPARED = ("store", "read", "big")
PARTS = (*DEFAULT_PARTS, "coldstart", "growth")
"""`big` is 100,000 instances, `large` an object of 2 GB and one of 100,000 frames, `growth` a
search in 1,000 and in 100,000 studies, `coldstart` functions of Lambda."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for and print the table."""
    options = _options(arguments)
    with_orthanc = options.servers != "ours" and _has_orthanc(options.mysql)
    if options.servers != "ours" and not with_orthanc:
        say(f"{HOW_TO_INSTALL} (measuring ours alone)")
    if options.mysql and mysql.missing():
        say(mysql.missing())
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="lenticular-bench-", dir=options.folder))
    bench = Bench(options, folder, with_orthanc)
    try:
        bench.run()
    finally:
        bench.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    text = bench.report()
    print(text)
    if options.output:
        options.output.write_text(text)
    return 0


class Bench:
    """One run: the servers it started, and the sections that it measured."""

    def __init__(self, options: argparse.Namespace, folder: Path, with_orthanc: bool) -> None:
        self._options = options
        self._folder = folder
        self._with_orthanc = with_orthanc
        self._files = options.folder / "lenticular-bench-files"
        self._templates = Templates(self._files, options.elements)
        self._sections: list[Section] = []
        self._facts: dict[str, dict[str, str]] = {}
        self._servers: list[Server] = []
        self._goals = ON_MYSQL if options.mysql else ON_SQLITE
        self._began = time.monotonic(), machine_cpu_seconds()
        self._load = os.getloadavg()[0]
        self._mariadb: mysql.MariaDB | None = None

    def run(self) -> None:
        """Measure everything that was asked for, each part on servers of its own."""
        if self._options.mysql:
            self._mariadb = mysql.start(self._folder / "mariadb")
            self._facts["MariaDB"] = self._mariadb.facts
        for part, measure in (
            ("parse", self._parse),
            ("coldstart", self._coldstart),
            ("store", self._store),
            ("read", self._read),
            ("big", self._big),
            ("large", self._large),
            ("growth", self._growth),
        ):
            if part in self._options.parts:
                measure(self._options.quick)
                self._stop_servers()

    def stop(self) -> None:
        """Stop everything that still runs."""
        self._stop_servers()
        if self._mariadb is not None:
            self._mariadb.stop()

    def _stop_servers(self) -> None:
        """Stop the servers of a part, and free the disk."""
        for server in self._servers:
            server.stop()
            if not self._options.keep:
                shutil.rmtree(server.log.parent, ignore_errors=True)
        self._servers = []

    def report(self) -> str:
        """The table of this run, in Markdown."""
        command = " ".join(["python -m bench", *sys.argv[1:]])
        rows = report.facts(self._facts, command, self._options.folder)
        rows.append(("CPU that others took meanwhile", f"{self._other_cpu():.1f} cores"))
        rows.append(("Load before the run", f"{self._load:.1f}"))
        return report.markdown(self._sections, rows)

    def _parse(self, quick: bool) -> None:
        row = parse.measure(self._files, 50 if quick else 300)
        if row is not None:
            self._sections.append(Section("Head of a file", "pydicom", [row]))

    def _coldstart(self, quick: bool) -> None:
        self._sections += coldstart.measure(self._folder, quick)

    def _store(self, quick: bool) -> None:
        pair = self._pair("store")
        self._sections.append(
            stores(pair, self._templates.picture, STORED, self._goals.store, quick)
        )

    def _read(self, quick: bool) -> None:
        count = 18 if quick else 63
        pair, goals = self._pair("read"), self._goals
        self._sections += [
            load(pair, self._templates.picture, FEW, "CT of 0.5 MB"),
            reads(
                pair,
                f"Search, {FEW.total:,} instances",
                searches(FEW, self._goals.search_few, count * 2),
            ),
            reads(pair, "Retrieve (DICOMweb)", retrieval(FEW, count, goals.metadata)),
            reads(pair, "Orthanc's REST", rest(FEW, count)),
        ]

    def _big(self, quick: bool) -> None:
        shape = Shape(MANY.number, 100, 4, 25, MANY.days) if quick else MANY
        pair = self._pair("big")
        title = f"Search, {shape.total:,} instances"
        self._sections.append(load(pair, self._templates.tiny, shape, "tiny instances"))
        if self._mariadb is not None:
            self._mariadb.analyze("big_orthanc")
        work = searches(shape, self._goals.search_many, 18 if quick else 63)
        self._sections.append(reads(pair, title, work))

    def _large(self, _quick: bool) -> None:
        server = self._ours("large")
        self._sections += [large.memory(server), large.frames(server)]

    def _growth(self, quick: bool) -> None:
        shape, few = large.of_growth(quick)
        sparse, full = (self._filled(shape, studies) for studies in (few, shape.studies))
        self._sections.append(large.growth(full, sparse, shape, few))

    def _pair(self, name: str) -> Pair:
        ours = None if self._options.servers == "orthanc" else self._ours(name)
        theirs = None
        if self._with_orthanc:
            database = self._database(f"{name}_orthanc")
            theirs = self._started(start_orthanc(self._folder / f"{name}-orthanc", database))
        return Pair(ours, theirs)

    def _ours(self, name: str) -> Server:
        database, folder = self._database(f"{name}_ours"), self._folder / f"{name}-ours"
        return self._started(start_ours(folder, self._options.workers, database))

    def _filled(self, shape: Shape, studies: int) -> Server:
        """Our server on an index of so many studies."""
        say(f"filling an index with {studies:,} studies")
        database, folder = self._database(f"of_{studies}"), self._folder / f"of-{studies}"
        url = database.url if database else f"sqlite:///{folder / 'data' / 'index.sqlite'}"
        fill(url, self._templates, shape, studies)
        return self._started(start_ours(folder, self._options.workers, database))

    def _database(self, name: str) -> mysql.Database | None:
        return self._mariadb.new_database(name) if self._mariadb else None

    def _started(self, server: Server) -> Server:
        server.mariadb = self._mariadb
        self._servers.append(server)
        self._facts[server.name] = server.facts
        return server

    def _other_cpu(self) -> float:
        began, machine = self._began
        elapsed = time.monotonic() - began
        # The servers are our children and have ended, so they are in the second.
        own = sum(
            usage.ru_utime + usage.ru_stime
            for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        )
        return max(0.0, (machine_cpu_seconds() - machine - own) / elapsed)


def _has_orthanc(with_mysql: bool) -> bool:
    return orthanc_program() is not None and (has_mysql_plugin() or not with_mysql)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, for a first look")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=DEFAULT_PARTS, help="these parts and no other"
    )
    parser.add_argument(
        "--mysql", action="store_true", help="both on a MariaDB that is started for the run"
    )
    parser.add_argument("--workers", type=int, help="of our server; its default when not given")
    parser.add_argument("--elements", type=int, default=ELEMENTS, help="in the head of a CT")
    parser.add_argument("--servers", choices=("both", "ours", "orthanc"), default="both")
    parser.add_argument("--output", type=Path, help="write the table there too")
    parser.add_argument("--keep", action="store_true", help="leave the data of the servers")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="where the files and the data of both servers go (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    options.parts = options.only
    if options.servers == "orthanc":
        options.parts = [part for part in options.parts if part in COMPARED]
    if options.mysql:
        options.parts = [part for part in options.parts if part in (*COMPARED, "growth")]
    return options


if __name__ == "__main__":
    raise SystemExit(main())
