"""Show on a terminal how many files a command has looked at."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from lenticular.services import Services

SECONDS_BETWEEN_LINES = 0.2


class Counter:
    """Counts, and overwrites its line on a terminal; silent elsewhere."""

    def __init__(self, name: str, services: "Services") -> None:
        self._name = name
        self._is_shown = sys.stderr.isatty()
        known = services.index.retrieval.statistics().instances if self._is_shown else 0
        self._known = f" ({known:,} instances in the index)" if known else ""
        self._count = 0
        self._shown_at = 0.0

    def add(self, count: int) -> None:
        """Count some more."""
        self._count += count
        if self._is_shown and time.monotonic() - self._shown_at > SECONDS_BETWEEN_LINES:
            self._shown_at = time.monotonic()
            click.echo(f"\r{self._count:,} {self._name}{self._known}", nl=False, err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._is_shown:
            click.echo(err=True)
