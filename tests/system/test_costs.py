"""The costliest request of each parser costs so much processor time and memory, and no more.

SECURITY.md has a table of what larger ones cost.
"""

import gzip
import io
import os
import zipfile
from pathlib import Path

import pytest

from tests.helpers import samples, wire
from tests.helpers.server_process import Server

MEGABYTE = 1_000_000
MOST_SECONDS = 4.0
MOST_MEMORY = 200 * MEGABYTE
INSTANCE = wire.DICOMWEB + samples.path("costs")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A server with one instance, which is warm."""
    with Server(tmp_path_factory.mktemp("costs") / "data") as server:
        with server.client() as client:
            wire.must_store(client, samples.ct("costs"))
            client.get(f"{INSTANCE}/metadata")
        yield server


def processor_seconds(server: Server) -> float:
    """The processor time that the server has used so far."""
    ticks = 0
    for process in server.processes():
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def assert_cheap(server: Server, method: str, path: str, **request: object) -> None:
    """Send the request, and look at what it costs."""
    for process in server.processes():
        Path(f"/proc/{process}/clear_refs").write_text("5")  # begin anew to find the peak
    seconds, memory = processor_seconds(server), server.memory()
    with server.client() as client:
        answer = client.request(method, path, **request)
    assert answer.status_code < 500
    assert processor_seconds(server) - seconds < MOST_SECONDS
    assert server.peak_memory() - memory < MOST_MEMORY


def parts(count: int, head: bytes) -> bytes:
    return (b"--BB\r\n" + head + b"\r\n\r\nx\r\n") * count + b"--BB--\r\n"


def zip_of(files: int, size: int) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(files):
            archive.writestr(str(number), bytes(size))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/metadata", {"Accept": ",".join(["a/b;q=0.1"] * 20_000)}),
        ("/metadata", {"Accept": "a/b" + ";a=b" * 50_000}),
        ("/metadata", {"Accept": 'a/b;x="' + '\\"' * 100_000}),
        ("", {"Range": "bytes=" + ",".join(["0-1"] * 50_000), "Accept": "application/dicom"}),
        ("", {"Range": "bytes" + " " * 200_000 + "x"}),
        ("/metadata", {"If-None-Match": ",".join(['"a"'] * 50_000)}),
        ("", {"Authorization": "Basic " + "YTph" * 50_000}),
        ("/frames/" + ",".join(["1"] * 30_000), {}),
        ("/rendered?viewport=100000,100000", {}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_long_header_or_path_is_cheap(measured, path, headers):
    assert_cheap(measured, "GET", INSTANCE + path, headers=headers)


@pytest.mark.parametrize(
    "query",
    [
        "&".join(["includefield=PatientName"] * 2400),
        "a=&" * 20_000,
        "PatientName=" + "*a" * 20_000,
        "StudyInstanceUID=" + ",".join(f"1.2.{number}" for number in range(6000)),
    ],
    ids=lambda query: query[:20],
)
def test_a_long_query_is_cheap(measured, query):
    assert_cheap(measured, "GET", f"{wire.DICOMWEB}/studies?{query}")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (
            parts(10_000, b'Content-Disposition: form-data; name="a"; filename="b"'),
            {"Content-Type": "multipart/form-data; boundary=BB"},
        ),
        (gzip.compress(bytes(300 * MEGABYTE)), {"Content-Encoding": "gzip"}),
        (zip_of(1, 300 * MEGABYTE), {}),
        (zip_of(10_000, 1), {}),
    ],
    ids=["form", "gzip", "zip", "zip of many"],
)
def test_a_body_that_unpacks_to_much_is_bounded(measured, body, headers):
    assert_cheap(measured, "POST", "/instances", content=body, headers=headers)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tools/find", b'{"Level":"Study","Query":' + b'{"a":' * 13_000),
        ("/tools/find", b'{"Level":"Study","Query":{"PatientName":"' + b"*a" * 30_000 + b'"}}'),
        ("/uploads", b'{"files":[' + b'{"name":"a","size":1},' * 100_000 + b"0]}"),
    ],
    ids=["nested", "wildcards", "uploads"],
)
def test_a_long_question_is_cheap(measured, path, body):
    assert_cheap(measured, "POST", path, content=body)
