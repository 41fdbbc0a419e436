"""The indexes that the port is tested on."""

from tests.helpers.indexes import index, url

__all__ = ["index", "url"]
