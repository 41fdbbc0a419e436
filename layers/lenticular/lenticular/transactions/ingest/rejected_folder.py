"""The folder of refused files: every file gets a report, and none overwrites another."""

import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from lenticular.transactions.ingest.dropped_file import LONGEST_NAME_BYTES, shortened
from lenticular.transactions.ingest.rejection import REPORT, Refusal, rejection_report

# For a number and for the ending of the report.
_LONGEST_PART_BYTES = LONGEST_NAME_BYTES - 16


class RejectedFolder:
    """`rejected/` in the data folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def add(self, file: Path, dropped_as: Path, refusals: Sequence[Refusal]) -> None:
        """Move a file here, below the folders in which it was dropped, with a report beside it."""
        folder = self._root
        for part in dropped_as.parent.parts:
            folder = _folder_in(folder, _short(part))
        target = _free_file(folder, _short(dropped_as.name))
        report = rejection_report(readable(str(dropped_as)), refusals)
        target.with_name(target.name + REPORT).write_bytes(report)
        # Over to another disk where `incoming` is one.
        shutil.move(file, target)


def readable(name: str) -> str:
    """Return a name as text, also one that is not valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _short(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST_PART_BYTES:
        return name
    return shortened(name, _LONGEST_PART_BYTES)


def _folder_in(parent: Path, name: str) -> Path:
    """Return the folder of that name, numbered when a file has the name."""
    for candidate in _numbered(parent, name):
        if candidate.is_dir() and not candidate.is_symlink():
            return candidate
        if not os.path.lexists(candidate):
            candidate.mkdir()
            return candidate
    raise AssertionError("unreachable")


def _free_file(folder: Path, name: str) -> Path:
    """Return a path at which neither a file nor its report would replace another."""
    for candidate in _numbered(folder, name):
        report = candidate.with_name(candidate.name + REPORT)
        if not os.path.lexists(candidate) and not os.path.lexists(report):
            return candidate
    raise AssertionError("unreachable")


def _numbered(folder: Path, name: str) -> Iterator[Path]:
    yield folder / name
    for number in count(2):
        yield folder / f"{name}.{number}"
