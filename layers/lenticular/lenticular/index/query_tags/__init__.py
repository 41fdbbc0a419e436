"""Query tags in the database: which are registered, and the backfill of their values."""
