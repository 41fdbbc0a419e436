"""Columns for identifiers that are no UIDs and longer than 64 characters (expand).

Wider columns hold everything that the release before writes. The keys of files name the
identifiers, so they grow too: to 1024, which is the most that S3 takes. SQLite holds text of any
length in any column, so nothing is to be done there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

IDENTIFIERS = {
    "studies": {"study_instance_uid": False},
    "series": {"series_instance_uid": False, "frame_of_reference_uid": True},
    "instances": {
        "sop_instance_uid": False,
        "sop_class_uid": False,
        "available_transfer_syntax_uid": False,
    },
    "changes": {
        "study_instance_uid": True,
        "series_instance_uid": True,
        "sop_instance_uid": True,
    },
}
"""Columns by table, and whether they may be empty."""


def upgrade() -> None:
    """Widen the columns; on MySQL this changes only their description."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, columns in IDENTIFIERS.items():
        for name, nullable in columns.items():
            _widen(table, name, nullable, 64, 128)
    _widen("instances", "storage_key", False, 255, 1024)


def _widen(table: str, column: str, nullable: bool, old: int, new: int) -> None:
    op.alter_column(
        table,
        column,
        type_=sa.String(new),
        existing_type=sa.String(old),
        existing_nullable=nullable,
    )
