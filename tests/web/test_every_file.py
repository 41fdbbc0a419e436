"""Every file there is, stored and asked for in every way: the same bytes back, never a 500.

Runs over files of every kind made here, over those that pydicom's distribution brings along,
and over the folder that LENTICULAR_CORPUS names.
"""

import hashlib
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import httpx2
import pydicom
import pytest

from lenticular.services import Services
from tests.helpers import samples, wire
from tests.helpers.backends import Backend

IMPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
ANY_SYNTAX = {"Accept": "application/dicom; transfer-syntax=*"}
# The two that are to be had by name only (PS3.18 8.7.3), and any other.
AS_STORED = {
    "Accept": f"application/dicom; transfer-syntax={IMPLICIT},"
    f" application/dicom; transfer-syntax={BIG_ENDIAN}, application/dicom; transfer-syntax=*; q=0.5"
}
ANY_VALUE = {"Accept": "multipart/related; type=application/octet-stream; transfer-syntax=*,"
             " multipart/related; type=*/*"}  # fmt: skip
ANY_FRAMES = {
    "Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*, */*'
}
VALID_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")
FRAMES_ALONE = re.compile(r"/frames/[0-9,]+$")
ORTHANC_BELOW = ("", "/tags", "/tags?short", "/simplified-tags", "/study", "/series", "/patient")
ORTHANC_PICTURES = ("/preview", "/rendered")

# Valid by their UIDs, and refused all the same, each for a reason of its own.
CANNOT_BE_STORED = {
    "truncated_pixeldata.dcm": "cut off in the pixels",
    "MR_truncated.dcm": "cut off in the pixels",
    "rtplan_truncated.dcm": "cut off in a sequence",
}


@pytest.fixture(scope="module")
def services(backend: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One storage for all files; replacing, for some share their UIDs."""
    policy = {} if backend.name == "stack" else {"replace": True}
    with backend.services(tmp_path_factory.mktemp("every") / "data", **policy) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(backend: Backend, services: Services) -> Iterator[httpx2.Client]:
    """HTTP to the application on it."""
    with backend.client(services) as session:
        yield session


@pytest.fixture(autouse=True)
def _nothing_is_in_the_way(backend: Backend, tmp_path: Path) -> Iterator[None]:
    """Where files do not replace others each finds the storage empty."""
    with backend.services(tmp_path) if backend.name == "stack" else nullcontext():
        yield


def must_be_stored(path: Path) -> bool:
    """Whether pydicom reads a valid UID of every level in the file."""
    if path.name in CANNOT_BE_STORED:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            uids = [str(head.get(name, "")) for name in
                    ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]  # fmt: skip
    except Exception:  # pydicom raises all sorts of errors
        return False
    return all(len(uid) <= 64 and VALID_UID.fullmatch(uid) for uid in uids)


def check_bytes(client: httpx2.Client, url: str, content: bytes) -> None:
    """Single part, multipart, a range and the headers alone agree with what was stored."""
    expected = hashlib.sha256(content).hexdigest()
    single = client.get(url, headers=AS_STORED)
    assert single.status_code == 200, single.text
    assert hashlib.sha256(single.content).hexdigest() == expected
    check_syntax(client, url, single)
    head = client.head(url, headers=AS_STORED)
    assert (head.status_code, head.content) == (200, b"")
    wire.assert_length(head, len(content))
    piece = client.get(url, headers={**AS_STORED, "Range": "bytes=100-163"})
    assert (piece.status_code, piece.content) == (206, content[100:164])
    again = client.get(url, headers={**AS_STORED, "If-None-Match": single.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def check_syntax(client: httpx2.Client, url: str, stored: httpx2.Response) -> None:
    """Any transfer syntax is the stored one, but for those that PS3.18 8.7.3 keeps from the web."""
    single = client.get(url, headers=ANY_SYNTAX)
    assert single.status_code == 200, single.text
    related = client.get(
        url, headers={"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    )
    ((headers, body),) = wire.parts(related)
    assert (headers["Content-Type"], body) == (single.headers["content-type"], single.content)
    is_kept = syntax_of(stored) in (IMPLICIT, BIG_ENDIAN)
    if not is_kept or "comes as it is stored" in single.headers.get("warning", ""):
        assert single.content == stored.content
    else:
        assert syntax_of(single) == "1.2.840.10008.1.2.1"


def syntax_of(answer: httpx2.Response) -> str:
    """The transfer syntax that the answer says it is in."""
    return answer.headers["content-type"].rpartition("=")[2]


def bulkdata_uris(dataset: dict) -> Iterator[str]:
    """Every BulkDataURI of a dataset, at any depth."""
    todo = [dataset]
    while todo:
        for element in todo.pop().values():
            if "BulkDataURI" in element:
                yield element["BulkDataURI"]
            if element.get("vr") == "SQ":
                todo += element.get("Value", [])


def check_metadata(client: httpx2.Client, url: str) -> dict:
    """The metadata is one dataset, and everything it refers to is there."""
    answer = client.get(url + "/metadata")
    assert answer.status_code == 200, answer.text
    (dataset,) = answer.json()
    uris = set(bulkdata_uris(dataset))
    for uri in uris:
        found = client.get(uri, headers={"Accept": "*/*"})
        assert found.status_code == 200, (uri, found.text[:200])
        if "multipart" not in found.headers["content-type"]:
            check_value(client, uri, found)
    check_all_values(client, url, uris)
    return dataset


def check_value(client: httpx2.Client, uri: str, single: httpx2.Response) -> None:
    """Multipart, a range and the headers alone agree with the single part."""
    ((headers, body),) = wire.parts(client.get(uri, headers=ANY_VALUE))
    assert body == single.content
    assert headers["Content-Type"] == single.headers["content-type"]
    assert headers["Content-Location"].upper() == uri.upper()
    head = client.head(uri, headers={"Accept": "*/*"})
    wire.assert_length(head, len(body))
    if len(body) > 2:
        piece = client.get(uri, headers={"Accept": "*/*", "Range": "bytes=1-2"})
        assert (piece.status_code, piece.content) == (206, body[1:3])


def check_all_values(client: httpx2.Client, url: str, uris: set[str]) -> None:
    """The same values come all at once."""
    answer = client.get(url + "/bulkdata", headers=ANY_VALUE)
    if not uris:
        wire.assert_error(answer, 404)
        return
    assert answer.status_code == 200, answer.text[:200]
    places = {headers["Content-Location"] for headers, _ in wire.parts(answer)}
    assert {place for place in places if "/frames/" not in place} <= uris
    assert len(places) >= len(uris)


def check_nothing_breaks(client: httpx2.Client, url: str, paths: list[str]) -> None:
    """Frames and pictures are answered, or refused politely."""
    for path in paths:
        answer = client.get(url + path, headers=ANY_FRAMES if FRAMES_ALONE.search(path) else {})
        assert answer.status_code in (200, 400, 404, 406, 415), (path, answer.text[:300])
        if answer.status_code != 200 and wire.DICOMWEB in url:
            wire.assert_error(answer, 400, 404, 406)


def some_paths(frames: int) -> list[str]:
    """What is asked for of a damaged file."""
    return ["/frames/1", f"/frames/{frames}", "/rendered", f"/frames/{frames}/rendered"]


def all_paths(frames: int) -> list[str]:
    """What is asked for of a good one."""
    return [
        *some_paths(frames),
        *("/frames/2", "/frames/1,1", "/frames/1/rendered", "/frames/1/thumbnail", "/thumbnail"),
        "/rendered?window=40,400,linear&viewport=32,32&quality=50",
        "/rendered?accept=image/png",
    ]


def check_orthanc(client: httpx2.Client, sop_instance_uid: str, content: bytes) -> list[str]:
    """Orthanc's routes know the instance too, and give the same bytes."""
    found = client.post("/tools/lookup", content=sop_instance_uid).json()
    paths = ["/instances/" + item["ID"] for item in found if item["Type"] == "Instance"]
    for path in paths:
        for below in ORTHANC_BELOW:
            answer = client.get(path + below)
            assert answer.status_code == 200, (below, answer.text[:300])
    # One SOP Instance UID in two series is two instances.
    assert content in [client.get(path + "/file").content for path in paths]
    return paths


def stored(client: httpx2.Client, content: bytes) -> tuple[str, str] | None:
    """URL and SOP Instance UID once it is stored, or None when it is refused as it should be."""
    answer = wire.store(client, content)
    if answer.status_code == 409:
        assert len(wire.failed(answer)) == 1
        return None
    if answer.status_code == 400:
        wire.assert_error(answer, 400)
        return None
    assert answer.status_code in (200, 202), answer.text  # 202 warns of what is no UID
    (reference,) = wire.items(answer.json(), "00081199")
    return wire.value(reference, "00081190"), wire.value(reference, "00081155")


def number_of_frames(dataset: dict) -> int:
    """The frames that the dataset claims to have."""
    text = str(wire.value(dataset, "00280008"))
    return int(text) if text.isdigit() else 1


def check(client: httpx2.Client, content: bytes, *, required: bool) -> None:
    """Store the file and ask for it in every way."""
    found = stored(client, content)
    if found is None:
        assert not required, "refused, though it has all its UIDs"
        return
    url, sop_instance_uid = found
    check_bytes(client, url, content)
    frames = number_of_frames(check_metadata(client, url))
    check_nothing_breaks(client, url, all_paths(frames))
    paths = check_orthanc(client, sop_instance_uid, content)
    check_nothing_breaks(client, paths[0], list(ORTHANC_PICTURES))
    assert client.get(url.rpartition("/series/")[0] + "/series").status_code == 200


def check_damaged(client: httpx2.Client, content: bytes) -> None:
    """Whatever became of it, no answer is a mistake of the server."""
    found = stored(client, content)
    if found is None:
        return
    url, sop_instance_uid = found
    stored_so = client.get(url, headers=AS_STORED)
    assert stored_so.content == content
    check_syntax(client, url, stored_so)
    frames = number_of_frames(check_metadata(client, url))
    check_nothing_breaks(client, url, some_paths(frames))
    check_orthanc(client, sop_instance_uid, content)


@pytest.mark.parametrize("name", samples.gallery())
def test_a_file_of_this_kind_comes_back_byte_for_byte_and_breaks_nothing(client, name):
    check(client, samples.gallery()[name], required=True)


def test_this_file_comes_back_byte_for_byte_and_breaks_nothing(client, any_file):
    content = any_file.read_bytes()

    check(client, content, required=must_be_stored(any_file))


def test_no_row_lacks_its_file_and_no_file_its_row(client, services):
    wire.must_store(client, samples.ct("the last one"))

    files = {key for key, _, _ in services.storage.keys("instances/")}
    found = wire.search(client, "/instances", limit=5000)
    assert len(found) == len(files)
    assert services.index.retrieval.statistics().instances == len(files)


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_file_is_stored_or_refused_and_breaks_nothing(client, seed):
    names = sorted(samples.gallery())
    content = samples.gallery()[names[seed % len(names)]]

    check_damaged(client, damage(content, seed))


def test_this_file_damaged_is_stored_or_refused_and_breaks_nothing(client, any_file):
    content = any_file.read_bytes()
    if len(content) > 300_000:
        pytest.skip("large; the small ones of its kind do")
    seed = int.from_bytes(hashlib.sha256(any_file.name.encode()).digest()[:4])
    check_damaged(client, damage(content, seed))


def damage(content: bytes, seed: int) -> bytes:
    """A few bytes changed, cut out, doubled or cut off, mostly where the headers are."""
    chance = random.Random(seed)
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        reach = min(len(data), chance.choice([400, 1500, 4000, len(data)]))
        if reach < 200:
            break
        place = chance.randrange(132, reach)
        match chance.choice(["flip", "flip", "length", "cut", "double", "end", "text"]):
            case "flip":
                data[place] = chance.randrange(256)
            case "length":
                data[place : place + 4] = chance.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0"]
                )
            case "cut":
                del data[place : place + chance.randrange(1, 30)]
            case "double":
                data[place:place] = data[place : place + chance.randrange(1, 60)]
            case "end":
                if chance.random() < 0.2:
                    del data[place:]
            case "text":
                data[place : place + 8] = chance.choice(
                    [b"\xff" * 8, b"1e999\\1e", b"\x1b$B\x1b(J\\^", b"NaN\\inf ", b"........"]
                )
    return bytes(data)
