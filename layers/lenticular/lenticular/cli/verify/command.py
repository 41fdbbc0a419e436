"""The command `verify`: a line for each check, and an exit status.

The exit status is 0 when no check failed, 1 when one did, 2 for wrong usage.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from lenticular.cli.verify.run import CheckResult, Verification
    from lenticular.client.connection import Authorizer

COLOURS = {"ok": "green", "failed": "red", "not checked": "yellow"}


@click.command()
@click.argument("url")
@click.option("--user", envvar="LENTICULAR_VERIFY_USER", help="name:password for HTTP Basic.")
@click.option("--token", envvar="LENTICULAR_VERIFY_TOKEN", help="Bearer token.")
@click.option("--sign", is_flag=True, help="Sign with the AWS credentials of this machine.")
@click.option("--stack", help="Stack of CloudFormation: checks its bucket and alarms, too.")
@click.option(
    "--drop",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Drop folder of a server on this machine.",
)
@click.option("--origin", default="", help="Origin of a web page that may call (CORS).")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def verify(url: str, stack: str | None, as_json: bool, **options: Any) -> None:
    """Prove that a server works and lets no stranger in.

    Stores instances of a patient who does not exist at URL, and deletes them. Give each way to sign
    in that should work.
    """
    from lenticular.cli.verify.checks import CHECKS
    from lenticular.cli.verify.run import run

    verification = _verification(url.rstrip("/"), stack, **options)
    results = []
    for result in run(verification, CHECKS):
        results.append(result)
        if not as_json:
            _show(result)
    counts = Counter(result.status for result in results)
    if as_json:
        found = {"url": verification.url, "checks": [asdict(each) for each in results]}
        click.echo(json.dumps(found))
    else:
        click.echo(", ".join(f"{counts[status]} {status}" for status in COLOURS) + ".")
    sys.exit(1 if counts["failed"] else 0)


def _verification(
    url: str, stack: str | None, drop: Path | None, origin: str, **who: Any
) -> "Verification":
    from lenticular.cli.verify.aws import DeployedStack
    from lenticular.cli.verify.run import CheckFailed, Verification
    from lenticular.client.connection import UploadFailed, require_address

    try:
        require_address(url)
        deployed = DeployedStack(stack) if stack else None
        return Verification(url, list(_authorizers(url, **who)), origin, drop, deployed)
    except (UploadFailed, CheckFailed) as error:
        raise click.ClickException(str(error)) from error


def _authorizers(
    url: str, user: str | None, token: str | None, sign: bool
) -> "Iterator[Authorizer]":
    """Yield the credentials that were given."""
    from lenticular.client.aws_signer import Signer
    from lenticular.client.connection import ServerCredentials

    if sign:
        yield Signer(url)
    if token:
        yield ServerCredentials(token=token)
    if user:
        yield ServerCredentials(user=user)


def _show(result: "CheckResult") -> None:
    status = click.style(f"{result.status:12}", fg=COLOURS[result.status])
    click.echo(f"{status} {result.name:16} {result.detail}")
