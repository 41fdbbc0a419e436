"""Checks a DICOMweb service against PS3.18, requirement by requirement."""

__version__ = "0.1.0"

EDITION = "2026"
"""The edition of the DICOM standard whose section numbers are used."""
