"""Docker, where it can be had: the image that functions run in, and how containers reach us.

Who can pull AWS's image needs nothing from here (docker pull public.ecr.aws/lambda/python:3.13).
For everybody else `make_image` makes one that looks like it from this machine's own Python: the
same paths, AWS's runtime client and AWS's runtime interface emulator.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import environments
from environments import PLACE, CannotBeHad

AWS_IMAGE = "public.ecr.aws/lambda/python:3.13"
OUR_IMAGE = "lenticular-lambda-python:3.13"

# What SAM's own Dockerfile calls.
PROGRAMS = ("sh", "cat", "chmod", "cp", "env", "ls", "mkdir", "mv", "rm")
# What packages with compiled parts link to, though Python itself does not.
LIBRARIES = (
    *("libstdc++.so.6", "libgcc_s.so.1", "libgomp.so.1", "libnss_dns.so.2", "libresolv.so.2"),
    *("libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6"),
)
LEFT_OUT = (
    "test",
    "site-packages",
    "idlelib",
    "tkinter",
    "turtledemo",
    "ensurepip",
    "config-3.13*",
)

BOOTSTRAP = """#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_python3.13
packages=/opt/python/lib/python3.13/site-packages:/opt/python
export PYTHONPATH="$LAMBDA_TASK_ROOT:$packages:/var/runtime"
exec /var/lang/bin/python3.13 -m awslambdaric "${_HANDLER:-$1}"
"""
ENTRYPOINT = """#!/bin/sh
export _HANDLER="$1"
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then exec /var/runtime/bootstrap "$1"; fi
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap "$1"
"""
SETTINGS = (
    "ENV LANG=C.UTF-8 TZ=:/etc/localtime LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime"
    " PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin:/opt/bin"
    " LD_LIBRARY_PATH=/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/task:/opt/lib",
    "WORKDIR /var/task",
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
)


def answers() -> bool:
    """True if Docker answers on this machine."""
    return shutil.which("docker") is not None and _succeeds("docker", "info")


def image() -> str | None:
    """The image for the functions that is here: AWS's, else ours."""
    if shutil.which("docker") is None:
        return None
    names = (AWS_IMAGE, OUR_IMAGE)
    return next((name for name in names if _succeeds("docker", "image", "inspect", name)), None)


def bridge() -> str | None:
    """The address of this machine by which containers reach it, where Docker makes a bridge."""
    if not answers():
        return None
    form = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    found = subprocess.run(
        ["docker", "network", "inspect", "bridge", "--format", form],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout.strip()
    # Elsewhere than on Linux the bridge is inside a virtual machine, which finds us by itself.
    return found if found and sys.platform == "linux" else None


def make_image() -> str:
    """Make our image, from this machine's Python 3.13."""
    if not answers():
        raise CannotBeHad("Docker does not answer on this machine.")
    if sys.platform != "linux":
        raise CannotBeHad(f"The image is made on Linux; here: docker pull {AWS_IMAGE}")
    root = PLACE / "image"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("tmp", "opt", "var/task", "proc", "dev", "sys", "usr/bin", "usr/local/bin"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "bin").symlink_to("usr/bin")
    _copy_python(root)
    _copy_runtime(root)
    _copy_system(root)
    changes = [word for setting in SETTINGS for word in ("--change", setting)]
    with subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["docker", "import", *changes, "-", OUR_IMAGE],
            stdin=tar.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    shutil.rmtree(root)
    return OUR_IMAGE


def _copy_python(root: Path) -> None:
    """The interpreter and its library, where Lambda has them."""
    executable = environments.python("3.13")
    program = "import sys; print(sys.base_prefix)"
    prefix = Path(subprocess.check_output([executable, "-c", program], text=True).strip())
    language = root / "var" / "lang"
    shutil.copytree(
        prefix / "lib" / "python3.13",
        language / "lib" / "python3.13",
        ignore=shutil.ignore_patterns(*LEFT_OUT),
    )
    for library in prefix.glob("lib/libpython3*.so*"):
        shutil.copy(library, language / "lib")
    (language / "bin").mkdir()
    shutil.copy(prefix / "bin" / "python3.13", language / "bin")
    for name in ("python3", "python"):
        (language / "bin" / name).symlink_to("python3.13")


def _copy_runtime(root: Path) -> None:
    """AWS's runtime client and emulator, and what starts them."""
    (packages,) = environments.runtime().glob("lib/python*/site-packages")
    shutil.copytree(packages, root / "var" / "runtime")
    shutil.copy(environments.emulator(), root / "usr" / "local" / "bin" / "aws-lambda-rie")
    _write_program(root / "var" / "runtime" / "bootstrap", BOOTSTRAP)
    _write_program(root / "lambda-entrypoint.sh", ENTRYPOINT)


def _copy_system(root: Path) -> None:
    """A shell, the C library with its like, names and certificates."""
    for program in PROGRAMS:
        shutil.copy(str(shutil.which(program)), root / "usr" / "bin")
    python = root / "var" / "lang"
    binaries = [
        *(root / "usr" / "bin").iterdir(),
        python / "bin" / "python3.13",
        *python.rglob("*.so*"),
    ]
    for library in sorted(_linked(binaries, python / "lib")):
        target = root / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    etc = root / "etc"
    (etc / "ssl" / "certs").mkdir(parents=True)
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    if certificates.exists():
        shutil.copy(certificates, etc / "ssl" / "certs")
    (etc / "nsswitch.conf").write_text("passwd: files\nhosts: files dns\n")
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nsbx_user1051:x:993:990::/tmp:/bin/sh\n")


def _linked(binaries: Iterable[Path], own: Path) -> set[str]:
    """The libraries of this machine that these need, and those that others will need."""
    done = subprocess.run(
        ["ldd", *binaries],
        env={**os.environ, "LD_LIBRARY_PATH": str(own)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    words = done.stdout.split()
    found = {word for word in words if word.startswith("/") and ".so" in word and ":" not in word}
    cache = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True).split("\n")
    more = [line.split(" => ") for line in cache if line.strip().startswith(LIBRARIES)]
    wanted = "aarch64" if os.uname().machine == "aarch64" else "x86-64"
    found |= {path for name, path in more if wanted in name}
    return {path for path in found if not path.startswith(str(own))}


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _succeeds(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
