"""The searchable part: four levels in SQL tables, and everything asked of them."""

from lenticular.dicom.query_tags import InvalidQueryTag
from lenticular.index.index import Index

__all__ = ["Index", "InvalidQueryTag"]
