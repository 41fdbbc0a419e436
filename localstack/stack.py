"""The whole stack on this machine: LocalStack, the functions, an index; with or without Docker.

    python localstack/stack.py up       start everything, deploy, print where it is
    python localstack/stack.py down     stop it

`make stack` and `make stack-test` call it. What it needs it installs under build/stack: LocalStack
(for Python 3.12 or newer), SAM, and AWS's runtime client for the Python of the functions. The
functions run as processes on AWS's runtime interface emulator; for containers instead, use
compose.yaml beside this file.
"""

import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACE = ROOT / "build" / "stack"
OUTPUTS = PLACE / "outputs.json"
PORT = int(os.environ.get("STACK_PORT", "4566"))
ADDRESS = f"http://127.0.0.1:{PORT}"
STACK = "lenticular"
SECONDS_TO_START = 120

LOCALSTACK = [
    "localstack-core[runtime]==2026.3.0",
    *("moto-ext[all]==5.1.54", "cbor2<6", "pyopenssl<26", "service-identity"),
    str(ROOT / "localstack" / "executor"),
]
SAM = ["aws-sam-cli>=1.150"]
RUNTIME = ["awslambdaric>=3"]

AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": ADDRESS,
    "NO_PROXY": "127.0.0.1,localhost",
    "SAM_CLI_TELEMETRY": "0",
}


def up() -> None:
    """Start everything, deploy, and tell where it is."""
    down()
    localstack = environment("localstack", python("3.13", "3.12", "3.14"), LOCALSTACK)
    runtime = environment("runtime", python("3.13"), RUNTIME)
    sam = environment("sam", sys.executable, SAM)
    start(localstack, runtime, sam)
    deploy(sam)
    outputs = describe(localstack)
    invoke(localstack, outputs["Maintenance"], {"action": "migrate"})
    outputs["ApiUrl"] = f"{ADDRESS}/_aws/execute-api/{outputs['ApiId']}/v1"
    OUTPUTS.write_text(json.dumps({**outputs, **AWS}, indent=2))
    print(
        f"API      {outputs['ApiUrl']}\nBucket   {outputs['BucketName']}\nStop     make stack-down"
    )


def down() -> None:
    """Stop what an earlier call has started."""
    pid_file = PLACE / "localstack.pid"
    if pid_file.exists():
        try:
            os.killpg(int(pid_file.read_text()), signal.SIGTERM)
        except ProcessLookupError:
            pass
        else:
            wait_until(lambda: not answers(), "LocalStack does not stop")
        pid_file.unlink()
    OUTPUTS.unlink(missing_ok=True)


def python(*versions: str) -> str:
    """An interpreter of one of these versions, the first one that there is."""
    for version in versions:
        found = [
            shutil.which(f"python{version}"),
            *glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")),
        ]
        for candidate in filter(None, found):
            check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
            if subprocess.call([candidate, "-c", check], stderr=subprocess.DEVNULL) == 0:
                return candidate
    sys.exit(f"Python {' or '.join(versions)} is needed, or Docker and localstack/compose.yaml.")


def environment(name: str, interpreter: str, packages: list[str]) -> Path:
    """A virtual environment with these packages, made once."""
    folder = PLACE / name
    stamp = folder / "installed"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing {name} …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([interpreter, "-m", "venv", folder], check=True)
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--disable-pip-version-check", *packages], check=True)
        stamp.write_text(wanted)
    return folder


def start(localstack: Path, runtime: Path, sam: Path) -> None:
    """Start LocalStack in the background and wait until it answers."""
    if answers():
        sys.exit(f"Something else answers at {ADDRESS}; choose another STACK_PORT.")
    state = PLACE / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    machine = "arm64" if os.uname().machine == "aarch64" else "x86_64"
    (emulator,) = sam.glob(f"lib/*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}")
    settings = {
        "PATH": f"{localstack / 'bin'}:{os.environ['PATH']}",
        "GATEWAY_LISTEN": f"127.0.0.1:{PORT}",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "TMPDIR": str(state),
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_EMULATOR": str(emulator),
        "LAMBDA_PYTHON": str(runtime / "bin" / "python"),
        "LAMBDA_KEEPALIVE_MS": "600000",
        # Custom resources are not part of the free LocalStack: migrate is called after deploying.
        "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "1",
    }
    with (PLACE / "localstack.log").open("wb") as log:
        process = subprocess.Popen(
            [localstack / "bin" / "python", "-m", "localstack.runtime.main"],
            cwd=state,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (PLACE / "localstack.pid").write_text(str(process.pid))
    wait_until(answers, f"LocalStack does not start; see {PLACE / 'localstack.log'}")


def deploy(sam: Path) -> None:
    """Deploy the template as an operator does, but with an index of this machine."""
    index = os.environ.get("STACK_INDEX", f"sqlite:///{PLACE / 'state' / 'index.sqlite'}")
    command = [
        *(sam / "bin" / "sam", "deploy", "--stack-name", STACK, "--no-confirm-changeset"),
        *("--no-progressbar", "--no-fail-on-empty-changeset"),
        *("--parameter-overrides", f"IndexUrl={index}"),
    ]
    with (PLACE / "deploy.log").open("wb") as log:
        failed = subprocess.call(
            command, cwd=ROOT, env={**os.environ, **AWS}, stdout=log, stderr=subprocess.STDOUT
        )
    if failed:
        sys.exit((PLACE / "deploy.log").read_text()[-3000:])


def describe(localstack: Path) -> dict[str, str]:
    """The outputs of the deployed stack."""
    program = (
        "import boto3, json; stack = boto3.client('cloudformation')"
        f".describe_stacks(StackName='{STACK}')['Stacks'][0];"
        "print(json.dumps({o['OutputKey']: o['OutputValue'] for o in stack['Outputs']}))"
    )
    return json.loads(run_in(localstack, program))


def invoke(localstack: Path, function: str, event: dict[str, str]) -> None:
    """Call a function, and stop when it fails."""
    program = (
        "import boto3, sys; answer = boto3.client('lambda')"
        f".invoke(FunctionName={function!r}, Payload={json.dumps(event)!r});"
        "text = answer['Payload'].read().decode();"
        "sys.exit(text if answer.get('FunctionError') else 0)"
    )
    run_in(localstack, program)


def run_in(folder: Path, program: str) -> str:
    """What a program prints that needs boto3."""
    done = subprocess.run(
        [folder / "bin" / "python", "-c", program],
        env={**os.environ, **AWS},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def answers() -> bool:
    """Whether LocalStack answers."""
    try:
        with urllib.request.urlopen(f"{ADDRESS}/_localstack/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition: object, complaint: str) -> None:
    """Wait, but not for ever."""
    deadline = time.monotonic() + SECONDS_TO_START
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(complaint)
        time.sleep(0.2)


if __name__ == "__main__":
    commands = {"up": up, "down": down}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands:
        sys.exit(__doc__)
    PLACE.mkdir(parents=True, exist_ok=True)
    commands[sys.argv[1]]()
