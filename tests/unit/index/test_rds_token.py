"""The token for a database is the one that AWS's own client makes."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs

import boto3
import pytest

from lenticular.index.sql import rds_token

HOST = "db.cluster-abc.eu-west-1.rds.amazonaws.com"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "wJalr/XUtn+FEMI"}


@pytest.fixture
def environment(monkeypatch):
    for name in ("AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize("session", ["", "FwoGZXIvYXdzEA/+=="])
@pytest.mark.parametrize("user", ["lenticular", "ann lee+1"])
def test_it_is_byte_for_byte_what_the_client_of_aws_makes(environment, user, session):
    credentials = rds_token.Credentials(*CREDENTIALS.values(), session)
    client = boto3.Session(*credentials[:2], session or None).client("rds", "eu-west-1")
    expected = client.generate_db_auth_token(DBHostname=HOST, Port=3306, DBUsername=user)
    moment = datetime.strptime(re.search(r"Date=(\w+)", expected)[1], "%Y%m%dT%H%M%SZ")

    ours = rds_token.presign(
        f"{HOST}:3306", user, "eu-west-1", credentials, moment.replace(tzinfo=UTC)
    )

    assert parts(ours) == parts(expected)


def parts(token):
    """The address and the parameters; their order in a URL means nothing."""
    address, _, query = token.partition("?")
    return address, sorted(query.replace("+", "%20").split("&"))


def test_credentials_and_region_come_from_the_environment(environment):
    environment.setenv("AWS_REGION", "eu-central-1")
    environment.setenv("AWS_SESSION_TOKEN", "session")

    query = parse_qs(rds_token.token(HOST, 3306, "ann").partition("?")[2])

    assert "/eu-central-1/rds-db/aws4_request" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Security-Token"] == ["session"]


def test_credentials_from_elsewhere_are_found_by_the_client_of_aws(environment, tmp_path):
    for name in CREDENTIALS:
        environment.delenv(name)
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id=FROMFILE\naws_secret_access_key=secret\n")
    environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    rds_token._client.cache_clear()

    token = rds_token.token(HOST, 3306, "ann", "eu-west-1")

    assert "X-Amz-Credential=FROMFILE%2F" in token
