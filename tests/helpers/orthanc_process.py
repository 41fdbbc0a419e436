"""Runs Debian's Orthanc with its DICOMweb plug-in, for tests beside the real one."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from tests.helpers.server_process import free_port

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
SECONDS_TO_START = 60


def is_installed() -> bool:
    """Return True if Orthanc and its plug-in are there."""
    return PROGRAM.exists() and PLUGIN.exists()


@contextmanager
def running(folder: Path, **configuration: Any) -> Iterator[httpx2.Client]:
    """Start an Orthanc with this configuration; yield a client of its REST API."""
    port = free_port()
    settings = {
        "Name": "test",
        "HttpPort": port,
        "DicomServerEnabled": False,
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        **configuration,
    }
    path = folder / "Configuration.json"
    path.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([PROGRAM, path], stdout=log, stderr=log)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _await_answer(client, folder)
            yield client
    finally:
        process.kill()
        process.wait()


def _await_answer(client: httpx2.Client, folder: Path) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            client.get("/system")
            return
        except httpx2.TransportError:
            if time.monotonic() > deadline:
                raise RuntimeError((folder / "log").read_text()) from None
            time.sleep(0.1)
