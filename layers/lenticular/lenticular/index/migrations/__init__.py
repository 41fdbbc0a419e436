"""Bringing the schema up to date, with Alembic.

Schema changes expand, migrate, contract: new code runs on the old schema until the migration
has run, old code on the new one. Revisions are numbered, so that they can be compared.
"""

from pathlib import Path

from sqlalchemy import column, inspect, select, table
from sqlalchemy.engine import Connection

from lenticular.errors import Conflict, Unavailable
from lenticular.index.sql.database import Database

HEAD = "0005"
"""The revision this release is written for."""

STABILITY = "0002"
"""From this revision on, studies and series record when they were marked as stable."""

INSTANCE_FEED = "0003"
"""From this revision on, changes name their instance."""

QUERY_TAGS = "0004"
"""From this revision on, there are tables for query tags."""

LONGER_IDENTIFIERS = "0005"
"""From this revision on, columns of identifiers have 128 characters."""

_VERSION = table("alembic_version", column("version_num"))
_ORTHANC_PROPERTIES = table("GlobalProperties", column("property"), column("value"))


def upgrade(database: Database) -> None:
    """Run what has not run yet; costs one query when there is nothing to do.

    The schema of a later release is left as it is: this one works on it, after going back to it.
    """
    database.dialect.make_folder()
    revision = _revision(database)
    if (revision or "") >= HEAD:
        return
    if revision is None:
        _refuse_orthancs(database)
    # Imported here, for it takes longer than everything else this does.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    with database.alone() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(database: Database) -> None:
    """Raise when the database does not answer or was never migrated."""
    if _revision(database) is None:
        raise RuntimeError("the index has no schema yet; run `lenticular migrate`")


def has(connection: Connection, revision: str) -> bool:
    """Return True if the schema has this revision or a later one."""
    return str(connection.scalar(select(_VERSION.c.version_num))) >= revision


def require(database: Database, revision: str) -> None:
    """Refuse work for which the schema is too old."""
    with database.connect() as connection:
        if not has(connection, revision):
            raise Unavailable("The index waits for its migration; run `lenticular migrate`.")


def _refuse_orthancs(database: Database) -> None:
    """Refuse a database that is Orthanc's index: ours beside it would leave neither whole."""
    with database.connect() as connection:
        if not inspect(connection).has_table(_ORTHANC_PROPERTIES.name):
            return
        # Property 1 is the version of Orthanc's schema.
        wanted = select(_ORTHANC_PROPERTIES.c.value).where(_ORTHANC_PROPERTIES.c.property == 1)
        version = connection.execute(wanted).scalar()
    raise Conflict(
        f"This database is Orthanc's index (version {version}). Name a database or file of its own"
        " for the index, and send Orthanc's files with `lenticular upload`."
    )


def _revision(database: Database) -> str | None:
    with database.connect() as connection:
        if not inspect(connection).has_table(_VERSION.name):
            return None
        return connection.execute(select(_VERSION.c.version_num)).scalar()
