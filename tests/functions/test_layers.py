"""The built layers: small enough for Lambda, and a function imports only what it needs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.helpers.aws.sam_template import ROOT, functions, load

LARGEST_BYTES = 250 * 1024 * 1024
TEMPLATE = load()
FUNCTIONS = functions(TEMPLATE)
PIXELS = {"numpy", "imagecodecs", "PIL"}
WEB = {"fastapi", "mangum"}
# Powertools import the bare package of botocore; what takes long is its client.
CLIENT = {"boto3", "botocore.client", "s3transfer"}
AWS = CLIENT | {"aws_xray_sdk"}
# What each function may not import: it would lengthen every cold start.
NEEDLESS = {
    "UploadFunction": PIXELS | {"alembic", "jwt", "pydicom", "aws_xray_sdk"},
    "DicomwebFunction": PIXELS | AWS | {"alembic", "jwt", "pydicom"},
    "PreviewFunction": {"alembic", "jwt", "pydicom", "aws_xray_sdk"},
    "IngestFunction": PIXELS | WEB | {"alembic", "jwt", "pydicom", "aws_xray_sdk"},
    "MaintenanceFunction": PIXELS | WEB | {"jwt", "pydicom", "aws_xray_sdk"},
    "AuthorizerFunction": PIXELS
    | WEB
    | {"alembic", "sqlalchemy", "pydicom", "boto3", "lenticular"},
    "DatabaseUserFunction": PIXELS | WEB | {"alembic", "sqlalchemy", "pydicom", "lenticular"},
}
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_NAME": "function",
    "LAMBDA_TASK_ROOT": "/var/task",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "LENTICULAR_STORAGE": "s3://bucket",
    "OIDC_ISSUER": "https://issuer.example",
    "OIDC_AUDIENCE": "lenticular",
    "OIDC_READ_SCOPE": "read",
    "OIDC_WRITE_SCOPE": "write",
}


@pytest.fixture(scope="module")
def layers() -> Path:
    """The layers, built from the tree as it is."""
    if shutil.which("make") is None:
        pytest.skip("make is not here")
    subprocess.run(
        ["make", "-C", ROOT / "layers", f"PYTHON={sys.executable}"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
    )
    return ROOT / "build" / "layers"


def of_function(layers: Path, name: str) -> list[Path]:
    uris = [
        TEMPLATE["Resources"][layer["Ref"]]["Properties"]["ContentUri"]
        for layer in FUNCTIONS[name]["Layers"]
    ]
    return [layers / Path(uri).name for uri in uris]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_its_layers_is_small_enough(layers, name):
    folders = [*of_function(layers, name), ROOT / "functions"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST_BYTES


def function_python() -> str | None:
    """An interpreter of the version that runs the functions, if this machine has one."""
    candidates = [shutil.which("python3.13")]
    candidates += map(str, Path("~/.pyenv/versions").expanduser().glob("3.13.*/bin/python"))
    check = "import sys; sys.exit(sys.version_info[:2] != (3, 13))"
    for candidate in filter(None, candidates):
        if subprocess.call([candidate, "-c", check], stderr=subprocess.DEVNULL) == 0:
            return candidate
    return None


def run(layers: Path, name: str, code: str, tmp_path: Path, **environment: str) -> str:
    """What this code prints in a process such as Lambda starts for the function."""
    python = function_python()
    if python is None:
        pytest.skip("Python 3.13 is not here")
    path = [ROOT / "functions", *(folder / "python" for folder in of_function(layers, name))]
    done = subprocess.run(
        [python, "-s", "-c", code],
        env={
            **ENVIRONMENT,
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LENTICULAR_INDEX": f"sqlite:///{tmp_path / 'index.sqlite'}",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported(printed: str) -> set[str]:
    modules = printed.splitlines()[-1].split()
    return {*modules, *(module.split(".")[0] for module in modules)}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_starts_from_its_layers_and_imports_nothing_needless(layers, name, tmp_path):
    module = FUNCTIONS[name]["Handler"].rpartition(".")[0]
    printed = run(layers, name, f"import sys, {module}; print(*sys.modules)", tmp_path)
    assert not imported(printed) & NEEDLESS[name]


SEARCH = """
import sys
from types import SimpleNamespace
from dicomweb.handler import handler, services

services.index.migrate()
arn = "arn:aws:lambda:eu-central-1:123456789012:function:dicomweb"
context = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1, invoked_function_arn=arn, aws_request_id="1"
)
answer = handler({event}, context)
assert answer["statusCode"] == 200, answer
print(*sys.modules)
"""
EVENT = json.loads((ROOT / "events" / "dicomweb-search.json").read_text())
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled="


def search(layers: Path, tmp_path: Path, trace: str) -> set[str]:
    """What a process has imported that has answered a search."""
    code = SEARCH.format(event=EVENT)
    return imported(run(layers, "DicomwebFunction", code, tmp_path, _X_AMZN_TRACE_ID=trace))


def test_a_search_imports_no_codec_no_pydicom_and_no_client_of_aws(layers, tmp_path):
    found = search(layers, tmp_path, TRACE + "0")
    assert {"fastapi", "sqlalchemy"} <= found
    assert not found & (PIXELS | AWS | {"jwt", "pydicom", "lenticular.web.viewer.pages"})


def test_a_search_that_x_ray_follows_imports_its_sdk_and_no_client_of_aws(layers, tmp_path):
    found = search(layers, tmp_path, TRACE + "1")
    assert "aws_xray_sdk" in found
    assert not found & (PIXELS | CLIENT | {"pydicom"})


def test_the_layers_hold_every_codec_that_the_package_names(layers, tmp_path):
    sources = [path.read_text("utf-8") for path in (ROOT / "layers" / "lenticular").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r"imagecodecs\.([a-z]\w+)_", text)}
    assert named
    missing = f"[n for n in {sorted(named)} if not getattr(imagecodecs, n.upper()).available]"

    printed = run(layers, "UploadFunction", f"import imagecodecs; print({missing})", tmp_path)

    assert printed.strip() == "[]"


def test_the_layers_hold_what_reads_a_secret(layers, tmp_path, s3_environment):
    secret = boto3.client("secretsmanager").create_secret(
        Name="of the layers", SecretString='{"username": "ann", "password": "secret"}'
    )
    arn = secret["ARN"]
    code = f"from lenticular.index.sql.secret import Secret; print(Secret('{arn}').read())"

    printed = run(layers, "DicomwebFunction", code, tmp_path, **s3_environment)

    assert printed.strip() == str({"user": "ann", "password": "secret"})


def test_the_layers_bring_byte_code_for_all_they_hold(layers):
    if function_python() is None:
        pytest.skip("Python 3.13 is not here, so nothing could compile for it")
    for module in (layers / "lenticular" / "python").rglob("*.py"):
        compiled = module.parent / "__pycache__" / f"{module.stem}.cpython-313.pyc"
        # Not checked against its source: unpacking a layer changes the times of files.
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", compiled


def make_certificates(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Fetch the certificates into layers that are built otherwise."""
    built = folder / "dependencies" / "x86_64"
    built.parent.mkdir(exist_ok=True)
    built.touch()
    settings = [f"{name}={value}" for name, value in {"OUT": str(folder), **variables}.items()]
    return subprocess.run(
        ["make", "-C", ROOT / "layers", "certificates", *settings],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_build_without_the_certificates_of_the_database_fails_and_says_what_to_do(tmp_path):
    failed = make_certificates(tmp_path, RDS_CA_URL="https://127.0.0.1:9/bundle.pem")

    assert failed.returncode != 0
    assert "RDS_CA=none" in failed.stdout
    assert not (tmp_path / "dependencies" / "rds-ca.pem").exists()
    assert make_certificates(tmp_path, RDS_CA="none").returncode == 0


def test_a_build_takes_certificates_that_were_fetched_before(tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----")

    assert make_certificates(tmp_path, RDS_CA=str(bundle)).returncode == 0
    assert (tmp_path / "dependencies" / "rds-ca.pem").read_text() == bundle.read_text()
