"""Limits of one server, which are no settings: only tests set others than these.

What a person who runs a server may choose is in `settings.py`.
"""

from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of what is read or written at a time."""

    search_results: int = 10_000
    """Results of one search; a client asks for more of them with `offset`."""
    counted_results: int = 1000
    """Results behind a page that are counted."""
    few_rows: int = 5000
    """Rows that the database sorts so quickly that a search may begin with them."""
    orthanc_resources: int = 1000
    """Resources of Orthanc's REST that are read at a time."""
    checked_rows: int = 200
    """Rows of the index that a check compares with their files at a time."""

    rendered_instances: int = 5000
    """Instances that one request may render."""
    cached_picture_bytes: int = 8 * MEBIBYTE
    """The size of the largest picture that is kept in the bucket."""
    thumbnails_bytes: int = 32 * MEBIBYTE
    """Memory for thumbnails that were drawn before."""

    metadata_bytes: int = 64 * MEBIBYTE
    """The size of a part of metadata in a store request."""
    unclaimed_parts: int = 100
    """Parts of bulk data that came before any metadata named them."""
    waiting_bytes: int = 256 * MEBIBYTE
    """Memory for small parts of bulk data that wait for the rest of their instance."""
    upload_part_bytes: int = 64 * MEBIBYTE
    """The size of a part of a presigned upload; a smaller file goes in one piece."""

    response_piece_bytes: int = MEBIBYTE
    """Small pieces of a response are joined to pieces of at least this size."""
    dataset_bytes: int = MEBIBYTE
    """Datasets of more bytes in total are streamed."""
    ahead_bytes: int = 256 * MEBIBYTE
    """Bytes that are made before the response begins, to know its status and its warnings."""

    writer_seconds: float = 20.0
    """Seconds after which a change of the index is not tried again.

    A writer that hangs is ended before, and clients are answered within 25 seconds: API Gateway
    gives up after 29.
    """
    writer_attempts: int = 20
    """Number of tries of a transaction that loses to another one, or loses its connection."""
    backfilled_instances: int = 50
    """Instances in one transaction of a backfill, so that nobody who stores waits for long."""
    backfilled_studies: int = 10
    """Studies in one transaction of a backfill."""
    backfill_grace: int = 3_600_000
    """Milliseconds for which processes may still store as they were configured before.

    A deployment registers first and gives the new configuration to the functions then, and one
    that works may go on for a quarter of an hour.
    """

    threads: int = 16
    """Threads for calls that wait for a disk or a bucket."""
