"""The response of a Lambda authoriser: an IAM policy for the whole API, because it is cached."""

from collections.abc import Iterable
from typing import Any

# The rights of the routes (`web/access/rights.py`), written down: the authoriser would take three
# times as long to start if it imported them. A test compares the two.
# The state of an upload has URLs to put files to, so it needs the right to write.
LOOKING_AT_UPLOADS = ("GET/uploads/*", "HEAD/uploads/*")
ALLOWED = {
    "read": (
        *("GET/*", "HEAD/*"),
        *("POST/tools/find", "POST/tools/find/", "POST/tools/lookup", "POST/tools/lookup/"),
    ),
    "write": (
        *("POST/dicom-web/*", "POST/instances*", "POST/uploads*", "PUT/*", "DELETE/*"),
        *LOOKING_AT_UPLOADS,
    ),
}


def policy_for(principal: str, rights: Iterable[str], method_arn: str) -> dict[str, Any]:
    """Allow what the rights allow; without any, deny everything, which makes 403."""
    # arn:aws:execute-api:region:account:api/stage/METHOD/path
    api, stage, _ = method_arn.split("/", 2)
    held = set(rights)
    allowed = [path for right in held for path in ALLOWED[right]]
    denied = LOOKING_AT_UPLOADS if held == {"read"} else () if held else ("*",)
    statements = [
        {
            "Action": "execute-api:Invoke",
            "Effect": effect,
            "Resource": sorted(f"{api}/{stage}/{path}" for path in paths),
        }
        for effect, paths in (("Allow", allowed), ("Deny", denied))
        if paths
    ]
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": statements},
    }
