"""The searchable part: four levels in SQL tables, and everything asked of them."""

from lenticular.index.index import Index

__all__ = ["Index"]
