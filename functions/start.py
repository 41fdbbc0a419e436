"""Imported first by every function: turns garbage collection off during imports.

See docs/decisions/0014-cold-start.md.
"""

import gc

# While modules are loaded nothing becomes garbage, but much is searched for it.
gc.disable()


def finish() -> None:
    """Turn garbage collection on again, and exempt the objects that exist now."""
    gc.freeze()
    gc.enable()
