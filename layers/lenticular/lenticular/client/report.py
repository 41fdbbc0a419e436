"""What becomes of each file: told to the journal and the progress, and at the end to the person."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from threading import Lock

import click

from lenticular.client.journal import Journal
from lenticular.client.progress import Progress
from lenticular.client.sources import Source

REASONS_SHOWN = 20


class Fate(Enum):
    """Where a file has come to."""

    STORED = "stored"
    REFUSED = "refused"
    FAILED = "failed"
    """It did not get there, and may the next time."""
    WAITING = "waiting"
    """It has arrived, and the server has yet to store it."""


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """The fate of a file, and why."""

    fate: Fate
    reason: str = ""


class Report:
    """The outcome of every source so far; any thread may add to it."""

    def __init__(self, sources: Iterable[Source], journal: Journal, progress: Progress) -> None:
        self._outcomes: dict[Source, SourceOutcome | None] = dict.fromkeys(sources)
        self._lock = Lock()
        self.journal = journal
        self.progress = progress

    def stored(self, sources: Iterable[Source]) -> None:
        """The server has stored these."""
        sources = list(sources)
        self.journal.note_stored(source.key for source in sources)
        for source in sources:
            self._set(source, SourceOutcome(Fate.STORED))

    def refused(self, source: Source, reason: str) -> None:
        """The server has refused this one, and would again."""
        self.journal.note_refused(source.key, reason)
        self._set(source, SourceOutcome(Fate.REFUSED, reason))

    def failed(self, source: Source, reason: str) -> None:
        """A file that did not get there."""
        self._set(source, SourceOutcome(Fate.FAILED, reason))

    def waiting(self, source: Source) -> None:
        """A file that has arrived and is not stored yet."""
        self._set(source, SourceOutcome(Fate.WAITING))

    def recall(self) -> None:
        """Take over what the journal knows of an earlier run."""
        for source in self.open_sources():
            if source.key in self.journal.stored:
                self._set(source, SourceOutcome(Fate.STORED))
            elif source.key in self.journal.refused:
                self._set(source, SourceOutcome(Fate.REFUSED, self.journal.refused[source.key]))
            else:
                continue
            self.progress.add_bytes(source.size)

    def open_sources(self) -> list[Source]:
        """Those of which nothing is known yet."""
        with self._lock:
            return [source for source, outcome in self._outcomes.items() if outcome is None]

    def count(self, fate: Fate) -> int:
        """How many have come to this."""
        with self._lock:
            return Counter(outcome.fate for outcome in self._outcomes.values() if outcome)[fate]

    def is_waiting(self, source: Source) -> bool:
        """Whether this one has arrived and is not stored yet."""
        with self._lock:
            outcome = self._outcomes[source]
            return outcome is not None and outcome.fate is Fate.WAITING

    @property
    def is_finished(self) -> bool:
        """Whether the server has said of every source what became of it."""
        return not (self.open_sources() or self.count(Fate.FAILED) or self.count(Fate.WAITING))

    @property
    def is_success(self) -> bool:
        """Whether every source is stored."""
        return self.is_finished and not self.count(Fate.REFUSED)

    def tell(self) -> None:
        """Print the summary, and why which files are not stored."""
        parts = [f"{self.count(Fate.STORED)} stored", f"{self.count(Fate.REFUSED)} refused"]
        if failed := self.count(Fate.FAILED):
            parts.append(f"{failed} failed")
        if waiting := self.count(Fate.WAITING):
            parts.append(f"{waiting} arrived but not stored yet")
        if left := len(self.open_sources()):
            parts.append(f"{left} not sent")
        click.echo(", ".join(parts) + ".")
        reasons = [
            f"{source.name}: {outcome.reason or 'the server has not stored it yet'}"
            for source, outcome in self._outcomes.items()
            if outcome is not None and outcome.fate is not Fate.STORED
        ]
        for line in reasons[:REASONS_SHOWN]:
            click.echo(f"  {line}", err=True)
        if len(reasons) > REASONS_SHOWN:
            click.echo(f"  … and {len(reasons) - REASONS_SHOWN} more", err=True)
        if not self.is_finished:
            click.echo("Run the same command again to go on from here.", err=True)

    def _set(self, source: Source, outcome: SourceOutcome) -> None:
        with self._lock:
            before = self._outcomes.get(source)
            self._outcomes[source] = outcome
        if before is None or before.fate is Fate.WAITING:
            self.progress.add_file() if outcome.fate is not Fate.WAITING else None
