"""Unique identifiers, PS3.5 9.1."""

import re

# A component with a leading zero (`1.02.3`) breaks PS3.5 9.1, yet scanners and converters write
# them and every archive keeps them. It names its object just as well, and digits and dots are
# all that paths, keys and URLs need to be safe, so it is let in.
_VALID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)

MAX_LENGTH = 64


def is_valid(uid: str) -> bool:
    """Whether it is at most 64 characters of digits, in components separated by single dots."""
    return len(uid) <= MAX_LENGTH and _VALID.fullmatch(uid) is not None
