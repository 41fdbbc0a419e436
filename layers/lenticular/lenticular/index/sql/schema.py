"""The tables: four levels, and beside each what is answered of it.

The rows that are searched are narrow: identifiers, folded matching columns (named after the
attributes, `dicom/search_attributes.py`) and counts. The attributes to return are beside them as
DICOM JSON, one attribute a line: `answer` has what every search answers, `extra` the rest of the
level. Times are milliseconds since 1970, UTC. Index lengths fit SQLite, MySQL and MariaDB.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from lenticular.dicom.match.matchers import COMPARED_LENGTH
from lenticular.dicom.model import Level
from lenticular.dicom.search_attributes import SEARCHED, Attribute, MatchingKind
from lenticular.dicom.uids import MAX_IDENTIFIER_LENGTH
from lenticular.index.sql.column_types import DOCUMENT, LINES, ROW_ID, TABLE_OPTIONS, digest

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

SETTLED = "settled"
"""Column of studies and series: their `updated` when they were last marked as stable.

Whatever is stored leaves it alone, so that those who do not know it may write too.
"""

NAME_GROUPS = ("", "_ideographic", "_phonetic")
"""Endings of the columns of a name's three groups."""

_TYPES: dict[MatchingKind, TypeEngine[Any]] = {
    MatchingKind.TEXT: String(COMPARED_LENGTH),
    MatchingKind.TEXTS: Text(),
    MatchingKind.NAME: String(COMPARED_LENGTH),
    MatchingKind.UID: String(MAX_IDENTIFIER_LENGTH),
    MatchingKind.UIDS: Text(),
    MatchingKind.DATE: String(8),
    MatchingKind.TIME: String(13),
    MatchingKind.DATETIME: String(21),
    MatchingKind.NUMBER: BigInteger(),
}
_REQUIRED = frozenset(
    {
        *("study_instance_uid", "series_instance_uid", "sop_instance_uid", "sop_class_uid"),
        *("available_transfer_syntax_uid", "number_of_study_related_series"),
        *("number_of_study_related_instances", "number_of_series_related_instances"),
    }
)


def column_names(attribute: Attribute) -> tuple[str, ...]:
    """Return the matching columns of an attribute: three for a name, else one."""
    suffixes = NAME_GROUPS if attribute.kind is MatchingKind.NAME else ("",)
    return tuple(attribute.column + suffix for suffix in suffixes)


def _settled() -> Column[Any]:
    # The migration gives it the time at which it ran: what was there before is stable already.
    return Column(SETTLED, BigInteger, nullable=False, server_default="0")


def _matching(level: Level) -> list[Column[Any]]:
    return [
        Column(name, _TYPES[attribute.kind], nullable=name not in _REQUIRED)
        for attribute in SEARCHED[level]
        for name in column_names(attribute)
    ]


patients = Table(
    "patients",
    metadata,
    Column("row_id", ROW_ID, primary_key=True),
    Column("orthanc_id", digest(20), nullable=False, unique=True),
    Column("patient_id", Text, nullable=False),
    Column("answer", LINES, nullable=False),
    Column("created", BigInteger, nullable=False),
    **TABLE_OPTIONS,
)

studies = Table(
    "studies",
    metadata,
    Column("row_id", ROW_ID, primary_key=True),
    Column("patient_row_id", ForeignKey(patients.c.row_id), nullable=False, index=True),
    Column("orthanc_id", digest(20), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    *_matching(Level.STUDY),
    _settled(),
    UniqueConstraint("study_instance_uid"),
    Index(None, "study_date", "study_time", "row_id"),
    Index(None, "patient_id"),
    Index(None, "patient_name"),
    Index(None, "patient_name_ideographic"),
    Index(None, "patient_name_phonetic"),
    Index(None, "accession_number"),
    Index(None, "updated", SETTLED),
    **TABLE_OPTIONS,
)

study_attributes = Table(
    "study_attributes",
    metadata,
    Column("study_row_id", ForeignKey(studies.c.row_id), primary_key=True, autoincrement=False),
    Column("answer", LINES, nullable=False),
    Column("extra", LINES, nullable=False),
    **TABLE_OPTIONS,
)

series = Table(
    "series",
    metadata,
    Column("row_id", ROW_ID, primary_key=True),
    Column("study_row_id", ForeignKey(studies.c.row_id), nullable=False),
    Column("orthanc_id", digest(20), nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    *_matching(Level.SERIES),
    _settled(),
    UniqueConstraint("series_instance_uid", "study_row_id"),
    Index(None, "study_row_id", "series_number", "row_id"),
    Index(None, "updated", SETTLED),
    **TABLE_OPTIONS,
)

series_attributes = Table(
    "series_attributes",
    metadata,
    Column("series_row_id", ForeignKey(series.c.row_id), primary_key=True, autoincrement=False),
    Column("answer", LINES, nullable=False),
    Column("extra", LINES, nullable=False),
    **TABLE_OPTIONS,
)

# `frame_count` is how many frames there are to show, 0 without pixels; the attribute
# NumberOfFrames may be absent.
instances = Table(
    "instances",
    metadata,
    Column("row_id", ROW_ID, primary_key=True),
    Column("series_row_id", ForeignKey(series.c.row_id), nullable=False),
    Column("orthanc_id", digest(20), nullable=False, unique=True),
    Column("storage_key", String(1024), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", digest(32), nullable=False),
    Column("frame_count", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    *_matching(Level.INSTANCE),
    UniqueConstraint("sop_instance_uid", "series_row_id"),
    Index(None, "series_row_id", "instance_number", "row_id"),
    **TABLE_OPTIONS,
)

# On MySQL clustered by series, so that the metadata of a series is one range. SQLite keeps the
# rows in the order of arrival: clustered rows of this size would leave most of a page empty.
documents = Table(
    "documents",
    metadata,
    Column("series_row_id", ForeignKey(series.c.row_id), primary_key=True, autoincrement=False),
    Column("instance_row_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("layout", LINES, nullable=False),
    Column("answer", LINES, nullable=False),
    Column("extra", LINES, nullable=False),
    Column("body", DOCUMENT, nullable=False),
    **TABLE_OPTIONS,
)

# Where the frames of encapsulated objects with many of them lie, some hundreds in a row. On SQLite
# it is WITHOUT ROWID; only the migration says so, for here it would load that dialect for all.
frames = Table(
    "frames",
    metadata,
    Column("instance_row_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("chunk", Integer, primary_key=True, autoincrement=False),
    Column("ranges", LINES, nullable=False),
    **TABLE_OPTIONS,
)

# Pruning must leave the newest row, from which the sequence continues. The columns after `created`
# are for instances only; an empty UID is unknown, NULL was not looked up yet.
changes = Table(
    "changes",
    metadata,
    Column("sequence", ROW_ID, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("level", String(8), nullable=False),
    Column("orthanc_id", digest(20), nullable=False, index=True),
    Column("created", BigInteger, nullable=False, index=True),
    Column("study_instance_uid", String(MAX_IDENTIFIER_LENGTH)),
    Column("series_instance_uid", String(MAX_IDENTIFIER_LENGTH)),
    Column("sop_instance_uid", String(MAX_IDENTIFIER_LENGTH)),
    Column("action", String(8)),
    **TABLE_OPTIONS,
)

# The attributes that are searched for by configuration (`dicom/query_tags.py`), and how far what is
# stored has been looked through for each: studies up to `done`, and of the next one instances up to
# `within`, as far as they changed since `since`; see `query_tags/registry.py`.
query_tags = Table(
    "query_tags",
    metadata,
    Column("tag_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", Text, nullable=False),
    Column("vr", String(2), nullable=False),
    Column("creator", String(64), nullable=False),
    Column("level", String(8), nullable=False),
    Column("status", String(8), nullable=False),
    Column("known", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("within", BigInteger, nullable=False),
    **TABLE_OPTIONS,
)


def _tag_values(level: Table) -> Table:
    """Return the table of query tag values in rows of a level, each value in a row.

    It is ordered as searches read it; on SQLite it has no row ids (see the migration). Its rows are
    deleted with the row they belong to, also by a release that does not know the table.
    """
    row_id = ForeignKey(level.c.row_id, ondelete="CASCADE")
    return Table(
        f"{level.name}_tag_values",
        metadata,
        Column("tag_id", BigInteger, primary_key=True, autoincrement=False),
        Column("value", String(COMPARED_LENGTH), primary_key=True),
        Column("row_id", row_id, primary_key=True, autoincrement=False),
        Column("part", SmallInteger, primary_key=True, autoincrement=False),
        Index(None, "row_id", "tag_id"),
        **TABLE_OPTIONS,
    )


TAG_VALUES: dict[Level, Table] = {
    Level.STUDY: _tag_values(studies),
    Level.SERIES: _tag_values(series),
    Level.INSTANCE: _tag_values(instances),
}
