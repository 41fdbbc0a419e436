"""Helpers of several test modules: servers, databases, files, requests. No test is in here."""
