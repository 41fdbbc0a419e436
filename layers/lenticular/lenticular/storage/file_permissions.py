"""Patient data are for the owner of the server only: folders 0700, files 0600."""

import os
import stat
from pathlib import Path

_PRIVATE_UMASK = 0o077
# What releases before this one made, under the usual umask.
_OPEN_FOLDER, _OPEN_FILE = 0o755, 0o644
_PRIVATE = {_OPEN_FOLDER: 0o700, _OPEN_FILE: 0o600}


def keep_private(data: Path) -> None:
    """Make what this process creates private, and what earlier releases left readable.

    Only what has the modes of those releases is changed: whoever shares a folder, such as
    `incoming/` with a group, has given it another mode. What lies deeper is shut in by these.
    """
    os.umask(_PRIVATE_UMASK)
    data.mkdir(parents=True, exist_ok=True)
    for path in (data, *data.iterdir()):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode in _PRIVATE and not path.is_symlink() and path.is_dir() is (mode == _OPEN_FOLDER):
            try:
                path.chmod(_PRIVATE[mode])
            except PermissionError:  # another's: not ours to change
                continue
