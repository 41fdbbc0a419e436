"""From the bytes of a file to the DICOM JSON Model, PS3.5, PS3.10 and PS3.18 Annex F."""
