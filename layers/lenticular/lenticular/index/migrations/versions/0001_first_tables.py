"""The first tables."""

import sqlalchemy as sa
from alembic import op

from lenticular.index.sql.column_types import ROW_ID, TABLE_OPTIONS, digest

revision = "0001"
down_revision = None

LINES = sa.LargeBinary(2**24 - 1)
DOCUMENT = sa.LargeBinary(2**32 - 1)


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "patients",
        sa.Column("row_id", ROW_ID, primary_key=True),
        sa.Column("orthanc_id", digest(20), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("answer", LINES, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("orthanc_id", name="uq_patients_orthanc_id"),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "studies",
        sa.Column("row_id", ROW_ID, primary_key=True),
        sa.Column(
            "patient_row_id",
            ROW_ID,
            sa.ForeignKey("patients.row_id", name="fk_studies_patient_row_id"),
            nullable=False,
        ),
        sa.Column("orthanc_id", digest(20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("patient_name", sa.String(255)),
        sa.Column("patient_name_ideographic", sa.String(255)),
        sa.Column("patient_name_phonetic", sa.String(255)),
        sa.Column("patient_id", sa.String(255)),
        sa.Column("issuer_of_patient_id", sa.String(255)),
        sa.Column("patient_birth_date", sa.String(8)),
        sa.Column("patient_sex", sa.String(255)),
        sa.Column("other_patient_ids", sa.Text()),
        sa.Column("patient_age", sa.String(255)),
        sa.Column("ethnic_group", sa.String(255)),
        sa.Column("study_instance_uid", sa.String(64), nullable=False),
        sa.Column("study_date", sa.String(8)),
        sa.Column("study_time", sa.String(13)),
        sa.Column("accession_number", sa.String(255)),
        sa.Column("study_id", sa.String(255)),
        sa.Column("study_description", sa.String(255)),
        sa.Column("referring_physician_name", sa.Text()),
        sa.Column("name_of_physicians_reading_study", sa.Text()),
        sa.Column("physicians_of_record", sa.Text()),
        sa.Column("requesting_physician", sa.Text()),
        sa.Column("requesting_service", sa.String(255)),
        sa.Column("admission_id", sa.String(255)),
        sa.Column("admitting_diagnoses_description", sa.Text()),
        sa.Column("institution_name", sa.String(255)),
        sa.Column("modalities_in_study", sa.Text()),
        sa.Column("sop_classes_in_study", sa.Text()),
        sa.Column("number_of_study_related_series", sa.BigInteger(), nullable=False),
        sa.Column("number_of_study_related_instances", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("orthanc_id", name="uq_studies_orthanc_id"),
        sa.UniqueConstraint("study_instance_uid", name="uq_studies_study_instance_uid"),
        **TABLE_OPTIONS,
    )
    op.create_index("ix_studies_accession_number", "studies", ["accession_number"])
    op.create_index("ix_studies_patient_id", "studies", ["patient_id"])
    op.create_index("ix_studies_patient_name", "studies", ["patient_name"])
    op.create_index("ix_studies_patient_name_ideographic", "studies", ["patient_name_ideographic"])
    op.create_index("ix_studies_patient_name_phonetic", "studies", ["patient_name_phonetic"])
    op.create_index("ix_studies_patient_row_id", "studies", ["patient_row_id"])
    op.create_index(
        "ix_studies_study_date_study_time_row_id", "studies", ["study_date", "study_time", "row_id"]
    )
    op.create_table(
        "study_attributes",
        sa.Column(
            "study_row_id",
            ROW_ID,
            sa.ForeignKey("studies.row_id", name="fk_study_attributes_study_row_id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("answer", LINES, nullable=False),
        sa.Column("extra", LINES, nullable=False),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "series",
        sa.Column("row_id", ROW_ID, primary_key=True),
        sa.Column(
            "study_row_id",
            ROW_ID,
            sa.ForeignKey("studies.row_id", name="fk_series_study_row_id"),
            nullable=False,
        ),
        sa.Column("orthanc_id", digest(20), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("series_instance_uid", sa.String(64), nullable=False),
        sa.Column("series_number", sa.BigInteger()),
        sa.Column("modality", sa.String(255)),
        sa.Column("series_description", sa.String(255)),
        sa.Column("series_date", sa.String(8)),
        sa.Column("series_time", sa.String(13)),
        sa.Column("body_part_examined", sa.String(255)),
        sa.Column("laterality", sa.String(255)),
        sa.Column("protocol_name", sa.String(255)),
        sa.Column("performing_physician_name", sa.Text()),
        sa.Column("operators_name", sa.Text()),
        sa.Column("institutional_department_name", sa.String(255)),
        sa.Column("station_name", sa.String(255)),
        sa.Column("manufacturer", sa.String(255)),
        sa.Column("manufacturer_model_name", sa.String(255)),
        sa.Column("device_serial_number", sa.String(255)),
        sa.Column("frame_of_reference_uid", sa.String(64)),
        sa.Column("performed_procedure_step_start_date", sa.String(8)),
        sa.Column("performed_procedure_step_start_time", sa.String(13)),
        sa.Column("performed_procedure_step_id", sa.String(255)),
        sa.Column("performed_procedure_step_description", sa.String(255)),
        sa.Column("presentation_intent_type", sa.String(255)),
        sa.Column("scheduled_procedure_step_id", sa.Text()),
        sa.Column("requested_procedure_id", sa.Text()),
        sa.Column("number_of_series_related_instances", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("orthanc_id", name="uq_series_orthanc_id"),
        sa.UniqueConstraint(
            "series_instance_uid", "study_row_id", name="uq_series_series_instance_uid_study_row_id"
        ),
        **TABLE_OPTIONS,
    )
    op.create_index(
        "ix_series_study_row_id_series_number_row_id",
        "series",
        ["study_row_id", "series_number", "row_id"],
    )
    op.create_table(
        "series_attributes",
        sa.Column(
            "series_row_id",
            ROW_ID,
            sa.ForeignKey("series.row_id", name="fk_series_attributes_series_row_id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("answer", LINES, nullable=False),
        sa.Column("extra", LINES, nullable=False),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "instances",
        sa.Column("row_id", ROW_ID, primary_key=True),
        sa.Column(
            "series_row_id",
            ROW_ID,
            sa.ForeignKey("series.row_id", name="fk_instances_series_row_id"),
            nullable=False,
        ),
        sa.Column("orthanc_id", digest(20), nullable=False),
        sa.Column("storage_key", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", digest(32), nullable=False),
        sa.Column("frame_count", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("sop_instance_uid", sa.String(64), nullable=False),
        sa.Column("sop_class_uid", sa.String(64), nullable=False),
        sa.Column("instance_number", sa.BigInteger()),
        sa.Column("content_date", sa.String(8)),
        sa.Column("content_time", sa.String(13)),
        sa.Column("acquisition_date", sa.String(8)),
        sa.Column("acquisition_time", sa.String(13)),
        sa.Column("acquisition_date_time", sa.String(21)),
        sa.Column("acquisition_number", sa.BigInteger()),
        sa.Column("number_of_frames", sa.BigInteger()),
        sa.Column("rows", sa.BigInteger()),
        sa.Column("columns", sa.BigInteger()),
        sa.Column("bits_allocated", sa.BigInteger()),
        sa.Column("image_type", sa.Text()),
        sa.Column("available_transfer_syntax_uid", sa.String(64), nullable=False),
        sa.UniqueConstraint("orthanc_id", name="uq_instances_orthanc_id"),
        sa.UniqueConstraint(
            "sop_instance_uid", "series_row_id", name="uq_instances_sop_instance_uid_series_row_id"
        ),
        **TABLE_OPTIONS,
    )
    op.create_index(
        "ix_instances_series_row_id_instance_number_row_id",
        "instances",
        ["series_row_id", "instance_number", "row_id"],
    )
    op.create_table(
        "documents",
        sa.Column(
            "series_row_id",
            ROW_ID,
            sa.ForeignKey("series.row_id", name="fk_documents_series_row_id"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("instance_row_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("layout", LINES, nullable=False),
        sa.Column("answer", LINES, nullable=False),
        sa.Column("extra", LINES, nullable=False),
        sa.Column("body", DOCUMENT, nullable=False),
        **TABLE_OPTIONS,
    )
    op.create_table(
        "frames",
        sa.Column("instance_row_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("chunk", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("ranges", LINES, nullable=False),
        sqlite_with_rowid=False,
        **TABLE_OPTIONS,
    )
    op.create_table(
        "changes",
        sa.Column("sequence", ROW_ID, primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("orthanc_id", digest(20), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        **TABLE_OPTIONS,
    )
