"""The real services that the adapters are tested against."""

from tests.indexes import index, url
from tests.s3 import bucket, s3_environment

__all__ = ["bucket", "index", "s3_environment", "url"]
