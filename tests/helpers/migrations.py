"""An index as the first release left it, and steps from one schema to another."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from lenticular.index import Index, migrations

RECORDED = Path(__file__).with_name("schema_0001.sql")


def upgraded(index: Index, revision: str) -> None:
    """Bring the schema to this revision."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with index.database.alone() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


@contextmanager
def opened(url: str) -> Iterator[Index]:
    index = Index(url)
    yield index
    index.close()


def replay(index: Index, part: str, now: int = 0) -> None:
    """Run the statements that the release before ran."""
    statements = RECORDED.read_text("utf-8").split(f"-- {part}\n")[1].split("\n-- ")[0]
    with index.database.transaction() as connection:
        if connection.dialect.name != "sqlite":
            modes = "CONCAT(@@sql_mode, ',ANSI_QUOTES,NO_BACKSLASH_ESCAPES')"
            connection.execute(text(f"SET SESSION sql_mode = {modes}"))
        for statement in filter(None, statements.replace(":now", str(now)).splitlines()):
            connection.exec_driver_sql(statement.replace("%", "%%").rstrip(";"))
        if connection.dialect.name != "sqlite":
            connection.execute(text("SET SESSION sql_mode = DEFAULT"))
