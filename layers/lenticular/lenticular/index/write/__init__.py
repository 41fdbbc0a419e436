"""Change the index: insert, remove, mark as stable, and the change feed."""
