"""The stores and reads that are measured, the same for both servers, and their goals.

The goals are those of the plan ("Numbers to reach"); ratios are ours / Orthanc's.
"""

import calendar
import hashlib
import io
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zipfile import ZipFile

from PIL import Image

from bench.driver import Answer, Request
from bench.files import Shape, orthanc_id
from bench.report import Goal

DICOMWEB = "/dicom-web"
JSON = "application/dicom+json"
INSTANCES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
BOUNDARY = "0123456789abcdef0123456789abcdef"

AS_FAST = Goal(1)
FIFTH = Goal(0.2)
THIRD = Goal(1 / 3)
TWICE = Goal(2)


@dataclass(frozen=True, slots=True)
class Goals:
    """The goals that depend on the database that both servers use."""

    store: Goal
    search_few: Goal
    search_many: Goal
    metadata: Goal


ON_SQLITE = Goals(Goal(1, at_least=True), AS_FAST, FIFTH, FIFTH)
ON_MYSQL = Goals(Goal(2, at_least=True), Goal(1 / 4), FIFTH, Goal(1 / 10))

CHECKED = 3
"""The first requests of a read, whose answers are compared and not measured."""

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Store:
    """A way of storing: how many clients, how many instances in a request, none for REST.

    A round stores so many studies into one server and then the same into the other.
    """

    name: str
    clients: int
    per_request: int
    studies: int
    rounds: int

    def requests(self, files: Sequence[bytes]) -> list[Request]:
        """The requests that store these files."""
        if not self.per_request:
            return [post(file) for file in files]
        starts = range(0, len(files), self.per_request)
        return [stow(files[start : start + self.per_request]) for start in starts]


STORES = (
    Store("POST /instances, 1 client", 1, 0, 1, 8),
    Store("POST /instances, 4 clients", 4, 0, 2, 8),
    Store("STOW, 1 per request, 1 client", 1, 1, 1, 8),
    Store("STOW, 1 per request, 4 clients", 4, 1, 2, 8),
    Store("STOW, 25 per request, 1 client", 1, 25, 1, 8),
    Store("STOW, 25 per request, 4 clients", 4, 25, 4, 4),
)
STORED = Shape(number=0, studies=74, series=2, instances=25, days=730)  # enough for all rounds
FEW = Shape(number=1, studies=40, series=2, instances=25, days=730)
MANY = Shape(number=2, studies=1000, series=4, instances=25, days=5 * 365)


@dataclass(frozen=True, slots=True)
class Read:
    """A kind of read: requests to us and to Orthanc, and what must agree between the answers.

    `warm` repeats requests that were made before; otherwise each is made for the first time.
    """

    name: str
    ours: Sequence[Request]
    theirs: Sequence[Request]
    content: Callable[[Answer], Any]
    goal: Goal | None
    note: str = ""
    warm: bool = False


def post(file: bytes) -> Request:
    """Orthanc's way to store an instance."""
    return Request("/instances", "*/*", "POST", "application/dicom", [file])


def stow(files: Sequence[bytes]) -> Request:
    """STOW-RS, PS3.18 10.5: a multipart body of instances."""
    pieces: list[bytes] = []
    for file in files:
        pieces += [f"\r\n--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), file]
    pieces[0] = pieces[0].removeprefix(b"\r\n")
    pieces.append(f"\r\n--{BOUNDARY}--\r\n".encode())
    content_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    path = f"{DICOMWEB}/studies"
    return Request(path, JSON, "POST", content_type, pieces, instances=len(files))


def searches(shape: Shape, goal: Goal, count: int, among: int | None = None) -> list[Read]:
    """Search at every level, in a collection or among its first studies."""
    any_of = random.Random(shape.number)
    number = among or shape.studies
    studies = [any_of.randrange(number) for _ in range(count)]
    months = [_month(date) for date in map(shape.date, studies)]
    years = [f"{date[:4]}0101-{date[:4]}1231" for date in map(shape.date, studies)]
    places = [
        (study, any_of.randrange(shape.series), any_of.randrange(shape.instances))
        for study in studies
    ]
    offsets = [any_of.randrange(number - 25) for _ in studies]
    modalities = [any_of.choice(("CT", "MR", "US")) for _ in studies]
    work: dict[str, Iterable[str]] = {
        "studies by PatientID": (f"/studies?PatientID={shape.patient_id(s)}" for s in studies),
        "studies by accession number": (
            f"/studies?AccessionNumber={shape.accession_number(s)}" for s in studies
        ),
        "studies by name prefix, page of 25": (
            f"/studies?PatientName={shape.patient_name(s).partition('^')[0]}*&limit=25"
            for s in studies
        ),
        "studies of one month": (f"/studies?StudyDate={month}" for month in months),
        "studies of one year": (f"/studies?StudyDate={year}" for year in years),
        "studies, page of 25": ("/studies?limit=25" for _ in studies),
        "studies by modality, page of 25": (
            f"/studies?ModalitiesInStudy={modality}&limit=25" for modality in modalities
        ),
        "studies, page of 25 at a random offset": (
            f"/studies?limit=25&offset={offset}" for offset in offsets
        ),
        "series of a study": (f"/studies/{shape.study_uid(s)}/series" for s in studies),
        "series by modality, page of 25": (
            f"/series?Modality={modality}&limit=25" for modality in modalities
        ),
        "instances of a series": (
            f"/studies/{shape.study_uid(s)}/series/{shape.series_uid(s, series)}/instances"
            for s, series, _ in places
        ),
        "instance by SOP Instance UID": (
            f"/instances?SOPInstanceUID={shape.sop_uid(*place)}" for place in places
        ),
    }
    return [
        _same(name, [Request(DICOMWEB + path, JSON) for path in paths], matches, goal)
        for name, paths in work.items()
    ]


def retrieval(shape: Shape, count: int, goal: Goal) -> list[Read]:
    """Metadata, instances, frames and pictures; each of another instance."""
    places = list(shape.places())
    random.Random(shape.number).shuffle(places)
    take = iter(places)

    def instances(suffix: str, accept: str, number: int) -> list[Request]:
        """Requests for so many instances that nobody asked for before."""
        return [Request(_instance(shape, next(take)) + suffix, accept) for _ in range(number)]

    all_series = [(study, series) for study, series, instance in places if instance == 0]
    metadata = [_series(shape, *place) + "/metadata" for place in all_series[:count]]
    studies = [f"{_study(shape, study)}/metadata" for study, series in all_series if series == 0]
    whole = [Request(_series(shape, *place), INSTANCES) for place in all_series[-count // 3 :]]
    thumbnails = [next(take) for _ in range(count)]
    return [
        _same("metadata, series of 25", [Request(m, JSON) for m in metadata], datasets, goal),
        _same(
            "metadata, study of 50",
            [Request(m, JSON) for m in studies[: count // 2]],
            datasets,
            goal,
        ),
        _same("instance of 0.5 MB", instances("", INSTANCES, count), parts, AS_FAST),
        _same("series of 25, multipart", whole, parts, AS_FAST),
        _same("one frame", instances("/frames/1", FRAMES, count), parts, AS_FAST),
        _same("rendered JPEG", instances("/rendered", "image/jpeg", count), picture, AS_FAST),
        _same("rendered PNG", instances("/rendered", "image/png", count // 2), picture, THIRD),
        Read(
            "thumbnail, warm",
            [Request(f"{_instance(shape, place)}/thumbnail") for place in thumbnails],
            [Request(f"/instances/{_orthanc(shape, place)}/preview") for place in thumbnails],
            lambda answer: picture(answer) is not None,
            THIRD,
            "Orthanc: preview",
            warm=True,
        ),
    ]


def rest(shape: Shape, count: int) -> list[Read]:
    """The calls of Orthanc's REST that scripts make most."""
    places = list(shape.places())
    random.Random(shape.number + 100).shuffle(places)
    studies = [
        f"/studies/{orthanc_id(shape.patient_id(study), shape.study_uid(study))}"
        for study, _, _ in places[:count]
    ]
    ids = [f"/instances/{_orthanc(shape, place)}" for place in places[:count]]
    tags = [Request(f"{path}/simplified-tags") for path in ids]
    files = [Request(f"{path}/file") for path in ids]
    previews = [Request(f"{path}/preview") for path in ids[: count // 2]]
    zips = [
        Request(f"/series/{_orthanc_series(shape, *place[:2])}/archive")
        for place in places[: CHECKED + max(count // 9, 1)]
    ]
    return [
        _same("one study", [Request(path) for path in studies], lambda a: a.json()["ID"], TWICE),
        _same("simplified-tags", tags, lambda a: a.json()["SOPInstanceUID"], TWICE),
        _same("file of 0.5 MB", files, lambda a: hashlib.sha256(a.body).hexdigest(), AS_FAST),
        _same("preview (PNG)", previews, picture, None),
        _same("series of 25, zip", zips, packed, THIRD),
        _same(
            "statistics",
            [Request("/statistics")] * count,
            lambda answer: answer.json()["CountInstances"],
            TWICE,
        ),
    ]


def matches(answer: Answer) -> int:
    """The number of matches of a search."""
    return len(answer.json()) if answer.body else 0


def datasets(answer: Answer) -> list[str]:
    """The SOP Instance UIDs of an answer with metadata."""
    return sorted(dataset["00080018"]["Value"][0] for dataset in answer.json())


def parts(answer: Answer) -> list[str]:
    """The hashes of the parts of a multipart answer."""
    boundary = answer.headers["content-type"].partition("boundary=")[2].partition(";")[0]
    pieces = answer.body.split(b"--" + boundary.strip('" ').encode())[1:-1]
    bodies = (piece.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for piece in pieces)
    return sorted(hashlib.sha256(body).hexdigest() for body in bodies)


def picture(answer: Answer) -> tuple[str | None, int, int]:
    """Format and size of a picture."""
    with Image.open(io.BytesIO(answer.body)) as image:
        return image.format, image.width, image.height


def packed(answer: Answer) -> list[str]:
    """The hashes of the files in a zip."""
    with ZipFile(io.BytesIO(answer.body)) as archive:
        return sorted(hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist())


def _month(date: str) -> str:
    year, month = int(date[:4]), int(date[4:6])
    return f"{date[:6]}01-{date[:6]}{calendar.monthrange(year, month)[1]}"


def _same(
    name: str, requests: list[Request], content: Callable[[Answer], Any], goal: Goal | None
) -> Read:
    return Read(name, requests, requests, content, goal)


def _study(shape: Shape, study: int) -> str:
    return f"{DICOMWEB}/studies/{shape.study_uid(study)}"


def _series(shape: Shape, study: int, series: int) -> str:
    return f"{_study(shape, study)}/series/{shape.series_uid(study, series)}"


def _instance(shape: Shape, place: Place) -> str:
    return f"{_series(shape, *place[:2])}/instances/{shape.sop_uid(*place)}"


def _orthanc(shape: Shape, place: Place) -> str:
    return orthanc_id(*_path(shape, *place[:2]), shape.sop_uid(*place))


def _orthanc_series(shape: Shape, study: int, series: int) -> str:
    return orthanc_id(*_path(shape, study, series))


def _path(shape: Shape, study: int, series: int) -> tuple[str, str, str]:
    uids = shape.study_uid(study), shape.series_uid(study, series)
    return shape.patient_id(study), *uids
