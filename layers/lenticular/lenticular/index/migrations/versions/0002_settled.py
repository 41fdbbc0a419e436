"""Add the column by which studies and series are marked as stable (expand).

Both columns have a default, so the release before, which does not know them, goes on writing. The
default is the time of the migration: resources that were stable by then count as reported, or the
feed would be flooded with them. MySQL cannot roll a schema change back, so each step checks if it
was done already: a migration that died half-way is simply run again.
"""

import time

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = ("studies", "series")
QUIET_MILLISECONDS = 60_000


def upgrade() -> None:
    """Add the column and an index by which what is due is found."""
    quiet = time.time_ns() // 1_000_000 - QUIET_MILLISECONDS
    inspector = sa.inspect(op.get_bind())
    for table in TABLES:
        if "settled" not in {column["name"] for column in inspector.get_columns(table)}:
            op.add_column(
                table,
                sa.Column("settled", sa.BigInteger(), nullable=False, server_default=str(quiet)),
            )
        name = f"ix_{table}_updated_settled"
        if name not in {index["name"] for index in inspector.get_indexes(table)}:
            op.create_index(name, table, ["updated", "settled"])
