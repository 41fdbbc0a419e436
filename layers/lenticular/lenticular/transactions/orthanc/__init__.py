"""Orthanc's REST as transactions: resources, find, content, and the names in its archives."""
