"""The indexes that the port is tested on."""

from tests.indexes import index, url

__all__ = ["index", "url"]
