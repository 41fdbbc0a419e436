"""Reads the tables of docs/conformance.md, for the tests that ask a server about each row."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

STATEMENT = Path(__file__).parents[2] / "docs/conformance.md"

Row = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table, and the heading that it stands under."""

    heading: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[str]:
        return list(self.rows[0])


@dataclass(frozen=True)
class Resource:
    """A row of a method and a path, with what the statement says that it answers."""

    section: str
    method: str
    path: str
    media_types: tuple[str, ...]
    statuses: frozenset[int]

    def __str__(self) -> str:
        return f"{self.method} {self.path.removeprefix('/dicom-web')}"


@cache
def tables() -> tuple[Table, ...]:
    """All tables of the statement."""
    return tuple(_tables(STATEMENT.read_text("utf-8").splitlines()))


def table(heading: str, *columns: str) -> Table:
    """The one table below this heading whose columns begin with these."""
    (found,) = (
        each
        for each in tables()
        if each.heading.startswith(heading) and each.columns[: len(columns)] == list(columns)
    )
    return found


def rows(heading: str, *columns: str) -> tuple[Row, ...]:
    """The rows of that table."""
    return table(heading, *columns).rows


def codes(cell: str) -> list[str]:
    """What stands in backticks in a cell."""
    return re.findall(r"`([^`]+)`", cell)


@cache
def resources() -> tuple[Resource, ...]:
    """Every row of a method and a path with its statuses."""
    return tuple(
        resource
        for each in tables()
        if {"Method", "Path", "Statuses"} <= set(each.columns)
        for resource in _resources(each)
    )


def _resources(table: Table) -> Iterator[Resource]:
    media_types: list[str] = []
    for row in table.rows:
        cell = row["Answer"]
        media_types = [*(media_types if cell.startswith("the same") else []), *codes(cell)]
        statuses = frozenset(map(int, row["Statuses"].split()))
        (path,) = codes(row["Path"])
        for method in row["Method"].split(", "):
            yield Resource(table.heading, method, path, tuple(_whole(media_types)), statuses)


def _whole(named: list[str]) -> Iterator[str]:
    """A bare `multipart/related` is that of all the others."""
    for media_type in named:
        if media_type != "multipart/related":
            yield media_type
        else:
            single = [each for each in named if not each.startswith("multipart/")]
            yield from (f'multipart/related; type="{each}"' for each in single)


def _tables(lines: list[str]) -> Iterator[Table]:
    heading, block = "", list[str]()
    for line in [*lines, ""]:
        if line.startswith("|"):
            block.append(line)
            continue
        if block:
            yield Table(heading, tuple(_rows(block)))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")


def _rows(block: list[str]) -> Iterator[Row]:
    names, _, *others = (_cells(line) for line in block)
    for cells in others:
        yield dict(zip(names, cells, strict=True))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


READ = [
    each
    for each in resources()
    if each.method == "GET" and re.match(r"3\.[2345]", each.section)
]  # fmt: skip


STORES = [each for each in resources() if each.method == "POST" and "/studies" in each.path]


DELETES = [each for each in resources() if each.method == "DELETE"]
