"""The first that each function imports, so that what it imports next takes less time.

See docs/decisions/0014-cold-start.md.
"""

import gc

# While modules are loaded nothing becomes garbage, but much is searched for it.
gc.disable()


def finish() -> None:
    """Collect again, and never search what is there now and stays."""
    gc.freeze()
    gc.enable()
