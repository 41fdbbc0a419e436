"""Lenticular, a serverless PACS: DICOMweb and Orthanc's REST over files and a SQL index."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("lenticular")
except PackageNotFoundError:  # run from a tree that was never installed, as a Lambda layer is
    __version__ = "0.1.0"
