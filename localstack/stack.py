"""The whole stack on this machine: LocalStack, the functions, MariaDB; with or without Docker.

    python localstack/stack.py up      start everything, deploy, print where it is
    python localstack/stack.py deploy NAME [KEY=VALUE …]   deploy once more, with these parameters
    python localstack/stack.py check   whether this machine has what that takes
    python localstack/stack.py image   make an image for the functions, where none can be pulled
    python localstack/stack.py down    stop everything

`make stack`, `make stack-test` and `make stack-down` call it. What it needs it installs under
build/stack: LocalStack (for Python 3.12 or newer), SAM, and AWS's runtime client for the Python of
the functions. The functions run in containers where Docker answers and has an image for them, and
else as processes; in both on AWS's runtime interface emulator.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request

import containers
import environments
import mariadb
import processes
from environments import PLACE, ROOT, CannotBeHad

VIEWER = ROOT / "build" / "viewer"
OUTPUTS = PLACE / "outputs.json"
VARIABLES = PLACE / "env.json"
PARTS = PLACE / "parts.json"
PID_FILE = PLACE / "localstack.pid"
PORT = int(os.environ.get("STACK_PORT", "4566"))
ADDRESS = f"http://127.0.0.1:{PORT}"

CANNOT_BE_HAD = 77
"""The exit status when this machine lacks a part, which is no failure of the stack."""

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
    if answers():
        sys.exit(f"Something else answers at {ADDRESS}; choose another STACK_PORT.")
    environments.runtime()  # says at once when there is no Python for it
    index = os.environ.get("STACK_INDEX") or mariadb.start(containers.bridge())
    PARTS.touch(mode=0o600)
    PARTS.write_text(json.dumps({"index": index}))
    start()
    # Tests start an issuer there; the API itself lets everybody in, for LocalStack asks nobody.
    issuer = f"http://127.0.0.1:{processes.free_port()}"
    outputs = deploy("lenticular", *sign_in_at(issuer))
    put_viewer(outputs["BucketName"])
    outputs |= {"Issuer": issuer, "Authorizer": physical_name("lenticular", "AuthorizerFunction")}
    OUTPUTS.write_text(json.dumps(outputs, indent=2))
    prepare_for_sam_local(index)
    print(f"API      {outputs['ApiUrl']}\nBucket   {outputs['BucketName']}")
    print("Test     make stack-test\nStop     make stack-down")


def down() -> None:
    """Stop what an earlier call has started."""
    OUTPUTS.unlink(missing_ok=True)
    PARTS.unlink(missing_ok=True)
    processes.stop(PID_FILE)
    mariadb.stop()


def start() -> None:
    """Start LocalStack in the background and wait until it answers."""
    state = PLACE / "state"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
    localstack = environments.localstack()
    settings = {
        "PATH": f"{localstack / 'bin'}:{os.environ['PATH']}",
        "GATEWAY_LISTEN": f"127.0.0.1:{PORT}",
        "DNS_ADDRESS": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "TMPDIR": str(state),
        "LAMBDA_KEEPALIVE_MS": "600000",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        # Custom resources are not part of the free LocalStack: migrate is called after deploying.
        "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "1",
        **executor(),
    }
    command = [localstack / "bin" / "python", "-m", "localstack.runtime.main"]
    processes.start(PID_FILE, command, {**os.environ, **settings}, state)
    processes.await_start(PID_FILE, answers)


def executor() -> dict[str, str]:
    """Return the way functions run: in containers where that is possible, else as processes."""
    image = containers.image()
    wanted = os.environ.get("STACK_FUNCTIONS", "containers" if image else "processes")
    if wanted == "containers" and image:
        print(f"The functions run in containers of {image}.", flush=True)
        return {"LAMBDA_RUNTIME_EXECUTOR": "container", "LAMBDA_IMAGE": image}
    print(
        "The functions run as processes on AWS's runtime interface emulator: there is no Docker"
        " here, or no image for it.",
        flush=True,
    )
    return {
        "LAMBDA_RUNTIME_EXECUTOR": "process",
        "LAMBDA_EMULATOR": str(environments.emulator()),
        "LAMBDA_PYTHON": str(environments.runtime() / "bin" / "python"),
    }


def deploy(name: str, *parameters: str) -> dict[str, str]:
    """Deploy the template as an operator does, but with an index of this machine; migrate it."""
    index = json.loads(PARTS.read_text())["index"]
    command = [
        *(environments.sam() / "bin" / "sam", "deploy", "--stack-name", name),
        *("--capabilities", "CAPABILITY_IAM", "--resolve-s3"),
        *("--no-confirm-changeset", "--no-progressbar", "--no-fail-on-empty-changeset"),
        *("--parameter-overrides", f"IndexUrl={index}", *parameters),
    ]
    with (PLACE / "deploy.log").open("wb") as log:
        failed = subprocess.call(
            command, cwd=ROOT, env={**os.environ, **AWS}, stdout=log, stderr=subprocess.STDOUT
        )
    if failed:
        sys.exit((PLACE / "deploy.log").read_text()[-3000:])
    outputs = describe(name)
    invoke(outputs["Maintenance"], {"action": "migrate"})
    outputs["ApiUrl"] = f"{ADDRESS}/_aws/execute-api/{outputs['ApiId']}/v1"
    return {**outputs, **AWS, "Image": containers.image() or ""}


def prepare_for_sam_local(index: str) -> None:
    """A bucket and an index for `sam local invoke`, and the file that names them."""
    run(
        "import boto3; boto3.client('s3').create_bucket(Bucket='lenticular',"
        " CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})"
    )
    # In a container 127.0.0.1 is the container.
    us = containers.bridge() or "host.docker.internal"
    variables = {
        "AWS_ENDPOINT_URL": f"http://{us}:{PORT}",
        "LENTICULAR_STORAGE": "s3://lenticular",
        "LENTICULAR_INDEX": index.replace("@127.0.0.1:", f"@{us}:").replace(
            "/lenticular?", "/lenticular_local?"
        ),
    }
    VARIABLES.touch(mode=0o600)
    VARIABLES.write_text(json.dumps({"Parameters": variables}, indent=2))


def sign_in_at(issuer: str) -> list[str]:
    """The parameters of a stack whose users and whose viewer have tokens of this issuer."""
    return [
        *("Authorizer=OidcAuthorizer", f"OidcIssuer={issuer}", "OidcAudience=lenticular"),
        "OidcClientId=lenticular-viewer",
    ]


def put_viewer(bucket: str) -> None:
    """Put the viewer where the functions look for it, if it is built."""
    if not (VIEWER / "index.html").is_file():
        print("There is no viewer: make viewer fetches it, before make stack.")
        return
    run(
        "import boto3, pathlib; s3 = boto3.client('s3');"
        f"root = pathlib.Path({str(VIEWER)!r});"
        f"[s3.upload_file(str(path), {bucket!r}, 'viewer/' + path.relative_to(root).as_posix())"
        " for path in root.rglob('*') if path.is_file()]"
    )


def describe(name: str) -> dict[str, str]:
    """The outputs of a deployed stack."""
    program = (
        "import boto3, json; stack = boto3.client('cloudformation')"
        f".describe_stacks(StackName={name!r})['Stacks'][0];"
        "print(json.dumps({o['OutputKey']: o['OutputValue'] for o in stack['Outputs']}))"
    )
    return json.loads(run(program))


def physical_name(stack: str, resource: str) -> str:
    """The name that a resource of the template has got."""
    program = (
        "import boto3; found = boto3.client('cloudformation')"
        f".describe_stack_resource(StackName={stack!r}, LogicalResourceId={resource!r});"
        "print(found['StackResourceDetail']['PhysicalResourceId'])"
    )
    return run(program).strip()


def invoke(function: str, event: dict[str, str]) -> None:
    """Call a function, and stop when it fails."""
    program = (
        "import boto3, sys; answer = boto3.client('lambda')"
        f".invoke(FunctionName={function!r}, Payload={json.dumps(event)!r});"
        "text = answer['Payload'].read().decode();"
        "sys.exit(text if answer.get('FunctionError') else 0)"
    )
    run(program)


def run(program: str) -> str:
    """Return the output of a program that needs boto3."""
    done = subprocess.run(
        [environments.localstack() / "bin" / "python", "-c", program],
        env={**os.environ, **AWS},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def answers() -> bool:
    """Return True if LocalStack answers."""
    try:
        with urllib.request.urlopen(f"{ADDRESS}/_localstack/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def main(arguments: list[str]) -> None:
    """Do what the first word says."""
    PLACE.mkdir(parents=True, exist_ok=True)
    match arguments:
        case ["up"]:
            up()
        case ["down"]:
            down()
        case ["check"]:
            environments.python("3.13")
            mariadb.check()
        case ["image"]:
            print(containers.image() or containers.make_image())
        case ["deploy", name, *parameters]:
            print(json.dumps(deploy(name, *parameters), indent=2))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except CannotBeHad as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT_BE_HAD)
