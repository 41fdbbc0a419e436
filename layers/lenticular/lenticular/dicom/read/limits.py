"""Limits of reading one file: beyond them it is refused, or its values become bulk data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLimits:
    """Limits of one data set; only tests set others than these."""

    elements: int = 1_000_000
    """Elements and items in one file: an enhanced object of 20,000 frames has half a million."""
    inline_bytes: int = 16 * 1024 * 1024
    """Values in one data set's JSON; if there are more, the others become bulk data."""
