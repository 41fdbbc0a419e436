"""TLS to the database: its certificate has to come from the authority that the URL names."""

import datetime
import ipaddress
import json
from pathlib import Path

import boto3
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import text

from lenticular.errors import Unavailable
from lenticular.index.sql.database import Database
from tests.helpers.databases import FAST, PASSWORD, MariaDB, mariadb_server


def certify(folder: Path, name: str) -> Path:
    """A certificate of this machine that is its own authority, and its key beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.with_suffix(".key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    return certify(tmp_path_factory.mktemp("certificates"), "database")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, certificate):
    """A server that takes nobody without TLS, as the template's cluster does."""
    files = f"--ssl-cert={certificate}", f"--ssl-key={certificate.with_suffix('.key')}"
    options = (*FAST, *files, "--require-secure-transport=ON")
    with mariadb_server(tmp_path_factory.mktemp("tls"), *options) as server:
        yield server


def cipher(server: MariaDB, query: str) -> str:
    database = Database(f"{server.new_database()}{query}")
    with database.connect() as connection:
        return connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]


def test_a_database_is_believed_that_the_named_authority_vouches_for(guarded, certificate):
    assert cipher(guarded, f"?ssl_ca={certificate}")


def test_a_database_of_another_authority_is_not_talked_to(guarded, tmp_path):
    other = certify(tmp_path, "other")
    with pytest.raises(Unavailable) as refused:
        cipher(guarded, f"?ssl_ca={other}")
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)


def test_a_missing_file_of_authorities_is_named(guarded, tmp_path):
    with pytest.raises(FileNotFoundError, match="make build"):
        cipher(guarded, f"?ssl_ca={tmp_path / 'missing.pem'}")


def test_who_signs_in_with_a_secret_believes_no_other_authority_either(
    guarded, certificate, tmp_path, s3_environment
):
    user = guarded.new_database().rpartition("/")[2]
    value = json.dumps({"username": user, "password": PASSWORD})
    boto3.client("secretsmanager").create_secret(Name=user, SecretString=value)
    url = f"mysql+pymysql://127.0.0.1:{guarded.port}/{user}?authentication=secret&secret={user}"

    with Database(f"{url}&ssl_ca={certificate}").connect() as connection:
        assert connection.execute(text("SHOW STATUS LIKE 'Ssl_cipher'")).one()[1]
    with (
        pytest.raises(Unavailable),
        Database(f"{url}&ssl_ca={certify(tmp_path, 'other')}").connect(),
    ):
        pass
