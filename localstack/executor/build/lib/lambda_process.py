"""Runs LocalStack's Lambda functions as processes of this machine, without containers.

Each execution environment is AWS's own runtime interface emulator with AWS's own runtime client
in it, so that a handler meets the real event loop, time-outs and limits on payloads. What it does
not meet is the isolation: memory is not limited and the file system is the machine's.

The environment names the two: `LAMBDA_EMULATOR` (the aws-lambda-rie binary, which the aws-sam-cli
wheel brings) and `LAMBDA_PYTHON` (an interpreter that has awslambdaric).
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import requests
from localstack.services.lambda_.invocation.lambda_models import InvocationResult
from localstack.services.lambda_.invocation.plugins import RuntimeExecutorPlugin
from localstack.services.lambda_.invocation.runtime_executor import RuntimeExecutor
from localstack.utils.net import get_free_tcp_port

HOST = "127.0.0.1"
SECONDS_TO_START = 20
REQUEST_ID = re.compile(r"RequestId: [0-9a-f-]{36}")


class ProcessExecutor(RuntimeExecutor):
    """One execution environment: an emulator and, inside it, the function."""

    def __init__(self, id, function_version):
        super().__init__(id=id, function_version=function_version)
        self._folder = Path(tempfile.mkdtemp(prefix="lambda-"))
        self._log = self._folder / "log"
        self._port = get_free_tcp_port()
        self._process = None
        self._busy = threading.Lock()

    @classmethod
    def prepare_version(cls, function_version):
        """Unpack the code and the layers."""
        for code in _codes(function_version):
            code.prepare_for_execution()

    @classmethod
    def cleanup_version(cls, function_version):
        """Nothing: LocalStack removes what it has unpacked."""

    def start(self, env_vars):
        """Start the emulator; the function itself starts with the first call."""
        self.prepare_version(self.function_version)
        task, *layers = [
            code.get_unzipped_code_location() for code in _codes(self.function_version)
        ]
        path = [str(task), *(f"{layer}/python" for layer in layers)]
        environment = {
            **{name: str(value) for name, value in env_vars.items()},
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "LANG": "C.UTF-8",
            "LAMBDA_TASK_ROOT": str(task),
            "PYTHONPATH": ":".join(path),
        }
        command = [
            os.environ["LAMBDA_EMULATOR"],
            *("--log-level", "error"),
            *("--runtime-interface-emulator-address", f"{HOST}:{self._port}"),
            *("--runtime-api-address", f"{HOST}:{get_free_tcp_port()}"),
            *(os.environ["LAMBDA_PYTHON"], "-m", "awslambdaric"),
            self.function_version.config.handler,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=task,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await()

    def stop(self):
        """End it, and whatever it has started."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def invoke(self, payload):
        """Call the function; LocalStack's payload holds the event and who asked."""
        with self._busy:
            begin = self._log.stat().st_size
            response = requests.post(
                f"http://{HOST}:{self._port}/2015-03-31/functions/function/invocations",
                data=payload["payload"].encode(),
                headers={"X-Amzn-Trace-Id": payload.get("trace-id") or ""},
                timeout=self.function_version.config.timeout + SECONDS_TO_START,
            )
            logs = self._logs_since(begin)
        request_id = payload["invoke-id"]
        body, is_error = _outcome(response, request_id)
        logs = REQUEST_ID.sub(f"RequestId: {request_id}", logs)
        return InvocationResult(request_id, body, is_error=is_error, logs=logs)

    def get_logs(self):
        """Everything that it has printed."""
        return self._logs_since(0)

    def get_address(self):
        """Where the environment can be reached."""
        return HOST

    def get_endpoint_from_executor(self):
        """Where LocalStack can be reached from it."""
        return HOST

    def get_runtime_endpoint(self):
        """Where LocalStack's own runtime would report to; the emulator has no need of it."""
        return f"http://{HOST}"

    def _logs_since(self, position):
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(position)
            return log.read().decode(errors="replace")

    def _await(self):
        deadline = time.monotonic() + SECONDS_TO_START
        while True:
            try:
                requests.get(f"http://{HOST}:{self._port}/", timeout=1)
                return
            except requests.RequestException:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError(f"The emulator does not start: {self.get_logs()}") from None
                time.sleep(0.02)


class ProcessPlugin(RuntimeExecutorPlugin):
    """What LAMBDA_RUNTIME_EXECUTOR=process chooses."""

    name = "process"

    def load(self, *args, **kwargs):
        """The executor."""
        return ProcessExecutor


def _codes(function_version):
    """The function's own code, then its layers."""
    config = function_version.config
    return [config.code, *(layer.code for layer in config.layers)]


def _outcome(response, request_id):
    """Body and whether it is an error: the emulator answers 200 for errors of the function too."""
    body = response.content
    if body.startswith(b"Task timed out after"):
        message = f"RequestId: {request_id} Error: {body.decode()}"
        return json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": message}).encode(), True
    if response.status_code != 200:
        return body, True
    if not body.lstrip().startswith(b"{"):
        return body, False
    try:
        document = json.loads(body)
    except ValueError:
        return body, False
    return body, {"errorType", "errorMessage"} <= document.keys()
