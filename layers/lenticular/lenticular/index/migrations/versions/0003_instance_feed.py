"""Add the UIDs and the action of instances to the changes (expand).

All new columns may be empty, so the release before goes on writing. What is stored now gets its
UIDs here, some rows at a time; of what was deleted already nobody knows them, which is marked, so
that nobody looks for them again. MySQL cannot take a schema change back, so each step looks if it
was done already: a migration that died half-way is simply run again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

UIDS = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
INDEXES = ("orthanc_id", "created")
AT_ONCE = 5000


def upgrade() -> None:
    """Add the columns and the indexes, and fill in what is known."""
    inspector = sa.inspect(op.get_bind())
    present = {column["name"] for column in inspector.get_columns("changes")}
    indexed = {index["name"] for index in inspector.get_indexes("changes")}
    for name in UIDS:
        if name not in present:
            op.add_column("changes", sa.Column(name, sa.String(64)))
    if "action" not in present:
        op.add_column("changes", sa.Column("action", sa.String(8)))
    for name in INDEXES:
        if f"ix_changes_{name}" not in indexed:
            op.create_index(f"ix_changes_{name}", "changes", [name])
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    last = connection.scalar(sa.text("SELECT MAX(sequence) FROM changes")) or 0
    known = (
        "FROM instances JOIN series ON series.row_id = instances.series_row_id"
        " JOIN studies ON studies.row_id = series.study_row_id"
        " WHERE instances.orthanc_id = changes.orthanc_id"
    )
    tables = zip(("studies", "series", "instances"), UIDS, strict=True)
    values = ", ".join(
        f"{name} = COALESCE((SELECT {table}.{name} {known}), '')" for table, name in tables
    )
    fill = sa.text(
        f"UPDATE changes SET {values} WHERE level = 'Instance' AND sop_instance_uid IS NULL"  # noqa: S608
        " AND sequence > :after AND sequence <= :until"
    )
    for after in range(0, last, AT_ONCE):
        connection.execute(fill, {"after": after, "until": after + AT_ONCE})
