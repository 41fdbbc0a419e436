"""Identifiers that are no UIDs (PS3.5 9.1), as anonymisers write them: stored, and found by them.

Paths are percent-encoded; a store warns. `uids = "strict"` refuses them.
"""

import dataclasses
import io
import os
import struct
import zipfile
from pathlib import Path
from urllib.parse import quote, unquote

import httpx2
import pytest

from lenticular.dicom import uids
from lenticular.dicom.model import Target
from lenticular.dicom.read import part10
from lenticular.index import Index
from lenticular.services import Services
from lenticular.storage.folder import FolderStorage
from lenticular.transactions.store.keys import new_key, target_of_key
from lenticular.transactions.upkeep import sweep_and_reindex
from tests.helpers import samples, wire
from tests.helpers.http.retrieve import get
from tests.helpers.http.store import as_json, bulk, metadata_of, pixels_of, send
from tests.helpers.server_process import Server

HASH = "05fa52f0e599f17b8186ff18fcdf2b5570a52206a75c4d03afebf5c475dc8758"
IDENTIFIERS = {
    "SHA-256": HASH,
    "in capitals": HASH.upper(),
    "UUID": "454c62fc-2d72-44c6-9521-1183db563b06",
    "67 digits": "1.2.826.0.1.3680043.2.1143." + "7" * 40,
    "128 digits": "1." * 63 + "12",
    "a space": "1.2 3.4",
    "dots": "1..2.",
    "hidden": ".ssh",
    "punctuation": "a:b*c?d|e#f<g>h'i&j;k=l@m",
    "an underscore": "_A_a__",
    "Latin": "Prüfung^Ä",
    "Chinese": "检查1",
}
WITH_A_PERCENT_SIGN = "1%2F2%"


def content_of(identifier: str, instance: int = 1, everywhere: bool = True) -> bytes:
    """A file that has the identifier as study, and as series and instance too if `everywhere`."""
    content = samples.ct("odd", 1, instance)
    for tag in (0x0020000D, 0x0020000E, 0x00080018) if everywhere else (0x0020000D,):
        content = with_value(content, tag, identifier.encode())
    value = bytes(range(256)) * 8
    private = b"\x09\0\x10\x10OB\0\0" + len(value).to_bytes(4, "little") + value
    place = content.index(b"\x10\0\x10\0PN")
    return content[:place] + private + content[place:]


def with_value(content: bytes, tag: int, raw: bytes) -> bytes:
    """The file with other bytes in an element of VR UI."""
    start = content.index(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + b"UI")
    end = start + 8 + int.from_bytes(content[start + 6 : start + 8], "little")
    raw += b"\0" * (len(raw) % 2)
    length = len(raw).to_bytes(2, "little")
    return content[: start + 6] + length + raw + content[end:]


def path_of(identifier: str) -> str:
    part = quote(identifier, safe="")
    return f"/studies/{part}/series/{part}/instances/{part}"


@pytest.fixture(params=IDENTIFIERS)
def identifier(request: pytest.FixtureRequest) -> str:
    return IDENTIFIERS[request.param]


def test_it_is_stored_with_a_warning_and_retrieved_under_its_url(client, identifier):
    content = content_of(identifier)
    answer = wire.store(client, content)
    assert answer.status_code == 202, answer.text
    assert wire.stored(answer) == [identifier]
    (item,) = wire.items(answer.json(), "00081199")
    assert wire.value(item, "00081196") == 0xB007
    comment = wire.value(item, "00000902")
    assert comment.startswith("Not a valid UID (PS3.5 9.1)")
    assert len(comment) <= 64
    for url in (wire.value(item, "00081190"), wire.value(answer.json(), "00081190")):
        assert url.isascii()
        assert [body for _, body in wire.parts(client.get(url))] == [content]
    assert get(client, path_of(identifier), "application/dicom").content == content


def test_metadata_and_bulk_data_are_stored_like_a_file(client, identifier):
    content = samples.ct("odd", 1, 1)
    metadata = metadata_of(content)
    for tag in ("0020000D", "0020000E", "00080018"):
        metadata[tag]["Value"] = [identifier]
    answer = send(client, as_json(metadata), bulk(pixels_of(content)))
    assert (answer.status_code, wire.stored(answer)) == (202, [identifier]), answer.text
    assert get(client, path_of(identifier) + "/metadata").status_code == 200


def test_the_same_bytes_again_are_a_success_with_the_same_warning(client, identifier):
    first = wire.store(client, content_of(identifier))
    again = wire.store(client, content_of(identifier))
    assert (first.status_code, first.json()) == (again.status_code, again.json())


def test_searches_find_it_by_path_and_by_key(client, identifier):
    wire.store(client, content_of(identifier), samples.ct("other"))
    for path, tag, keyword in (
        ("/studies", "0020000D", "StudyInstanceUID"),
        ("/series", "0020000E", "SeriesInstanceUID"),
        ("/instances", "00080018", "SOPInstanceUID"),
    ):
        (match,) = wire.search(client, path, **{keyword: identifier})
        assert wire.value(match, tag) == identifier
        assert client.get(wire.value(match, "00081190")).status_code == 200
    study = quote(identifier, safe="")
    (match,) = wire.search(client, f"/studies/{study}/series/{study}/instances")
    assert wire.value(match, "00080018") == identifier


def test_bulk_data_frames_and_pictures_have_addresses(client, identifier):
    wire.store(client, content_of(identifier))
    (metadata,) = get(client, path_of(identifier) + "/metadata").json()
    assert wire.value(metadata, "0020000D") == identifier
    private = client.get(metadata["00091010"]["BulkDataURI"])
    assert private.content == bytes(range(256)) * 8
    frame = get(client, path_of(identifier) + "/frames/1", "application/octet-stream")
    assert frame.content in content_of(identifier)
    assert get(client, path_of(identifier) + "/rendered", "image/jpeg").status_code == 200
    parameters = {
        "requestType": "WADO",
        "studyUID": identifier,
        "seriesUID": identifier,
        "objectUID": identifier,
        "contentType": "application/dicom",
        "transferSyntax": "*",
    }
    assert client.get("/wado", params=parameters).content == content_of(identifier)


def test_a_zip_has_names_that_every_file_system_takes(client, identifier):
    wire.store(client, content_of(identifier))
    part = quote(identifier, safe="")
    answer = get(client, f"/studies/{part}", "application/zip")
    assert answer.status_code == 200
    (name,) = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert name.count("/") == 2
    assert not set(name) & set('\\:*?"<>|')
    assert [unquote(each) for each in name.removesuffix(".dcm").split("/")] == [identifier] * 3


def test_orthanc_s_routes_know_it(client, identifier):
    answer = client.post("/instances", content=content_of(identifier))
    assert (answer.status_code, answer.json()["Status"]) == (200, "Success")
    assert "Not a valid UID" in answer.headers["warning"]
    found = client.post("/tools/lookup", content=identifier.encode()).json()
    assert {each["Type"] for each in found} == {"Study", "Series", "Instance"}
    file = client.get(f"/instances/{answer.json()['ID']}/file")
    assert file.content == content_of(identifier)


def test_a_delete_leaves_nothing(client, services, identifier):
    wire.store(client, content_of(identifier))
    study = quote(identifier, safe="")
    assert client.delete(f"{wire.DICOMWEB}/studies/{study}").status_code == 204
    assert list(services.storage.keys("instances/")) == []
    assert wire.search(client, "/studies", StudyInstanceUID=identifier) == []


def test_a_sweep_keeps_its_file_and_a_reindex_finds_it(client, services, identifier, tmp_path):
    wire.store(client, content_of(identifier))
    swept = sweep_and_reindex.sweep(services, older_than_seconds=-1)
    assert (swept.looked_at, swept.removed) == (1, 0)
    index = Index(f"sqlite:///{tmp_path / 'again.sqlite'}")
    index.migrate()
    again = Services(services.settings, services.storage, index)
    assert sweep_and_reindex.reindex(again).filed == 1
    (instance,) = index.retrieval.find(Target(identifier))
    assert instance.sop_instance_uid == identifier
    assert sweep_and_reindex.sweep(again, older_than_seconds=-1).removed == 0
    index.close()


def test_identifiers_that_differ_in_capitals_only_are_two(client, services):
    upper, lower = content_of("ABC"), content_of("abc")
    assert wire.store(client, upper, lower).status_code == 202
    assert get(client, path_of("ABC"), "application/dicom").content == upper
    assert get(client, path_of("abc"), "application/dicom").content == lower
    keys = [key for key, _, _ in services.storage.keys("instances/")]
    assert len({key.lower().rsplit("-", 2)[0] for key in keys}) == 2
    assert all(key == key.lower() for key in keys)


@pytest.mark.parametrize("stored", [" 1.2.3", "1.2.3 ", " 1.2.3 "])
def test_padding_around_a_uid_is_not_part_of_it(client, stored):
    answer = wire.store(client, content_of(stored))
    assert (answer.status_code, wire.stored(answer)) == (200, ["1.2.3"])
    (match,) = wire.search(client, "/studies", StudyInstanceUID="1.2.3")
    assert wire.value(match, "0020000D") == "1.2.3"


@pytest.mark.parametrize(
    ("identifier", "says"),
    [
        ("1/2", "slash"),
        ('a"b', "quotation mark"),
        ("../../etc/passwd", "slash"),
        ("..", "neither a letter nor a digit"),
        ("1\n2", "control character"),
        ("1" * 129, "too long"),
        ("A" * 128, "too long"),
        ("", "missing or empty"),
    ],
)
def test_what_no_address_or_file_name_can_carry_is_refused_by_name(
    client, services, identifier, says
):
    answer = wire.store(client, content_of(identifier))
    assert answer.status_code == 409
    assert wire.failed(answer) == [(None, 0xC000)]
    (failure,) = wire.items(answer.json(), "0008119A")
    assert says in wire.value(failure, "00000902")
    assert list(services.storage.keys("instances/")) == []


@pytest.mark.parametrize("tag", ["0020000D", "0020000E", "00080018", "00080016"])
def test_metadata_with_what_no_address_can_carry_is_refused_by_name(client, services, tag):
    content = samples.ct("odd", 1, 1)
    metadata = metadata_of(content) | {tag: {"vr": "UI", "Value": ["1/2"]}}
    answer = send(client, as_json(metadata), bulk(pixels_of(content)))
    assert (answer.status_code, wire.failed(answer)[0][1]) == (409, 0xC000)
    assert "has a slash or a quotation mark" in answer.text
    assert list(services.storage.keys("instances/")) == []


@pytest.mark.parametrize("setting", ["strict", "lenient"])
def test_strict_refuses_what_lenient_warns_of(backend, services, setting):
    settings = dataclasses.replace(services.settings, uids=setting)
    strict = dataclasses.replace(services, settings=settings)
    with backend.client(strict) as client:
        answer = wire.store(client, content_of(HASH), samples.ct("good"))
        assert answer.status_code == 202
        assert samples.sop_uid("good") in wire.stored(answer)
        if setting == "strict":
            assert wire.failed(answer) == [(HASH, 0xC000)]
        else:
            assert HASH in wire.stored(answer)

        content = samples.ct("metadata")
        metadata = metadata_of(content) | {"0020000D": {"vr": "UI", "Value": [HASH]}}
        answer = send(client, as_json(metadata), bulk(pixels_of(content)))
        assert answer.status_code == (409 if setting == "strict" else 202)


def test_a_store_to_a_study_whose_identifier_is_no_uid(client):
    path = f"{wire.DICOMWEB}/studies/{quote(IDENTIFIERS['UUID'])}"
    body, headers = wire.multipart(content_of(IDENTIFIERS["UUID"]))
    assert client.post(path, content=body, headers=headers).status_code == 202


def test_the_links_to_further_results_keep_the_identifier(client):
    study = "a b%c?d"
    for number in range(3):
        content = content_of(study, number, everywhere=False)
        assert wire.store(client, content).status_code == 202
    path = f"{wire.DICOMWEB}/studies/{quote(study)}/instances?limit=1"
    answer = client.get(path)
    assert answer.status_code == 200
    assert len(answer.json()) == 1


@pytest.mark.parametrize("name", ["uid_67.dcm", "uid_sha256.dcm", "uid_uuid.dcm"])
def test_files_of_real_tools_are_stored(client, name):
    cases = os.environ.get("LENTICULAR_CORPUS")
    file = Path(cases or "", "..", "cases", name)
    if not cases or not file.exists():
        pytest.skip("the cases are not here")
    content = file.read_bytes()
    study = part10.parse(content).study_instance_uid
    assert wire.store(client, content).status_code == 202
    assert get(client, f"/studies/{quote(study)}/metadata").status_code == 200


def test_keys_are_safe_and_can_be_read_back(tmp_path):
    storage = FolderStorage(tmp_path)
    for identifier in (*IDENTIFIERS.values(), WITH_A_PERCENT_SIGN):
        target = Target(identifier, identifier, identifier)
        key = new_key(target, bytes(32))
        assert target_of_key(key) == target
        assert all(len(part) <= 255 for part in key.encode().split(b"/"))
        assert key.isascii()
        assert key == key.lower()
        assert storage._path(key).is_relative_to(tmp_path)


@pytest.mark.parametrize(
    "key",
    [
        "instances/abc/1.2.3/4.5.6/IM0001",
        "instances/abc/../4.5.6/1-0123456789abcdef-01234567.dcm",
        "instances/abc/%zz/4.5.6/1-0123456789abcdef-01234567.dcm",
        "instances/abc/%31/4.5.6/1-0123456789abcdef-01234567.dcm",
        "instances/abc/A/4.5.6/1-0123456789abcdef-01234567.dcm",
        "instances/abc/%ff/4.5.6/1-0123456789abcdef-01234567.dcm",
    ],
)
def test_what_is_no_key_of_ours_names_no_instance(key):
    found = target_of_key(key)
    assert found is None or uids.problem_of(found.study_instance_uid)


def test_a_percent_sign_is_a_character_like_any_other(tmp_path):
    """By a real server: the client for tests decodes a path twice."""
    content = content_of(WITH_A_PERCENT_SIGN)
    with Server(tmp_path / "data") as server, httpx2.Client(base_url=server.url) as client:
        (url,) = {
            wire.value(item, "00081190")
            for item in wire.items(wire.store(client, content).json(), "00081199")
        }
        assert url.endswith(path_of(WITH_A_PERCENT_SIGN))
        assert [body for _, body in wire.parts(client.get(url))] == [content]
