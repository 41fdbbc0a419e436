"""The built layers: small enough for Lambda, and a function imports only what it needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functions.template import ROOT, functions, load

LARGEST_BYTES = 250 * 1024 * 1024
TEMPLATE = load()
FUNCTIONS = functions(TEMPLATE)
PIXELS = {"numpy", "imagecodecs", "PIL"}
WEB = {"fastapi", "mangum"}
# What each function may not import: it would lengthen every cold start.
NEEDLESS = {
    "UploadFunction": PIXELS | {"alembic", "jwt"},
    "DicomwebFunction": PIXELS | {"alembic", "jwt"},
    "PreviewFunction": {"alembic", "jwt"},
    "IngestFunction": PIXELS | WEB | {"alembic", "jwt"},
    "MaintenanceFunction": PIXELS | WEB | {"jwt"},
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


@pytest.mark.skipif(function_python() is None, reason="Python 3.13 is not here")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_starts_from_its_layers_and_imports_nothing_needless(layers, name, tmp_path):
    module = FUNCTIONS[name]["Handler"].rpartition(".")[0]
    path = [ROOT / "functions", *(folder / "python" for folder in of_function(layers, name))]
    done = subprocess.run(
        [function_python(), "-s", "-c", f"import sys, {module}; print(*sys.modules)"],
        env={
            **ENVIRONMENT,
            "PYTHONPATH": ":".join(map(str, path)),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LENTICULAR_INDEX": f"sqlite:///{tmp_path / 'index.sqlite'}",
        },
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert not {name.split(".")[0] for name in done.stdout.split()} & NEEDLESS[name]
