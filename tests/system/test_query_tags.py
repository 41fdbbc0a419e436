"""Query tags on one machine: what was stored before is found after a restart, or after two."""

import sqlite3
import time
from contextlib import closing

import pytest

from tests.helpers import samples, wire
from tests.helpers.server_process import Server

SECONDS = 60
STUDIES = 300
LIST = f"{wire.DICOMWEB}/extendedquerytags"
TAGS = {"LENTICULAR_QUERY_TAGS": "series:DeviceUID,instance:ImageComments"}


def content(study: int) -> bytes:
    return samples.encode(samples.dataset(study, DeviceUID="1.2.3", ImageComments=f"c{study}"))


def await_status(client, status: str) -> None:
    deadline = time.monotonic() + SECONDS
    while {tag["Status"] for tag in client.get(LIST).json()} != {status}:
        assert time.monotonic() < deadline, client.get(LIST).text
        time.sleep(0.1)


@pytest.fixture
def data(tmp_path):
    """What a server without query tags has stored."""
    with Server(tmp_path / "data") as server, server.client() as client:
        for n in range(0, STUDIES, 50):
            wire.must_store(client, *map(content, range(n, n + 50)))
        assert client.get(LIST).json() == []
    return tmp_path / "data"


def progress(data) -> int:
    """How many studies it has looked through, as it is written down."""
    with closing(sqlite3.connect(data / "index.sqlite")) as connection:
        return connection.execute("SELECT COALESCE(MAX(done), 0) FROM query_tags").fetchone()[0]


@pytest.mark.slow
def test_a_server_that_is_killed_in_the_midst_goes_on_after_the_next_start(data):
    hasty = Server(data, workers=2, environment=TAGS).start()
    deadline = time.monotonic() + SECONDS
    while not progress(data):
        assert time.monotonic() < deadline, hasty.output()
    hasty.kill()
    with Server(data, workers=2, environment=TAGS) as server, server.client() as client:
        await_status(client, "Ready")
        assert len(wire.search(client, "/series", DeviceUID="1.2.3")) == STUDIES
        assert len(wire.search(client, "/instances", ImageComments="c*")) == STUDIES
        wire.must_store(client, samples.encode(samples.dataset("new", ImageComments="c")))
        assert len(wire.search(client, "/instances", ImageComments="C*")) == STUDIES + 1

    with Server(data) as server, server.client() as client:
        deadline = time.monotonic() + SECONDS
        while client.get(LIST).json():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with closing(sqlite3.connect(data / "index.sqlite")) as connection:
            (left,) = connection.execute("SELECT COUNT(*) FROM series_tag_values").fetchone()
        assert left == 0


def test_a_server_does_not_start_with_what_cannot_be_searched_for(tmp_path):
    server = Server(tmp_path / "data", environment={"LENTICULAR_QUERY_TAGS": "series:PixelData"})
    with pytest.raises(RuntimeError, match=r"query_tags.*PixelData.*cannot be searched for"):
        server.start()
