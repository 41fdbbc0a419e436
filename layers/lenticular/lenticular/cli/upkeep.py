"""The commands `reindex`, `sweep` and `check`, also beside a running server.

The exit status is 0 when everything is done, 1 when something is left, 2 for wrong usage.
"""

import json
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenticular import settings as configuration
from lenticular.cli.counter import Counter

if TYPE_CHECKING:
    from lenticular.services import Services

_SPREAD = re.compile("[0-9a-f]{0,3}")
_POSITION = re.compile("(row:[0-9]+|folder:[0-9a-f]{3})?")


def _spread(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _SPREAD.fullmatch(value):
        raise click.BadParameter("give up to three digits from 0 to f, for example a or 3f.")
    return value


def _position(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _POSITION.fullmatch(value):
        raise click.BadParameter("give what a check that was stopped has printed.")
    return value


_DATA = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="Folder of the archive."
)
_PART = click.option(
    "--spread", default="", callback=_spread, help="Only a part: folders that begin so (a, 3f)."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@click.command()
@_DATA
@_PART
@_JSON
def reindex(data: Path | None, spread: str, as_json: bool) -> None:
    """Add every stored file to the index that is missing there.

    Use it after the index was lost. Interrupt it at any time, and run it again to continue.
    """
    from lenticular.transactions.upkeep import sweep_and_reindex

    with _services(data) as services, Counter("files", services) as counter:
        done = sweep_and_reindex.reindex(services, spread, progress=counter.add)
    text = f"{done.looked_at:,} files, {done.filed:,} added to the index"
    text += f", {done.unreadable:,} cannot be read (see above)." if done.unreadable else "."
    _report(text, asdict(done), as_json)
    sys.exit(1 if done.unreadable or not done.complete else 0)


@click.command()
@_DATA
@_PART
@_JSON
def sweep(data: Path | None, spread: str, as_json: bool) -> None:
    """Remove files older than a day that the index does not name.

    A running server does this once a day by itself.
    """
    from lenticular.transactions.upkeep import sweep_and_reindex

    with _services(data) as services, Counter("files", services) as counter:
        done = sweep_and_reindex.sweep(services, spread, progress=counter.add)
    _report(f"{done.looked_at:,} files, {done.removed:,} removed.", asdict(done), as_json)
    sys.exit(0 if done.complete else 1)


@click.command()
@_DATA
@_PART
@click.option("--repair", is_flag=True, help="Add files to the index that are missing there.")
@click.option("--hash", "with_hash", is_flag=True, help="Read every file and compare its SHA-256.")
@click.option(
    "--continue", "start", default="", callback=_position, help="Where an earlier check stopped."
)
@_JSON
def check(data: Path | None, as_json: bool, **options: Any) -> None:
    """Compare the index with the files, in both directions.

    Each problem is a line; nothing is changed without --repair. Ctrl-C stops it.
    """
    from lenticular.transactions.upkeep import check as checking

    with (
        _services(data) as services,
        Counter("rows and files", services) as counter,
        _interruptions() as is_interrupted,
    ):
        done = checking.check(
            services, checking.CheckRequest(**options), is_interrupted, counter.add
        )
    text = (
        f"{done.rows:,} rows and {done.files:,} files: {done.missing:,} missing, "
        f"{done.damaged:,} damaged, {done.unindexed:,} not in the index ({done.added:,} added), "
        f"{done.left_over:,} left over for a sweep."
    )
    if not done.complete:
        text += f"\nStopped. Continue with --continue {done.next}"
    _report(text, asdict(done), as_json)
    sys.exit(1 if done.problems or not done.complete else 0)


@contextmanager
def _interruptions() -> Iterator[Callable[[], bool]]:
    """Return a function that tells if Ctrl-C was pressed; a second time it ends the program."""
    pressed = threading.Event()

    def note(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _services(data: Path | None) -> "Iterator[Services]":
    """Open the archive; say in a sentence why it cannot be used."""
    from lenticular.errors import LenticularError
    from lenticular.services import open_services

    try:
        services = open_services(configuration.load(data=data))
        services.index.migrate()
        try:
            yield services
        finally:
            services.close()
    except configuration.InvalidSettings as error:
        raise click.ClickException(str(error)) from error
    except LenticularError as error:
        raise click.ClickException(error.detail) from error
    except OSError as error:
        raise click.ClickException(f"The files cannot be reached: {error}") from error


def _report(text: str, result: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(result) if as_json else text)
