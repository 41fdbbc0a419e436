"""Attributes that are searched for by configuration (expand).

New tables only, so the release before goes on as it was; what it removes takes the values with it
by the foreign keys. MySQL cannot take a schema change back, so each step looks if it was done
already: a migration that died half-way is simply run again.
"""

import sqlalchemy as sa
from alembic import op

from lenticular.index.sql.column_types import ROW_ID, TABLE_OPTIONS

revision = "0004"
down_revision = "0003"

LEVELS = ("studies", "series", "instances")


def upgrade() -> None:
    """Create the tables and their indexes."""
    present = set(sa.inspect(op.get_bind()).get_table_names())
    if "query_tags" not in present:
        _create_query_tags()
    for table in (f"{level}_tag_values" for level in LEVELS):
        if table not in present:
            _create_values(table)
        name = f"ix_{table}_row_id_tag_id"
        indexes = sa.inspect(op.get_bind()).get_indexes(table)
        if name not in {index["name"] for index in indexes}:
            op.create_index(name, table, ["row_id", "tag_id"])


def _create_query_tags() -> None:
    op.create_table(
        "query_tags",
        sa.Column("tag_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("vr", sa.String(2), nullable=False),
        sa.Column("creator", sa.String(64), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("known", "started", "since", "done", "within")
        ),
        **TABLE_OPTIONS,
    )


def _create_values(table: str) -> None:
    level = table.removesuffix("_tag_values")
    op.create_table(
        table,
        sa.Column("tag_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.String(255), primary_key=True),
        sa.Column(
            "row_id",
            ROW_ID,
            sa.ForeignKey(f"{level}.row_id", name=f"fk_{table}_row_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("part", sa.SmallInteger(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
        **TABLE_OPTIONS,
    )
