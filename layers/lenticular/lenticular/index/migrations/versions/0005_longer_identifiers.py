"""Columns for identifiers that are no UIDs and longer than 64 characters (expand).

Wider columns hold everything that the release before writes. SQLite holds text of any length in
any column, so nothing is to be done there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

WIDENED = {
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
    """Widen the columns from 64 to 128 characters; MySQL changes nothing but their description."""
    if op.get_bind().dialect.name == "sqlite":
        return
    for table, columns in WIDENED.items():
        for name, nullable in columns.items():
            op.alter_column(
                table,
                name,
                type_=sa.String(128),
                existing_type=sa.String(64),
                existing_nullable=nullable,
            )
