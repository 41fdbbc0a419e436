"""The Pythons that the stack needs, and virtual environments with its packages, made once."""

import glob
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "stack"

EXECUTOR = ROOT / "localstack" / "executor"
LOCALSTACK = [
    "localstack-core[runtime]==2026.3.0",
    *("moto-ext[all]==5.1.54", "cbor2<6", "pyopenssl<26", "service-identity"),
    f"--editable={EXECUTOR}",
]
SAM = ["aws-sam-cli>=1.150"]
RUNTIME = ["awslambdaric>=3"]
CHECKOV = ["checkov>=3.3"]


class CannotBeHad(Exception):
    """A part that this machine lacks; nothing is wrong with the stack."""


def localstack() -> Path:
    """The environment of LocalStack."""
    return _environment("localstack", python("3.13", "3.12", "3.14"), LOCALSTACK)


def sam() -> Path:
    """The environment of SAM, which brings the runtime interface emulator too."""
    return _environment("sam", sys.executable, SAM)


def checkov() -> Path:
    """The environment of checkov, which pins much that others need in newer versions."""
    return _environment("checkov", sys.executable, CHECKOV)


def runtime() -> Path:
    """The environment of the functions' Python with AWS's runtime client."""
    return _environment("runtime", python("3.13"), RUNTIME)


def emulator() -> Path:
    """AWS's runtime interface emulator for this machine."""
    machine = "arm64" if os.uname().machine in ("aarch64", "arm64") else "x86_64"
    pattern = f"lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    (binary,) = sam().glob(pattern)
    return binary


def python(*versions: str) -> str:
    """An interpreter of one of these versions, the first one that there is."""
    for version in versions:
        found = [
            shutil.which(f"python{version}"),
            *glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")),
            *glob.glob(
                os.path.expanduser(f"~/.local/share/uv/python/cpython-{version}.*/bin/python")
            ),
        ]
        for candidate in filter(None, found):
            check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
            if subprocess.call([candidate, "-c", check], stderr=subprocess.DEVNULL) == 0:
                return candidate
    raise CannotBeHad(
        f"Python {' or '.join(versions)} is not on this machine, and the stack needs it: install it"
        " (Debian 13: apt install python3.13-venv; elsewhere: pyenv install 3.13 or uv python"
        " install 3.13), or use Docker and localstack/compose.yaml."
    )


def _environment(name: str, interpreter: str, packages: list[str]) -> Path:
    """A virtual environment with these packages; made anew when they are others."""
    folder = PLACE / name
    stamp = folder / "installed"
    # What plugs into LocalStack is found by what this file says of it.
    wanted = "\n".join([*packages, (EXECUTOR / "pyproject.toml").read_text()])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {name} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        # uv takes a tenth of pip's time here; `make stack` brings it.
        uv = [sys.executable, "-m", "uv", "--quiet"]
        subprocess.run([*uv, "venv", "--python", interpreter, folder], check=True)
        pip = [*uv, "pip", "install", "--python", folder / "bin" / "python"]
        subprocess.run([*pip, *packages], check=True)
        stamp.write_text(wanted)
    return folder
