"""Outcomes: what a service does about each requirement, and files of them."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from dicomweb_conformance.levels import Level


class Result(StrEnum):
    """The outcome of a requirement. Only an optional one may be not supported."""

    MET = "met"
    NOT_MET = "not met"
    NOT_SUPPORTED = "not supported"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A requirement, and what became of it; `case` tells cases of one requirement apart."""

    section: str
    requirement: str
    case: str
    transaction: str
    level: Level
    result: Result
    detail: str = ""

    @property
    def order(self) -> tuple[list[int], str, str]:
        """Sort by section number, then by text."""
        numbers = [
            int(part) if part.isdigit() else 1000 + ord(part[0]) for part in self.section.split(".")
        ]
        return numbers, self.requirement, self.case

    @property
    def identity(self) -> tuple[str, str, str]:
        """Tell requirements apart, whatever their outcome."""
        return self.section, self.requirement, self.case


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes of one service."""

    service: str
    edition: str
    time: str
    outcomes: list[Outcome]

    def count(self, result: Result, *levels: Level) -> int:
        """Count the outcomes with this result, of these levels or of all."""
        wanted = levels or tuple(Level)
        return sum(each.result is result and each.level in wanted for each in self.outcomes)

    def unmet(self, levels: Iterable[Level]) -> list[Outcome]:
        """Return what is not met at these levels, in the order of sections."""
        wanted = set(levels)
        found = [
            each for each in self.outcomes if each.result is Result.NOT_MET and each.level in wanted
        ]
        return sorted(found, key=lambda each: each.order)


def requirement_of(name: str, docstring: str | None) -> tuple[str, str]:
    """Return section and sentence of a test: `test_8_3_4_1_dates_match` is of 8.3.4.1."""
    found = re.match(r"test_(fetch|[A-Z]|\d+)((?:_\d+)*)_(\w+)", name)
    if found is None:
        raise ValueError(f"{name} names no section of the standard")
    section = (found[1].capitalize() + found[2]).replace("_", ".")
    sentence = " ".join((docstring or found[3].replace("_", " ")).split())
    return section, sentence


def write(run: Run, file: Path) -> None:
    """Write a run as JSON."""
    file.write_text(json.dumps(asdict(run), indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(file: Path) -> Run:
    """Read a run that `write` has written."""
    found = json.loads(file.read_text("utf-8"))
    outcomes = [
        Outcome(**{**each, "level": Level(each["level"]), "result": Result(each["result"])})
        for each in found.pop("outcomes")
    ]
    return Run(**found, outcomes=outcomes)
