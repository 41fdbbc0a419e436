"""Keys of stored files: `instances/<3 hex>/<study>/<series>/<instance>-<16 hex>-<8 hex>.dcm`.

A key is new for every store, so that no delete can hit a concurrent store. The UIDs in it are
encoded (`dicom/uids.py`), and can be read back.
"""

import hashlib
import re
import secrets

from lenticular.dicom import uids
from lenticular.dicom.model import Target

_KEY = re.compile(r"instances/[0-9a-f]{3}/([^/]+)/([^/]+)/([^/-]+)-[^/]+")


def new_key(target: Target, sha256: bytes) -> str:
    """Return a key that was never used before."""
    named = (target.study_instance_uid, target.series_instance_uid, target.sop_instance_uid)
    study, series, instance = (uids.encode(uid or "") for uid in named)
    # In front, to spread what would otherwise share one long prefix.
    spread = hashlib.sha1(named[0].encode(), usedforsecurity=False).hexdigest()[:3]
    unique = secrets.token_hex(4)
    return f"instances/{spread}/{study}/{series}/{instance}-{sha256.hex()[:16]}-{unique}.dcm"


def target_of_key(key: str) -> Target | None:
    """Return the instance that a key was made for, None if it is not a key of ours."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    study, series, instance = map(uids.decode, match.groups())
    if study is None or series is None or instance is None:
        return None
    return Target(study, series, instance)
