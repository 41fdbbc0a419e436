"""Datasets as clients send and receive them: JSON (PS3.18 Annex F) and XML (PS3.19 A.1)."""
