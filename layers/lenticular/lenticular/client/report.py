"""The outcome of each file: noted in the journal, counted, and printed at the end."""

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


class SourceStatus(Enum):
    """The status of a source."""

    STORED = "stored"
    REFUSED = "refused"
    FAILED = "failed"
    """It could not be sent; sending it again may help."""
    WAITING = "waiting"
    """It has arrived, and the server has not stored it yet."""


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """The status of a source, and the reason."""

    status: SourceStatus
    reason: str = ""


class Report:
    """The outcome of every source so far. Safe to use from several threads."""

    def __init__(self, sources: Iterable[Source], journal: Journal, progress: Progress) -> None:
        self._outcomes: dict[Source, SourceOutcome | None] = dict.fromkeys(sources)
        self._lock = Lock()
        self.journal = journal
        self.progress = progress

    def stored(self, sources: Iterable[Source]) -> None:
        """Record that the server has stored these sources."""
        sources = list(sources)
        self.journal.note_stored(source.key for source in sources)
        for source in sources:
            self._set(source, SourceOutcome(SourceStatus.STORED))

    def refused(self, source: Source, reason: str) -> None:
        """Record that the server refused this source; sending it again does not help."""
        self.journal.note_refused(source.key, reason)
        self._set(source, SourceOutcome(SourceStatus.REFUSED, reason))

    def failed(self, source: Source, reason: str) -> None:
        """Record that this source could not be sent."""
        self._set(source, SourceOutcome(SourceStatus.FAILED, reason))

    def waiting(self, source: Source) -> None:
        """Record that this source has arrived and is not stored yet."""
        self._set(source, SourceOutcome(SourceStatus.WAITING))

    def recall(self) -> None:
        """Add the outcomes of earlier runs from the journal."""
        for source in self.open_sources():
            if source.key in self.journal.stored:
                self._set(source, SourceOutcome(SourceStatus.STORED))
            elif source.key in self.journal.refused:
                self._set(
                    source, SourceOutcome(SourceStatus.REFUSED, self.journal.refused[source.key])
                )
            else:
                continue
            self.progress.add_bytes(source.size)

    def open_sources(self) -> list[Source]:
        """Return the sources without an outcome."""
        with self._lock:
            return [source for source, outcome in self._outcomes.items() if outcome is None]

    def count(self, status: SourceStatus) -> int:
        """Count the sources with this status."""
        with self._lock:
            return Counter(outcome.status for outcome in self._outcomes.values() if outcome)[status]

    def is_waiting(self, source: Source) -> bool:
        """Return True if this source has arrived and is not stored yet."""
        with self._lock:
            outcome = self._outcomes[source]
            return outcome is not None and outcome.status is SourceStatus.WAITING

    @property
    def is_finished(self) -> bool:
        """True if every source is stored or refused."""
        return not (
            self.open_sources()
            or self.count(SourceStatus.FAILED)
            or self.count(SourceStatus.WAITING)
        )

    @property
    def is_success(self) -> bool:
        """True if every source is stored."""
        return self.is_finished and not self.count(SourceStatus.REFUSED)

    def print_summary(self) -> None:
        """Print the counts, and the reason for each source that is not stored."""
        parts = [
            f"{self.count(SourceStatus.STORED)} stored",
            f"{self.count(SourceStatus.REFUSED)} refused",
        ]
        if failed := self.count(SourceStatus.FAILED):
            parts.append(f"{failed} failed")
        if waiting := self.count(SourceStatus.WAITING):
            parts.append(f"{waiting} arrived but not stored yet")
        if left := len(self.open_sources()):
            parts.append(f"{left} not sent")
        click.echo(", ".join(parts) + ".")
        reasons = [
            f"{source.name}: {outcome.reason or 'the server has not stored it yet'}"
            for source, outcome in self._outcomes.items()
            if outcome is not None and outcome.status is not SourceStatus.STORED
        ]
        for line in reasons[:REASONS_SHOWN]:
            click.echo(f"  {line}", err=True)
        if len(reasons) > REASONS_SHOWN:
            click.echo(f"  … and {len(reasons) - REASONS_SHOWN} more", err=True)
        if not self.is_finished:
            click.echo("Run the same command again: what is stored is not sent twice.", err=True)

    def _set(self, source: Source, outcome: SourceOutcome) -> None:
        with self._lock:
            before = self._outcomes.get(source)
            self._outcomes[source] = outcome
        if before is None or before.status is SourceStatus.WAITING:
            self.progress.add_file() if outcome.status is not SourceStatus.WAITING else None
