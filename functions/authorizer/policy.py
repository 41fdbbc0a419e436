"""The answer of a Lambda authoriser: an IAM policy for the whole API, since it is kept a while."""

from collections.abc import Iterable
from typing import Any

ALLOWED = {
    "read": ("GET/*", "HEAD/*", "POST/tools/*"),
    # Not every POST writes: Orthanc's look-ups under tools/ read.
    "write": ("POST/dicom-web/*", "POST/instances", "POST/uploads*", "PUT/*", "DELETE/*"),
}


def policy_for(principal: str, rights: Iterable[str], method_arn: str) -> dict[str, Any]:
    """Allow what the rights allow; without any, deny everything, which makes 403."""
    # arn:aws:execute-api:region:account:api/stage/METHOD/path
    api, stage, _ = method_arn.split("/", 2)
    allowed = [f"{api}/{stage}/{path}" for right in rights for path in ALLOWED[right]]
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",
                    "Resource": sorted(allowed) or [f"{api}/{stage}/*"],
                }
            ],
        },
    }
