"""The token that signs in to a database of RDS instead of a password, valid for 15 minutes.

It is a presigned URL (AWS Signature Version 4) that is never called. If the environment holds the
credentials, as in Lambda, it is made here: what takes long otherwise is the import of AWS's
client, longer than everything else of a search in a fresh process.
"""

import hashlib
import hmac
import os
from datetime import UTC, datetime
from functools import cache, reduce
from typing import Any, NamedTuple
from urllib.parse import quote

SECONDS = 900
_SERVICE = "rds-db"
_ALGORITHM = "AWS4-HMAC-SHA256"
_NO_BODY = hashlib.sha256().hexdigest()


class Credentials(NamedTuple):
    """AWS credentials; temporary ones have a session token."""

    key: str
    secret: str
    session: str


def token(host: str, port: int, user: str, region: str | None = None) -> str:
    """Return a token for this user of the database at this address."""
    environment = os.environ
    region = region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    credentials = Credentials(*(environment.get(name, "") for name in names))
    if region and credentials.key and credentials.secret:
        return presign(f"{host}:{port}", user, region, credentials, datetime.now(UTC))
    made: str = _client(region).generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    return made


def presign(address: str, user: str, region: str, credentials: Credentials, now: datetime) -> str:
    """Return the token of these credentials at this time."""
    day, time_stamp = f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{day}/{region}/{_SERVICE}/aws4_request"
    parameters = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{credentials.key}/{scope}",
        "X-Amz-Date": time_stamp,
        "X-Amz-Expires": str(SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    if credentials.session:
        parameters["X-Amz-Security-Token"] = credentials.session
    query = "&".join(f"{name}={quote(parameters[name], '')}" for name in sorted(parameters))
    request = f"GET\n/\n{query}\nhost:{address}\n\nhost\n{_NO_BODY}"
    signed = f"{_ALGORITHM}\n{time_stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = reduce(
        _mac, [*scope.split("/"), signed], f"AWS4{credentials.secret}".encode()
    ).hex()
    return f"{address}/?{query}&X-Amz-Signature={signature}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@cache
def _client(region: str | None) -> Any:
    """Return AWS's own client, which finds credentials wherever AWS's tools do."""
    import boto3

    return boto3.Session(region_name=region).client("rds")
