"""Store transaction (STOW-RS), PS3.18 10.5: files, and metadata with bulk data."""
