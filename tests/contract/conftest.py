"""The real services that the adapters are tested against."""

from tests.s3 import bucket, s3_environment

__all__ = ["bucket", "s3_environment"]
