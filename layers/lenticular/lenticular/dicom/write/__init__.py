"""From the DICOM JSON Model to the bytes of a file, PS3.5 and PS3.10."""
