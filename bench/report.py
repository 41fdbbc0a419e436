"""The table: what was measured, what was to be reached, and on what machine."""

import contextlib
import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

Facts = list[tuple[str, str]]
PACKAGES = ("uvicorn", "fastapi", "SQLAlchemy", "orjson", "pydicom", "numpy", "imagecodecs")


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal: a limit of the ratio ours / theirs, or of our own number."""

    limit: float
    at_least: bool = False
    unit: str = ""  # of an absolute limit; a ratio has none

    def __str__(self) -> str:
        whole = round(1 / self.limit) if self.limit < 1 else 0
        number = f"1/{whole}" if whole and not self.unit else f"{self.limit:g}"
        return f"{'≥' if self.at_least else '≤'} {number}{self.unit and ' ' + self.unit}"

    def is_reached(self, value: float) -> bool:
        """True if the value keeps the limit."""
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; what could not be measured is None."""

    work: str
    unit: str
    ours: float | None
    theirs: float | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Ours / theirs."""
        if self.ours is None or not self.theirs:
            return None
        return self.ours / self.theirs

    @property
    def is_reached(self) -> bool | None:
        """True if the goal is reached; None without a goal or a measurement."""
        if self.goal is None:
            return None
        value = self.ours if self.goal.unit else self.ratio
        return None if value is None else self.goal.is_reached(value)


@dataclass(slots=True)
class Section:
    """Rows that belong together, and what the second column is."""

    title: str
    peer: str = "Orthanc"
    rows: list[Row] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def markdown(sections: Sequence[Section], facts: Facts) -> str:
    """The whole report."""
    lines = [f"- {name}: {value}" for name, value in facts]
    for section in filter(lambda section: section.rows, sections):
        lines += ["", f"## {section.title}", "", *_table(section)]
        lines += ["", *(f"- {remark}" for remark in section.remarks)] if section.remarks else []
    return "\n".join([*lines, "", summary(sections), ""])


def summary(sections: Sequence[Section]) -> str:
    """Return a sentence: the number of goals reached, and the others by name."""
    reached = {
        f"{row.work} ({section.title})": row.is_reached
        for section in sections
        for row in section.rows
        if row.is_reached is not None
    }
    missed = [work for work, is_reached in reached.items() if not is_reached]
    text = f"{len(reached) - len(missed)} of {len(reached)} goals reached."
    return text if not missed else f"{text} Not reached: {'; '.join(missed)}."


def facts(servers: dict[str, dict[str, str]], command: str, folder: Path) -> Facts:
    """The machine, the versions, the date and the command."""
    rows = [
        ("Date", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC"),
        ("Command", f"`{command}`"),
        ("Machine", f"{os.cpu_count()} cores, {_processor()}, {_gigabytes():.0f} GB memory"),
        ("Disk", _disk(folder)),
        ("System", f"{_distribution()}, Linux {platform.release()}"),
        ("Python", platform.python_version()),
        ("Packages", ", ".join(f"{name} {version}" for name, version in _versions().items())),
    ]
    for name, values in servers.items():
        rows.append((name, ", ".join(f"{key} {value}" for key, value in values.items())))
    return rows


def _table(section: Section) -> list[str]:
    lines = [
        f"| work | unit | ours | {section.peer} | ratio | to reach | reached | remark |",
        "|---|---|---:|---:|---:|---|---|---|",
    ]
    for row in section.rows:
        ratio = "" if row.ratio is None else _short(row.ratio)
        reached = {True: "yes", False: "**no**", None: ""}[row.is_reached]
        cells = [row.work, row.unit, _number(row.ours), _number(row.theirs), ratio]
        cells += [str(row.goal or ""), reached, row.note]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(value: float | None) -> str:
    return "" if value is None else _short(value)


def _short(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _gigabytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def _disk(folder: Path) -> str:
    output = subprocess.run(
        ["df", "--output=fstype,source", str(folder)], capture_output=True, text=True, check=False
    )
    return " on ".join(output.stdout.splitlines()[-1].split()) if output.stdout else "disk unknown"


def _distribution() -> str:
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    return platform.system()


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
