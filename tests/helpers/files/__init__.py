"""DICOM files and datasets made by the tests."""
