"""The strength of a requirement: a test without a mark checks a "shall"."""

from enum import StrEnum

import pytest

RECOMMENDED = pytest.mark.recommended
"""The standard says "should"."""

OPTIONAL = pytest.mark.optional
"""The standard says "may": a service that does it at all does it like this."""


class Level(StrEnum):
    """From what every origin server must do to what it may do."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"
    OPTIONAL = "optional"


def level_of(item: pytest.Item) -> Level:
    """The level of a test, by its mark."""
    for level in (Level.OPTIONAL, Level.RECOMMENDED):
        if item.get_closest_marker(level.value):
            return level
    return Level.REQUIRED
