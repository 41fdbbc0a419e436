"""Rows without files: an index filled directly, to search among more studies than one waits for.

They are what a store would have written; only the files, which no search opens, are missing.
"""

import hashlib
import importlib
import sys
from typing import Any

from bench.files import Shape, Templates
from bench.servers import PACKAGE

AT_ONCE = 500


def fill(url: str, templates: Templates, shape: Shape, studies: int) -> None:
    """Put the first instance of so many studies into the index at a URL, which is made."""
    sys.path.insert(0, str(PACKAGE))
    index: Any = importlib.import_module("lenticular.index").Index(url)
    index.migrate()
    for start in range(0, studies, AT_ONCE):
        some = range(start, min(start + AT_ONCE, studies))
        index.writer.add([_instance(templates.tiny(shape, study, 0, 0), study) for study in some])
    index.close()


def _instance(file: bytes, number: int) -> Any:
    records = importlib.import_module("lenticular.index.records")
    parse: Any = importlib.import_module("lenticular.dicom.read.part10").parse
    return records.NewInstance(
        parse(file), f"instances/none/{number}", len(file), hashlib.sha256(file).digest()
    )
