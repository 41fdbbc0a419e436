"""The database: connections, tables, dialects and errors."""
