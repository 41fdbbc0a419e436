"""Recurring work: sweep, reindex, stability, query tags."""
