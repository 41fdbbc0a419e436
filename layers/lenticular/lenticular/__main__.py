"""The command line: serve, upload, verify, migrate, config."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lenticular import __version__
from lenticular import settings as configuration
from lenticular.cli import upkeep
from lenticular.cli.verify.command import verify
from lenticular.settings import InvalidSettings, Settings

if TYPE_CHECKING:
    from lenticular.client.connection import Authorizer

# What a shell says of a program that Ctrl-C ended.
INTERRUPTED = 130


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Lenticular, a serverless PACS."""


main.add_command(upkeep.reindex)
main.add_command(upkeep.sweep)
main.add_command(upkeep.check)
main.add_command(verify)


def _load(**overrides: Any) -> Settings:
    try:
        return configuration.load(**overrides)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for files and index.  [default: ~/.local/share/lenticular]",
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8042]")
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Server processes.  [default: cores, up to 4]"
)
@click.option(
    "--config", type=click.Path(exists=True, dir_okay=False), help="Configuration file (TOML)."
)
def serve(
    data: Path | None, host: str | None, port: int | None, workers: int | None, config: str | None
) -> None:
    """Start the server on this machine."""
    if config is not None:
        os.environ["LENTICULAR_CONFIG"] = config
    settings = _load(data=data, host=host, port=port, workers=workers)
    os.environ.update(configuration.to_environment(settings))
    from lenticular.errors import LenticularError, Unavailable
    from lenticular.services import open_services
    from lenticular.storage.file_permissions import keep_private
    from lenticular.transactions.upkeep.sweep_and_reindex import has_lost_index
    from lenticular.web.server import check_address, check_exposure, run

    is_index_lost = False
    try:
        check_exposure(settings)
        check_address(settings)
        keep_private(settings.data)
        services = open_services(settings)
        services.index.migrate()
        with suppress(Unavailable, OSError):  # /health says so, and the storage may come back
            is_index_lost = has_lost_index(services)
    except InvalidSettings as error:
        raise click.ClickException(str(error)) from error
    except LenticularError as error:
        raise click.ClickException(error.detail) from error
    except OSError as error:
        raise click.ClickException(f"{settings.data}: {error.strerror or error}") from error
    services.close()
    _welcome(settings)
    if is_index_lost:
        click.echo("The index is empty, but there are files: run `lenticular reindex`.", err=True)
    run(settings)


def _welcome(settings: Settings) -> None:
    from lenticular.web.viewer.pages import has_viewer

    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = settings.public_url.rstrip("/") or f"http://{host}:{settings.port}"
    viewer = f"{address}/ohif/" if has_viewer(settings) else "`make viewer` fetches it"
    click.echo(
        f"Lenticular {__version__}\n"
        f"  DICOMweb       {address}/dicom-web\n"
        f"  Orthanc REST   {address}/\n"
        f"  API reference  {address}/docs\n"
        f"  Viewer         {viewer}\n"
        f"  Health         {address}/health\n"
        f"  Drop folder    {settings.data.absolute() / 'incoming'}\n"
        f"  Files          {settings.storage_url}\n"
        f"  Index          {configuration.without_password(settings.index_url)}\n"
        "Stop with Ctrl-C."
    )


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "url", default="http://127.0.0.1:8042", show_default=True, help="The server.")
@click.option("--user", envvar="LENTICULAR_UPLOAD_USER", help="name:password for HTTP Basic.")
@click.option("--token", envvar="LENTICULAR_UPLOAD_TOKEN", help="Bearer token.")
@click.option("--sign", is_flag=True, help="Sign with the AWS credentials of this machine.")
@click.option("--restart", is_flag=True, help="Send all files again, also those already sent.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=600,
    show_default=True,
    help="Seconds to wait for the server to store what has arrived.",
)
def upload(paths: tuple[Path, ...], url: str, restart: bool, wait: float, **who: Any) -> None:
    """Store files, folders and zips on a server.

    The same command goes on where it broke off.
    """
    from lenticular.client.connection import UploadFailed
    from lenticular.client.upload import upload_all

    url = url.rstrip("/")
    try:
        done = upload_all(paths, url, _authorizer(url, **who), restart=restart, patience=wait)
    except UploadFailed as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("\nBroken off. Run the same command again to go on from here.", err=True)
        # Requests under way would be waited for otherwise.
        os._exit(INTERRUPTED)
    if not done:
        sys.exit(1)


def _authorizer(url: str, user: str | None, token: str | None, sign: bool) -> "Authorizer":
    from lenticular.client.aws_signer import Signer
    from lenticular.client.connection import ServerCredentials

    return Signer(url) if sign else ServerCredentials(user, token)


@main.command()
def migrate() -> None:
    """Bring the index to the schema of this release."""
    from lenticular.services import open_services

    services = open_services(_load())
    services.index.migrate()
    services.close()
    click.echo("The index is up to date.")


@main.group()
def config() -> None:
    """Look at and prepare the configuration."""


@config.command("show")
def config_show() -> None:
    """Print the settings in force, without passwords and tokens."""
    settings = _load()
    for name, value in configuration.shown(settings).items():
        click.echo(f"{name} = {value}")


@config.command("password")
@click.password_option()
def config_password(password: str) -> None:
    """Hash a password for the configuration file."""
    from lenticular.web.access.passwords import hash_password

    click.echo(hash_password(password))


if __name__ == "__main__":
    main()
