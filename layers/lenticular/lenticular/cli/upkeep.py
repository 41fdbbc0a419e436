"""The commands `reindex` and `sweep`, also beside a running server.

The exit status is 0 when everything is done, 1 when something is left, 2 for wrong usage.
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenticular import settings as configuration

if TYPE_CHECKING:
    from lenticular.services import Services

_SPREAD = re.compile("[0-9a-f]{0,3}")


def _spread(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not _SPREAD.fullmatch(value):
        raise click.BadParameter("give up to three digits from 0 to f, for example a or 3f.")
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

    with _services(data) as services:
        done = sweep_and_reindex.reindex(services, spread)
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

    with _services(data) as services:
        done = sweep_and_reindex.sweep(services, spread)
    _report(f"{done.looked_at:,} files, {done.removed:,} removed.", asdict(done), as_json)
    sys.exit(0 if done.complete else 1)


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


def _report(text: str, result: dict[str, Any], as_json: bool) -> None:
    click.echo(json.dumps(result) if as_json else text)
