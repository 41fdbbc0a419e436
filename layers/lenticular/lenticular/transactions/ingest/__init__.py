"""Ingest files that do not come by HTTP: the drop folder, the drop bucket; and zips."""
