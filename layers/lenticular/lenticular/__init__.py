"""Lenticular, a serverless PACS: DICOMweb and Orthanc's REST over files and a SQL index."""

# Written here, for looking it up among the installed packages takes longer than a search.
__version__ = "0.1.0"
