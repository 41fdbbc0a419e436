"""Objects larger than memory should be: constant memory, and a frame costs what a frame costs."""

import resource
import statistics
import time
from collections.abc import Iterator

import httpx2
import pytest
from pydicom.encaps import encapsulate

from tests.helpers import samples, wire
from tests.helpers.files.large_objects import MEGABYTE, MEMORY, checksum, frame, large_object
from tests.helpers.server_process import Server

ANY_DICOM = {"Accept": "application/dicom; transfer-syntax=*"}
ANY_FRAME = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


def in_one_part(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces as the one part of a multipart body."""
    begin, end = wire.multipart(b"\0SPLIT\0")[0].split(b"\0SPLIT\0")
    yield begin
    yield from pieces
    yield end


def retrieved(client: httpx2.Client, path: str) -> str:
    """The checksum of an instance, retrieved as a stream."""
    with client.stream("GET", wire.DICOMWEB + path, headers=ANY_DICOM) as answer:
        assert answer.status_code == 200
        return checksum(answer.iter_bytes())


@pytest.mark.slow
def test_two_gigabytes_are_stored_and_retrieved_within_300_megabytes(tmp_path):
    frames = 2000
    headers = wire.multipart()[1]
    with Server(tmp_path / "data", workers=1) as server, server.client() as client:
        body = in_one_part(large_object("stow", frames))
        answer = client.post(f"{wire.DICOMWEB}/studies", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert retrieved(client, samples.path("stow")) == checksum(large_object("stow", frames))
        answer = client.get(
            f"{wire.DICOMWEB}{samples.path('stow')}/frames/{frames}", headers=ANY_FRAME
        )
        assert [body for _, body in wire.parts(answer)] == [frame(frames)]
        study = f"{wire.DICOMWEB}/studies/{samples.study_uid('stow')}"
        for resource in ("pixeldata", "bulkdata"):
            with client.stream("GET", f"{study}/{resource}", headers=ANY_FRAME) as answer:
                assert answer.status_code == 200
                assert sum(map(len, answer.iter_bytes())) > frames * MEGABYTE
        assert client.get(f"{wire.DICOMWEB}{samples.path('stow')}/rendered").status_code == 200
        assert client.get(f"{wire.DICOMWEB}{samples.path('stow')}/metadata").status_code == 200
        assert server.peak_memory() < MEMORY


@pytest.mark.slow
def test_a_gigabyte_is_stored_through_orthanc_s_route_within_300_megabytes(tmp_path):
    frames = 1000
    with Server(tmp_path / "data", workers=1) as server, server.client() as client:
        answer = client.post("/instances", content=large_object("post", frames))
        assert answer.status_code == 200, answer.text
        path = answer.json()["Path"]
        with client.stream("GET", path + "/file") as file:
            assert checksum(file.iter_bytes()) == checksum(large_object("post", frames))
        assert client.get(path + "/preview").status_code == 200
        assert client.get(path + "/simplified-tags").status_code == 200
        assert server.peak_memory() < MEMORY


def test_a_body_that_the_disk_cannot_take_is_refused_and_leaves_nothing_behind(tmp_path):
    """A limit on the size of files stands in for a full disk: the same place fails."""
    with Server(tmp_path / "data", workers=1) as server, server.client() as client:
        for process in server.processes():
            resource.prlimit(process, resource.RLIMIT_FSIZE, (8 * MEGABYTE, 8 * MEGABYTE))
        for path in (f"{wire.DICOMWEB}/studies", "/instances"):
            body = b"".join(large_object("full", 20))
            answer = client.post(path, content=body, headers={"Content-Type": wire.DICOM})
            assert answer.status_code == 507, answer.text
            assert "full" in answer.text
        assert list((server.data / "spool").iterdir()) == []
        wire.must_store(client, samples.ct("small"))
        assert len(wire.search(client, "/studies")) == 1


def tiles(study: str, count: int) -> bytes:
    """An encapsulated object of many small frames, as a whole slide image has."""
    base = samples.dataset(study, SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6", Modality="SM")
    base.Rows = base.Columns = 8
    base.BitsAllocated, base.BitsStored, base.HighBit, base.PixelRepresentation = 8, 8, 7, 0
    base.SamplesPerPixel, base.PhotometricInterpretation = 1, "MONOCHROME2"
    base.NumberOfFrames = count
    base.PixelData = encapsulate([tile(number) for number in range(1, count + 1)])
    base["PixelData"].VR = "OB"
    return samples.encode(base, "1.2.840.10008.1.2.4.50")


def tile(number: int) -> bytes:
    """Something that begins and ends as a JPEG does."""
    return b"\xff\xd8" + number.to_bytes(4) * 20 + b"\xff\xd9"


def test_one_frame_of_a_hundred_thousand_costs_about_what_one_of_ten_costs(server):
    counts = {"ten": 10, "many": 100_000}
    took = {}
    with server.client() as client:
        for label, count in counts.items():
            wire.must_store(client, tiles(f"tiles {label}", count))
        for label, count in counts.items():
            times = []
            for number in [count, 1, count // 2] * 10:
                begin = time.perf_counter()
                path = f"{wire.DICOMWEB}{samples.path(f'tiles {label}')}/frames/{number}"
                answer = client.get(path, headers=ANY_FRAME)
                times.append(time.perf_counter() - begin)
                assert [body for _, body in wire.parts(answer)] == [tile(number)]
            took[label] = statistics.median(times)

    assert took["many"] < 2 * took["ten"] + 0.001
