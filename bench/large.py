"""Costs that must not grow: memory with the size of an object, time with its number of frames.

Ours alone; the second column is the small object or the small index.
"""

import io
import random
import statistics
from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from bench import ct
from bench.driver import Client, Request
from bench.files import Shape, placeholders
from bench.measure import Pair, reads, say
from bench.report import Goal, Row, Section
from bench.servers import Memory, Server
from bench.work import DICOMWEB, FRAMES, INSTANCES, searches, stow

FRAMES_OF_2_GB = 4000
FRAME_BYTES = 512 * 512 * 2
SIDE = 32
BOUNDARY = "0123456789abcdef0123456789abcdef"
MEMORY = Goal(300, unit="MB")
SAME = Goal(1.5)


def memory(server: Server) -> Section:
    """Peak memory of the server while 2 GB go in and out."""
    section = Section("Memory, one object of 2 GB", peer="idle")
    with Memory(server) as idle:
        pass
    head = _head(FRAMES_OF_2_GB)
    path = _path(100)
    for name, request in (
        ("store, STOW", _upload(head)),
        ("retrieve, WADO-RS", Request(path, INSTANCES)),
    ):
        say(f"2 GB: {name}")
        with Memory(server) as watched, server.client() as client:
            answer = client.send(request, keep=False)
        note = f"status {answer.status}, largest process {watched.largest:.0f} MB resident"
        section.rows.append(Row(name, "MB", watched.peak, idle.peak, MEMORY, note))
    return section


def frames(server: Server, few: int = 10, many: int = 100_000) -> Section:
    """One frame out of many against one out of few."""
    section = Section(f"One frame of {many:,} and of {few}", peer=f"of {few}")
    times: list[list[float]] = [[], []]
    with server.client() as client:
        for number, count in enumerate((few, many)):
            say(f"storing an object of {count:,} frames")
            answer = client.send(stow([_slide(200 + number, count)]))
            if answer.status != 200:
                section.remarks.append(f"the object of {count} frames: status {answer.status}")
                return section
        for _ in range(10):
            for number, count in enumerate((few, many)):
                times[number] += _frame_times(client, _path(200 + number), count)
    small, large = (statistics.median(seconds) * 1e3 for seconds in times)
    section.rows.append(Row("frame, encapsulated", "ms", large, small, SAME))
    return section


def of_growth(quick: bool) -> tuple[Shape, int]:
    """The larger collection, and how many studies of it are in the smaller one."""
    studies = 10_000 if quick else 100_000
    return Shape(number=3, studies=studies, series=1, instances=1, days=3650), studies // 100


def growth(full: Server, sparse: Server, shape: Shape, few: int) -> Section:
    """Search by indexed keys among many studies and among a hundredth, both servers ours."""
    sparse.name = f"{few:,} studies"
    work = [read for read in searches(shape, SAME, 63, few) if _is_keyed(read.name)]
    section = reads(Pair(full, sparse), f"Search, {shape.studies:,} and {few:,} studies", work)
    section.peer = sparse.name
    return section


def _is_keyed(name: str) -> bool:
    keyed = ("PatientID", "accession", "SOP Instance UID", "series of a study", "of a series")
    return name == "studies, page of 25" or any(key in name for key in keyed)


def _frame_times(client: Client, path: str, count: int) -> list[float]:
    any_of = random.Random(count)
    numbers = [any_of.randint(1, count) for _ in range(10)]
    return [client.time(Request(f"{path}/frames/{number}", FRAMES)) for number in numbers]


def _path(number: int) -> str:
    shape = Shape(number, 1, 1, 1, 1)
    study, series, sop = shape.study_uid(0), shape.series_uid(0, 0), shape.sop_uid(0, 0, 0)
    return f"{DICOMWEB}/studies/{study}/series/{series}/instances/{sop}"


def _dataset(number: int) -> Dataset:
    shape = Shape(number, 1, 1, 1, 1)
    dataset = ct.tiny(placeholders())
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.PatientID, dataset.PatientName = shape.patient_id(0), shape.patient_name(0)
    dataset.StudyInstanceUID = shape.study_uid(0)
    dataset.SeriesInstanceUID = shape.series_uid(0, 0)
    dataset.SOPInstanceUID = shape.sop_uid(0, 0, 0)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _head(count: int) -> bytes:
    """A multi-frame CT up to where its pixels begin."""
    dataset = _dataset(100)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 16, 15
    dataset.Rows = dataset.Columns = 512
    dataset.NumberOfFrames = count
    dataset.PixelData = b""
    dataset["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()[:-4] + (count * FRAME_BYTES).to_bytes(4, "little")


def _upload(head: bytes) -> Request:
    opening = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + head
    closing = f"\r\n--{BOUNDARY}--\r\n".encode()
    frame = np.random.default_rng(1).integers(0, 4096, FRAME_BYTES // 2, "uint16").tobytes()

    def pieces() -> Iterator[bytes]:
        yield opening
        for _ in range(FRAMES_OF_2_GB):
            yield frame
        yield closing

    return Request(
        f"{DICOMWEB}/studies",
        "application/dicom+json",
        "POST",
        f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        pieces(),
        len(opening) + FRAMES_OF_2_GB * FRAME_BYTES + len(closing),
    )


def _slide(number: int, count: int) -> bytes:
    """An encapsulated object of many small frames, with a Basic Offset Table (PS3.5 A.4)."""
    dataset = _dataset(number)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    dataset.Rows = dataset.Columns = SIDE
    dataset.NumberOfFrames = count
    noise = np.random.default_rng(2).integers(0, 256, (50, SIDE, SIDE), "uint8")
    encoded = [_run_length(frame.tobytes()) for frame in noise]
    dataset.PixelData = encapsulate([encoded[index % 50] for index in range(count)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _run_length(pixels: bytes) -> bytes:
    """One frame as literal runs (PS3.5 Annex G): noise does not get shorter."""
    runs = (pixels[start : start + 128] for start in range(0, len(pixels), 128))
    segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
    offsets = (1, 64, *[0] * 14)
    header = b"".join(offset.to_bytes(4, "little") for offset in offsets)
    return header + segment + b"\0" * (len(segment) % 2)
