"""Requests over HTTP, and readers of their answers."""
