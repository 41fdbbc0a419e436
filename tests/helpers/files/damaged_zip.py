"""Zips of which a file is damaged."""

import io
import zipfile
from collections.abc import Mapping

from tests.helpers import samples


def damaged_zip(files: Mapping[str, bytes], number: int) -> bytes:
    """Return a zip of these names and contents; the content of one, from 0, is damaged."""
    content = bytearray(samples.zipped(files))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = archive.infolist()[number]
    middle = entry.header_offset + 30 + len(entry.filename.encode()) + entry.compress_size // 2
    for position in range(middle, middle + 8):
        content[position] ^= 0xFF
    return bytes(content)
