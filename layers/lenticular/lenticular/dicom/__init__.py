"""DICOM itself: pure functions over bytes and datasets, no input or output."""
