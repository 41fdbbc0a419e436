"""The template as an operator has it: without complaint, and with parameters of one's own."""

import json
import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from sqlalchemy.engine import make_url

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build" / "stack"


def test_sam_has_nothing_to_say_of_the_template(stack):
    done = subprocess.run(
        [PLACE / "sam" / "bin" / "sam", "validate", "--lint"],
        cwd=ROOT,
        env={**os.environ, **stack.environment, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_enter_to_every_question_deploys(stack, study, tmp_path):
    (tmp_path / "samconfig.toml").write_text("version = 0.1\n")
    ours, its = pty.openpty()
    dialogue = subprocess.Popen(
        [
            *(PLACE / "sam" / "bin" / "sam", "deploy", "--guided", "--no-execute-changeset"),
            *("--stack-name", f"guided-{study}", "--config-file", tmp_path / "samconfig.toml"),
        ],
        cwd=ROOT,
        env={**os.environ, **stack.environment, "SAM_CLI_TELEMETRY": "0"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    said = b""
    while dialogue.poll() is None or select.select([ours], [], [], 0)[0]:
        if not select.select([ours], [], [], 0.2)[0]:
            continue
        try:
            said += os.read(ours, 65536)
        except OSError:  # it has ended
            break
        if re.search(rb"\]: ?$", said):
            os.write(ours, b"\n")
    status = dialogue.wait(60)
    os.close(ours)

    assert status == 0, said[-2000:].decode()
    assert b"Changeset created successfully" in said
    assert f"guided-{study}" in (tmp_path / "samconfig.toml").read_text()


def test_functions_sign_in_with_the_secret_that_the_template_is_given(stack, study):
    index = make_url(json.loads((PLACE / "parts.json").read_text())["index"])
    secret = {"username": index.username, "password": index.password, "engine": "mysql"}
    manager = boto3.client(
        "secretsmanager",
        endpoint_url=stack.environment["AWS_ENDPOINT_URL"],
        region_name=stack.environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=stack.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=stack.environment["AWS_SECRET_ACCESS_KEY"],
    )
    arn = manager.create_secret(Name=f"rds/{study}", SecretString=json.dumps(secret))["ARN"]
    place = index._replace(username=None, password=None)
    port = urlsplit(stack.environment["AWS_ENDPOINT_URL"]).port

    # Deploying ends with a call of Maintenance, which signs in to migrate.
    deployed = subprocess.run(
        [
            *(sys.executable, ROOT / "localstack" / "stack.py", "deploy", f"secret-{study}"),
            *(f"IndexUrl={place}", f"IndexSecret={arn}"),
        ],
        env={**os.environ, "STACK_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    function = json.loads(deployed.stdout)["Maintenance"]
    configuration = stack.lambda_.get_function_configuration(FunctionName=function)
    url = make_url(configuration["Environment"]["Variables"]["LENTICULAR_INDEX"])
    assert url.password is None
    assert url.query["secret"] == arn
    assert url.query["pool_size"] == index.query["pool_size"]
