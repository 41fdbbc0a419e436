"""Levels of requirements: shall (a test without a mark), should, and may."""

from enum import StrEnum

import pytest

RECOMMENDED = pytest.mark.recommended
"""The standard says "should"."""

OPTIONAL = pytest.mark.optional
"""The standard says "may": a service that supports it has to do it in this way."""


class Level(StrEnum):
    """The level of a requirement."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


def level_of(item: pytest.Item) -> Level:
    """Return the level of a test by its mark."""
    for level in (Level.OPTIONAL, Level.RECOMMENDED):
        if item.get_closest_marker(level.value):
            return level
    return Level.REQUIRED
