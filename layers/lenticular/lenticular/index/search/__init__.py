"""Search the index: from a query to SQL and from rows to results."""
