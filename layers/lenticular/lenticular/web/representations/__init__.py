"""Representations, PS3.18 8.7: datasets, frames, bulk data, renditions, and the capabilities."""
