"""The folder that keeps files: what only it does."""

import os
import time

from lenticular.storage.folder import FolderStorage


def test_what_a_killed_server_left_in_the_spool_goes_after_a_day(tmp_path):
    spool = FolderStorage(tmp_path).spool_folder
    old, young = spool / "spool-old", spool / "spool-young"
    for path in (old, young):
        path.write_bytes(b"half a body")
    os.utime(old, (time.time() - 25 * 3600,) * 2)

    FolderStorage(tmp_path)

    assert list(spool.iterdir()) == [young]
