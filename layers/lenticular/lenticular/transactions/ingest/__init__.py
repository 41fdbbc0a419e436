"""Ingest files that nobody posts: the drop folder, the drop bucket, and zips."""
