"""Representations of instances: datasets, frames, renditions and reports, PS3.18 8.7."""
