"""The transactions of the system, without HTTP, AWS or SQL."""
