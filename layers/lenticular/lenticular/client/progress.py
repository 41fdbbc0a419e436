"""Show the progress of an upload: a bar on a terminal, else a line every half minute."""

import os
import sys
import time
from threading import Lock
from types import TracebackType
from typing import Self

import click

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_BARS = 0.1
NARROWEST_BAR = 10
COLUMNS_UNKNOWN = 80


class Progress:
    """Counts bytes and files that are done, and shows them."""

    def __init__(self, files: int, size: int) -> None:
        self._files, self._size = files, size
        self._files_done = self._bytes_done = 0
        self._shown_at = time.monotonic()
        self._lock = Lock()
        self._is_terminal = sys.stdout.isatty()

    def add_bytes(self, count: int) -> None:
        """Count bytes as sent; a negative count if they must be sent again."""
        with self._lock:
            self._bytes_done += count
            self._show()

    def add_file(self) -> None:
        """Count one more file as done."""
        with self._lock:
            self._files_done += 1
            self._show()

    def __enter__(self) -> Self:
        if not self._is_terminal:
            click.echo(f"Uploading {_files(self._files)}, {_amount(self._size)}.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._is_terminal:
                click.echo(self._bar())

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._shown_at <= (
            SECONDS_BETWEEN_BARS if self._is_terminal else SECONDS_BETWEEN_LINES
        ):
            return
        self._shown_at = now
        if self._is_terminal:
            click.echo(self._bar(), nl=False)
        else:
            click.echo(f"  {self._counts()}, {self._percent()}%")

    def _bar(self) -> str:
        """Return one line that fits the terminal, and overwrites the one before."""
        # One column stays free: some terminals wrap a line that fills them. COLUMNS of the
        # environment may be that of another terminal.
        width = (os.get_terminal_size(sys.stdout.fileno()).columns or COLUMNS_UNKNOWN) - 1
        text = f"Uploading {self._percent():3}%  {self._counts()}"
        room = width - len(text) - len("  []")
        if room >= NARROWEST_BAR:
            done = room * self._percent() // 100
            text += f"  [{'#' * done}{'-' * (room - done)}]"
        return f"\r{text[:width]:<{width}}"

    def _percent(self) -> int:
        return min(self._bytes_done * 100 // max(self._size, 1), 100)

    def _counts(self) -> str:
        return (
            f"{self._files_done} of {_files(self._files)},"
            f" {_amount(self._bytes_done)} of {_amount(self._size)}"
        )


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _amount(size: float) -> str:
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:,.2f} GB"
