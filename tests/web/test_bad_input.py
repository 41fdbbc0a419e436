"""Whatever is wrong with a request is told in one shape, and leaves nothing behind."""

import gzip
import io
import warnings
import zipfile

import pytest

from lenticular.services import Services
from tests.helpers import samples, wire

STUDIES = f"{wire.DICOMWEB}/studies"
ONE_DICOM = {"Content-Type": "application/dicom"}
ORTHANC_ERROR = {"HttpError", "HttpStatus", "Message", "Method", "OrthancError", "OrthancStatus"}


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(services: Services):
    """After every test here: as many rows as files, and no body left half received."""
    yield
    files = [key for key, _, _ in services.storage.keys("instances/")]
    assert services.index.retrieval.statistics().instances == len(files)
    assert list(services.storage.keys("spool/")) == []


def is_empty(services: Services) -> bool:
    return not any(services.storage.keys("instances/"))


def assert_orthanc_error(answer, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text[:300]
    assert set(answer.json()) >= ORTHANC_ERROR
    assert "Traceback" not in answer.text


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


def with_uid(keyword: str, uid: str | None) -> bytes:
    """A CT with this UID just as it is, whatever pydicom thinks of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return samples.ct("a", **{keyword: uid})


UNSTORABLE = {
    "one byte": b"D",
    "text": b"Dear sir, please find enclosed my picture.\n" * 20,
    "zeroes": b"\0" * 5000,
    "preamble only": b"\0" * 128 + b"DICM",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(range(256)) * 9,
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "cut in the preamble": samples.ct()[:100],
    "cut in the meta information": samples.ct()[:200],
    "cut in a header": cut(samples.ct(), 0.5),
    "cut in the pixels": cut(samples.ct(size=64), 0.9),
    "cut in a fragment": cut(samples.jpeg(), 0.9),
    "cut in the deflated stream": cut(
        samples.ct(transfer_syntax="1.2.840.10008.1.2.1.99", size=64), 0.8
    ),
    "cut by one byte": samples.ct()[:-1],
    "no study uid": with_uid("StudyInstanceUID", None),
    "no series uid": with_uid("SeriesInstanceUID", None),
    "no sop uid": with_uid("SOPInstanceUID", None),
    "empty study uid": with_uid("StudyInstanceUID", ""),
    "path in the uid": with_uid("StudyInstanceUID", "../../../etc/passwd"),
    "slash in the uid": with_uid("SeriesInstanceUID", "1.2/3.4"),
    "backslash in the uid": with_uid("SOPInstanceUID", "1.2\\3.4"),
    "dots for a uid": with_uid("SOPInstanceUID", ".."),
    "line end in the uid": with_uid("SOPInstanceUID", "1.2\n.3"),
    "uid of 130 digits": with_uid("SOPInstanceUID", "1." + "2" * 128),
    "markup in the uid": with_uid("StudyInstanceUID", "<script>alert(1)</script>"),
}


@pytest.mark.parametrize("name", UNSTORABLE)
def test_a_file_that_cannot_be_stored_is_refused_with_a_reason(client, services, name):
    answer = wire.store(client, UNSTORABLE[name])

    assert answer.status_code == 409
    ((_, reason),) = wire.failed(answer)
    assert reason in (0xC000, 0x0110, 0xA900)
    assert wire.stored(answer) == []
    assert is_empty(services)


@pytest.mark.parametrize("name", UNSTORABLE)
def test_a_lone_body_that_cannot_be_stored_is_refused_with_a_reason(client, services, name):
    answer = client.post(STUDIES, content=UNSTORABLE[name], headers=ONE_DICOM)

    assert answer.status_code == 409
    assert len(wire.failed(answer)) == 1
    assert is_empty(services)


@pytest.mark.parametrize("name", UNSTORABLE)
def test_orthanc_s_route_refuses_it_in_orthanc_s_words(client, services, name):
    answer = client.post("/instances", content=UNSTORABLE[name])

    assert_orthanc_error(answer, 400, 404)
    assert is_empty(services)


@pytest.mark.parametrize("headers", [ONE_DICOM, wire.multipart()[1]])
def test_an_empty_body_answers_400(client, headers):
    wire.assert_error(client.post(STUDIES, content=b"", headers=headers), 400)


def test_an_empty_body_to_orthanc_answers_400(client):
    assert_orthanc_error(client.post("/instances", content=b""), 400)


def test_a_multipart_body_without_parts_answers_400(client):
    content, headers = wire.multipart()

    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400)


def test_a_wrong_boundary_answers_400_and_stores_nothing(client, services):
    content, _ = wire.multipart(samples.ct())
    _, headers = wire.multipart(boundary="another")

    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400)
    assert is_empty(services)


@pytest.mark.parametrize("boundary", ["", '""', "x" * 201, '"\u00e9"', "; ;; = ;"])
def test_an_impossible_boundary_answers_400(client, boundary):
    content, _ = wire.multipart(samples.ct())
    content_type = f"multipart/related; type={wire.DICOM}; boundary={boundary}".encode("latin-1")

    answer = client.post(STUDIES, content=content, headers={"Content-Type": content_type})

    wire.assert_error(answer, 400, 415)


def test_a_multipart_body_without_a_boundary_is_refused(client):
    content, _ = wire.multipart(samples.ct())
    headers = {"Content-Type": 'multipart/related; type="application/dicom"'}

    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400, 415)


def test_a_body_cut_before_its_closing_delimiter_answers_400_and_stores_nothing(client, services):
    content, headers = wire.multipart(samples.ct("a"), samples.ct("b"))

    for length in (10, 100, len(content) // 2, len(content) - 5):
        answer = client.post(STUDIES, content=content[:length], headers=headers)
        wire.assert_error(answer, 400)
    assert is_empty(services)


def test_part_headers_that_are_none_answer_400(client):
    content, headers = wire.multipart(samples.ct())
    content = content.replace(b"Content-Type: application/dicom", b"no header at all", 1)

    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400)


def test_endless_part_headers_are_refused(client):
    content, headers = wire.multipart(samples.ct())
    endless = b"X-Header: x\r\n" * 100_000 + b"Content-Type"
    content = content.replace(b"Content-Type", endless, 1)

    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400, 413, 431)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/octet-stream",
        "multipart/form-data; boundary=x",
        "multipart/mixed; boundary=x",
        "nonsense",
    ],
)
def test_other_media_types_are_refused(client, services, content_type):
    content, _ = wire.multipart(samples.ct(), boundary="x")
    headers = {} if content_type is None else {"Content-Type": content_type}

    answer = client.post(STUDIES, content=content, headers=headers)

    # What is no media type at all is as much a malformed header as an unsupported one.
    wire.assert_error(answer, 415, *([] if "/" in (content_type or "/") else [400]))
    assert is_empty(services)


@pytest.fixture
def narrow(backend, connect, tmp_path):
    """A client of a server that takes at most 10 kB a request and 100 kB a zip."""
    limits = {"maximum_body": 10_000, "maximum_zip_bytes": 100_000, "maximum_zip_entries": 5}
    with backend.services(tmp_path / "narrow", **limits) as services:
        yield connect(services)
        assert not any(services.storage.keys("instances/"))
        assert not any(services.storage.keys("spool/"))


def test_a_body_in_chunks_that_passes_the_limit_answers_413(narrow):
    content, headers = wire.multipart(samples.ct(size=128))
    pieces = [content[begin : begin + 4096] for begin in range(0, len(content), 4096)]

    wire.assert_error(narrow.post(STUDIES, content=iter(pieces), headers=headers), 413)


def test_a_zip_bomb_is_refused(narrow):
    bomb = samples.zipped({"bomb.dcm": samples.ct() + b"\0" * 2_000_000})
    assert len(bomb) < 10_000

    assert_orthanc_error(narrow.post("/instances", content=bomb), 400, 413)


def test_a_zip_of_too_many_entries_is_refused(narrow):
    many = samples.zipped({f"{number}": b"" for number in range(50)})

    assert_orthanc_error(narrow.post("/instances", content=many), 400, 413)


def test_a_deflated_dataset_that_swells_is_refused_or_stored_without_its_swelling(client):
    syntax = "1.2.840.10008.1.2.1.99"
    content = samples.ct(transfer_syntax=syntax, EncapsulatedDocument=b"\0" * 50_000_000)
    assert len(content) < 100_000

    assert wire.store(client, content).status_code in (200, 409)


@pytest.mark.parametrize("damage", ["truncated", "names", "checksum", "encrypted", "method"])
def test_a_damaged_zip_is_refused_by_orthanc_s_route(client, damage):
    content = bytearray(samples.zipped({"a.dcm": samples.ct("a")}))
    directory = content.index(b"PK\1\2")
    match damage:
        case "truncated":
            del content[-30:]
        case "names":
            content = bytearray(samples.zipped({"../../a.dcm": b"junk", "/etc/passwd": b"junk"}))
        case "checksum":
            content[directory + 16] ^= 0xFF
            content[14] ^= 0xFF
        case "encrypted":
            content[directory + 8] |= 1
            content[6] |= 1
        case "method":
            content[directory + 10] = 99
            content[8] = 99

    answer = client.post("/instances", content=bytes(content))

    assert answer.status_code in (200, 400, 413, 415), answer.text
    assert answer.status_code != 200 or answer.json() == []


def test_a_zip_in_a_zip_is_not_unpacked_for_ever(client):
    inner = samples.zipped({"a.dcm": samples.ct("a")})

    answer = client.post("/instances", content=samples.zipped({"inner.zip": inner}))

    assert answer.status_code == 200
    assert answer.json() == []


def test_a_gzip_bomb_is_refused(narrow):
    bomb = gzip.compress(b"\0" * 5_000_000)

    answer = narrow.post("/instances", content=bomb, headers={"Content-Encoding": "gzip"})

    assert_orthanc_error(answer, 400, 413)


def test_a_body_that_is_not_gzip_though_it_says_so_is_refused(client):
    answer = client.post("/instances", content=b"no", headers={"Content-Encoding": "gzip"})

    assert_orthanc_error(answer, 400)


def test_an_unknown_content_encoding_is_refused(client):
    headers = {"Content-Encoding": "rot13"}
    assert_orthanc_error(client.post("/instances", content=samples.ct(), headers=headers), 400, 415)
    content, headers = wire.multipart(samples.ct())
    headers["Content-Encoding"] = "rot13"
    wire.assert_error(client.post(STUDIES, content=content, headers=headers), 400, 415)


def test_a_zip_whose_entries_claim_to_be_larger_than_they_are_is_no_trouble(client):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.dcm", samples.ct("a"))
    content = bytearray(buffer.getvalue())
    directory = content.index(b"PK\1\2")
    content[directory + 24 : directory + 28] = b"\xff\xff\xff\x7f"

    answer = client.post("/instances", content=bytes(content))

    assert answer.status_code in (200, 400, 413)


@pytest.mark.parametrize("syntax", ["1.2.3.4.5.6.7.8", "1.2.840.10008.1.2.4.999"])
def test_an_unknown_transfer_syntax_is_stored_and_given_back_as_it_came(client, syntax):
    content = samples.unknown_transfer_syntax("a", syntax)
    wire.must_store(client, content)
    path = wire.DICOMWEB + samples.path("a")

    whole = client.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert whole.content == content
    assert client.get(path + "/metadata").status_code == 200
    # Most private syntaxes lay native pixels out as the known ones do, so a picture may be had.
    assert client.get(path + "/rendered").status_code in (200, 406)
    other = client.get(path, headers={"Accept": f"application/dicom; transfer-syntax={syntax}.1"})
    wire.assert_error(other, 406)


def test_a_file_with_junk_behind_its_dataset_is_stored_whole_or_refused(client):
    content = samples.pdf("a") + b"\0" * 37

    answer = wire.store(client, content)

    if answer.status_code == 200:
        accept = {"Accept": "application/dicom; transfer-syntax=*"}
        assert client.get(wire.DICOMWEB + samples.path("a"), headers=accept).content == content
