"""Runs LocalStack's Lambda functions on AWS's own runtime interface emulator, downloading nothing.

Each execution environment is the emulator with AWS's own runtime client in it, so that a handler
meets the real event loop, time-outs and limits on payloads. `LAMBDA_RUNTIME_EXECUTOR` chooses:

    container   in a container of `LAMBDA_IMAGE`: AWS's image, or one that looks like it, which
                has the emulator. Memory is limited and only /tmp can be written, as on Lambda.
    process     as a process of this machine, where no container engine can be had. The
                environment names `LAMBDA_EMULATOR` (the aws-lambda-rie binary, which the
                aws-sam-cli wheel brings) and `LAMBDA_PYTHON` (an interpreter with awslambdaric).
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
LABEL = "lenticular-stack"


class EmulatorExecutor(RuntimeExecutor):
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
        variables = {name: str(value) for name, value in env_vars.items()}
        command, environment, folder = self._command(variables)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._await()

    def _addresses(self):
        return (
            *("--log-level", "error"),
            *("--runtime-interface-emulator-address", f"{HOST}:{self._port}"),
            *("--runtime-api-address", f"{HOST}:{get_free_tcp_port()}"),
        )

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
        """The address of the environment."""
        return HOST

    def get_endpoint_from_executor(self):
        """The address of LocalStack, seen from the environment."""
        return HOST

    def get_runtime_endpoint(self):
        """The address to which LocalStack's own runtime reports; the emulator does not need it."""
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


class ProcessExecutor(EmulatorExecutor):
    """As a process of this machine; memory is not limited, and its files are those of all."""

    def _command(self, variables):
        task, *layers = _unpacked(self.function_version)
        environment = {
            **variables,
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "TMPDIR": str(self._folder),
            "LANG": "C.UTF-8",
            "LAMBDA_TASK_ROOT": str(task),
            "PYTHONPATH": ":".join([str(task), *(f"{layer}/python" for layer in layers)]),
        }
        runtime = (os.environ["LAMBDA_PYTHON"], "-m", "awslambdaric")
        handler = self.function_version.config.handler
        return (
            [os.environ["LAMBDA_EMULATOR"], *self._addresses(), *runtime, handler],
            environment,
            task,
        )


class ContainerExecutor(EmulatorExecutor):
    """In a container, on the network of this machine."""

    def _command(self, variables):
        config = self.function_version.config
        task, opt = _unpacked(self.function_version)[0], _merged(self.function_version)
        command = [
            *("docker", "run", "--rm", "--name", self._folder.name, "--label", LABEL),
            *("--network", "host", "--memory", f"{config.memory_size}m", "--read-only"),
            # On the disk, as there: kept in memory it would count as the function's.
            *("--volume", "/tmp"),
            *("--volume", f"{task}:/var/task:ro", "--volume", f"{opt}:/opt:ro"),
            # By name only: values may be secret, and command lines are not.
            *(word for name in variables for word in ("--env", name)),
            *("--entrypoint", "/usr/local/bin/aws-lambda-rie", os.environ["LAMBDA_IMAGE"]),
            *(*self._addresses(), "/var/runtime/bootstrap", config.handler),
        ]
        ours = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
        return command, {**variables, **ours}, self._folder

    def stop(self):
        """End the container, then the program that follows it."""
        subprocess.run(["docker", "kill", self._folder.name], capture_output=True, check=False)
        super().stop()


class ProcessPlugin(RuntimeExecutorPlugin):
    """The executor of LAMBDA_RUNTIME_EXECUTOR=process."""

    name = "process"

    def load(self, *args, **kwargs):
        """The executor."""
        return ProcessExecutor


class ContainerPlugin(RuntimeExecutorPlugin):
    """The executor of LAMBDA_RUNTIME_EXECUTOR=container."""

    name = "container"

    def load(self, *args, **kwargs):
        """The executor."""
        return ContainerExecutor


_merging = threading.Lock()


def _merged(function_version):
    """One folder with all layers, later ones over earlier ones, as /opt is on Lambda."""
    layers = [Path(folder) for folder in _unpacked(function_version)[1:]]
    names = "-".join(str(layer).replace("/", "_")[-40:] for layer in layers)
    folder = Path(tempfile.gettempdir()) / "merged-layers" / names
    with _merging:
        if not folder.exists():
            making = folder.with_suffix(".making")
            for layer in layers:
                shutil.copytree(layer, making, copy_function=_link, dirs_exist_ok=True)
            making.mkdir(parents=True, exist_ok=True)
            making.rename(folder)
    return folder


def _link(source, target):
    Path(target).unlink(missing_ok=True)
    os.link(source, target)


def _unpacked(function_version):
    """Return the folder of the function's own code, then those of its layers."""
    return [code.get_unzipped_code_location() for code in _codes(function_version)]


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
