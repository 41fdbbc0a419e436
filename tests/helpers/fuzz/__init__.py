"""A client that sends requests and files that are nearly right."""
