"""User and password from Secrets Manager: a real MariaDB, and a real API of AWS."""

import json

import boto3
import pytest
from sqlalchemy import text
from starlette.testclient import TestClient

from lenticular.errors import Unavailable
from lenticular.index.sql.database import Database
from lenticular.index.sql.secret import Secret
from lenticular.services import open_services
from lenticular.settings import Settings
from lenticular.web.app import create_app
from tests.helpers.indexes import new
from tests.helpers.s3 import CREDENTIALS


class Account:
    """A user of a database, and the secret that says how it signs in."""

    def __init__(self, mariadb) -> None:
        self.mariadb = mariadb
        self.manager = boto3.client("secretsmanager")
        self.user = mariadb.new_database().rpartition("/")[2]
        self.arn = self.manager.create_secret(Name=f"lenticular/{self.user}")["ARN"]
        self.place = f"127.0.0.1:{mariadb.port}/{self.user}"
        self.rotate("first")

    def url(self, **more: str) -> str:
        query = "".join(f"&{name}={value}" for name, value in more.items())
        return f"mysql+pymysql://{self.place}?authentication=secret&secret={self.arn}{query}"

    def rotate(self, password: str) -> None:
        """Change the password as RDS does: in the database first, then in the secret."""
        self.change_database(password)
        self.change_secret(password)

    def change_database(self, password: str) -> None:
        self.mariadb.execute(f"ALTER USER '{self.user}'@'127.0.0.1' IDENTIFIED BY '{password}'")

    def change_secret(self, password: str, user: str = "") -> None:
        # What RDS writes beside them is not asked for.
        more = {"engine": "mysql", "host": "elsewhere.example", "port": 3306}
        self.write(json.dumps({"username": user or self.user, "password": password, **more}))

    def write(self, value: str) -> None:
        self.manager.put_secret_value(SecretId=self.arn, SecretString=value)


@pytest.fixture
def account(mariadb, s3_environment):
    return Account(mariadb)


@pytest.fixture
def database(account):
    opened = Database(account.url())
    yield opened
    opened.close()


def who(database) -> str:
    """As whom the database knows us."""
    with database.connect() as connection:
        return connection.scalar(text("SELECT current_user()")).partition("@")[0]


def test_user_and_password_come_from_the_secret(account, database):
    assert who(database) == account.user


def test_a_secret_may_be_named_without_its_arn(account):
    named = account.url().replace(account.arn, account.arn.rpartition(":")[2].rpartition("-")[0])
    with_region = Database(f"{named}&region={CREDENTIALS['AWS_DEFAULT_REGION']}")

    assert who(with_region) == account.user
    with_region.close()


def test_the_user_of_the_url_signs_in_where_the_secret_names_none(account):
    account.write('{"password": "first"}')
    database = Database(account.url().replace("//", f"//{account.user}@"))

    assert who(database) == account.user
    database.close()


def test_a_rotation_goes_unnoticed_by_those_who_are_connected(account, database):
    with database.connect() as connected:
        account.rotate("second")
        assert connected.scalar(text("SELECT 1")) == 1

        assert who(database) == account.user  # by a second connection, which is new

    account.rotate("third")
    database.engine.dispose()
    assert who(database) == account.user


def test_what_was_read_is_kept_while_the_database_takes_it(account, database):
    assert who(database) == account.user
    account.change_secret("another")
    database.engine.dispose()

    assert who(database) == account.user


def test_a_secret_is_read_again_when_it_was_kept_for_long(account):
    secret = Secret(account.arn, seconds_kept=0)
    assert secret.read()["password"] != "another"
    account.change_secret("another")

    assert secret.read()["password"] == "another"


def test_in_the_middle_of_a_rotation_clients_are_asked_to_come_again(account, tmp_path):
    services = open_services(Settings(data=tmp_path / "files", index=account.url(pool_size="1")))
    services.index.migrate()
    services.index.writer.add([new()])
    with TestClient(create_app(services), "http://127.0.0.1:8042") as client:
        account.change_database("second")
        services.close()
        answer = client.get("/dicom-web/studies")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        with pytest.raises(Unavailable):
            services.index.writer.add([new(instance=2)])

        account.change_secret("second")
        assert len(client.get("/dicom-web/studies").json()) == 1
        services.index.writer.add([new(instance=2)])
    services.close()


def test_while_secrets_manager_does_not_answer_clients_are_asked_to_come_again(
    database, monkeypatch
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    with pytest.raises(Unavailable, match="Secrets Manager"):
        who(database)


def test_who_has_no_credentials_is_told(database, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(LookupError, match="NoCredentialsError"):
        who(database)


def test_a_secret_that_nobody_has_is_named(account):
    database = Database(account.url().replace(account.arn, "missing"))

    with pytest.raises(LookupError, match=r"missing.*ResourceNotFoundException"):
        who(database)


@pytest.mark.parametrize("value", ["first", '"first"', "[]", '{"username": "ann"}', "5"])
def test_a_secret_that_is_no_object_with_a_password_is_named_and_not_told(account, database, value):
    account.write(value)

    with pytest.raises(LookupError, match=r"lenticular/.* should be a JSON object") as refused:
        who(database)
    assert "first" not in str(refused.value)


@pytest.mark.parametrize("query", ["authentication=secret", "authentication=aim"])
def test_a_way_to_sign_in_that_is_none_is_refused_at_once(query):
    with pytest.raises(ValueError, match="authentication=iam"):
        Database(f"mysql+pymysql://ann@127.0.0.1/lenticular?{query}")
