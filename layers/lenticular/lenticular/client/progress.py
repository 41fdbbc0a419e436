"""How far the upload is: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_BARS = 0.1


class Progress:
    """Bytes and files that are done, of so many."""

    def __init__(self, files: int, size: int) -> None:
        self._files, self._size = files, size
        self._files_done = self._bytes_done = self._shown = 0
        self._told = time.monotonic()
        self._lock = Lock()
        self._bar: ProgressBar[int] | None = None
        self._is_terminal = sys.stdout.isatty()

    def add_bytes(self, count: int) -> None:
        """So many more have been sent, or fewer when some have to be sent again."""
        with self._lock:
            self._bytes_done += count
            self._tell()

    def add_file(self) -> None:
        """What becomes of one more file is known."""
        with self._lock:
            self._files_done += 1
            self._tell()

    def __enter__(self) -> Self:
        if self._is_terminal:
            self._bar = click.progressbar(
                length=self._size, label="Uploading", item_show_func=lambda _: self._counts()
            )
            self._bar.__enter__()
        else:
            click.echo(f"Uploading {_files(self._files)}, {_amount(self._size)}.")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            if self._bar is not None:
                self._draw(self._bar)
                self._bar.__exit__(kind, error, trace)
                self._bar = None

    def _tell(self) -> None:
        now = time.monotonic()
        if self._bar is not None and now - self._told > SECONDS_BETWEEN_BARS:
            self._told = now
            self._draw(self._bar)
        elif not self._is_terminal and now - self._told > SECONDS_BETWEEN_LINES:
            self._told = now
            click.echo(f"  {self._counts()}, {self._bytes_done * 100 // max(self._size, 1)} %")

    def _draw(self, bar: "ProgressBar[int]") -> None:
        bar.update(self._bytes_done - self._shown, self._bytes_done)
        self._shown = self._bytes_done

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
