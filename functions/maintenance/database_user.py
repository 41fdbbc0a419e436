"""Makes the database's user, who signs in by IAM: through the Data API, as the administrator.

The other functions live in subnets without a way out, so they cannot ask for the administrator's
secret, and need not know it.
"""

import os
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

from maintenance.deployment import answer
from shared import observed

SECONDS_TO_WAKE = 120
WAKING = frozenset({"DatabaseResumingException", "DatabaseUnavailableException"})
STATEMENTS = (
    "CREATE USER IF NOT EXISTS lenticular IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS'",
    "ALTER USER lenticular REQUIRE SSL",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES,"
    " CREATE TEMPORARY TABLES, LOCK TABLES ON lenticular.* TO lenticular",
)


def respond(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the user, or give it the rights that this release needs."""
    return answer(event, context, make_user)


def make_user() -> None:
    """Run each statement; running them again does no harm."""
    for statement in STATEMENTS:
        _execute(statement)


def _execute(statement: str) -> None:
    client = boto3.client("rds-data")
    deadline = time.monotonic() + SECONDS_TO_WAKE
    while True:
        try:
            client.execute_statement(
                resourceArn=os.environ["CLUSTER_ARN"],
                secretArn=os.environ["SECRET_ARN"],
                sql=statement,
            )
            return
        except ClientError as error:
            if error.response["Error"]["Code"] not in WAKING or time.monotonic() > deadline:
                raise
            time.sleep(2)


handler = observed(respond)
