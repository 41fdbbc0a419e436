"""The real files that tests run over."""

import os
from pathlib import Path

from tests.helpers import samples


def corpus_files() -> list[Path]:
    """The files of the folder that LENTICULAR_CORPUS names, and pydicom's own."""
    folder = os.environ.get("LENTICULAR_CORPUS")
    more = sorted(path for path in Path(folder).rglob("*") if path.is_file()) if folder else []
    return samples.packaged_files() + more
