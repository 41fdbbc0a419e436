"""Rejections: why a dropped file was refused, and the report beside it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import orjson

REPORT = ".json"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file, or an entry of a zip, was not stored."""

    file: str
    detail: str
    failure_reason: int = 0


def rejection_report(file: str, refusals: Sequence[Refusal]) -> bytes:
    """Return the `.json` that is put beside a refused file, for people to read."""
    report = {
        "file": file,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "refused": [asdict(refusal) for refusal in refusals],
    }
    return orjson.dumps(report, option=orjson.OPT_INDENT_2)
