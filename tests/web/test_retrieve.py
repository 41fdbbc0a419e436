"""Retrieve transaction (WADO-RS) of instances, PS3.18 10.4, over HTTP on the real application."""

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from lenticular.services import Services
from lenticular.storage.protocol import Storage
from tests.helpers import samples, wire
from tests.helpers.backends import Backend
from tests.helpers.http.retrieve import ANY_DICOM, ANY_FRAMES, bodies, get, series_path


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "*/*",
        ANY_DICOM,
        'multipart/related; type="application/dicom"',
        f"multipart/related; type=application/dicom; transfer-syntax={ExplicitVRLittleEndian}",
    ],
)
def test_an_instance_comes_back_as_one_part(client, accept):
    content = samples.ct("a")
    wire.must_store(client, content)

    answer = get(client, samples.path("a"), accept)

    ((headers, body),) = wire.parts(answer)
    assert body == content
    assert headers["Content-Type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    assert headers["Content-Length"] == str(len(content))
    assert headers["Content-Location"].endswith(samples.path("a"))
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_an_instance_comes_back_as_a_single_part_with_ranges_and_conditions(client):
    content = samples.ct("a")
    wire.must_store(client, content)
    url, dicom = samples.path("a"), "application/dicom"

    whole = get(client, url, dicom)
    assert whole.content == content
    wire.assert_length(whole, len(content))
    etag = whole.headers["etag"]
    assert not etag.startswith("W/")

    piece = get(client, url, dicom, Range="bytes=10-19")
    assert (piece.status_code, piece.content) == (206, content[10:20])
    assert piece.headers["content-range"] == f"bytes 10-19/{len(content)}"
    outside = get(client, url, dicom, Range="bytes=9999999-")
    wire.assert_error(outside, 416)
    assert outside.headers["content-range"] == f"bytes */{len(content)}"
    assert get(client, url, dicom, **{"If-None-Match": etag}).status_code == 304
    head = client.head(wire.DICOMWEB + url, headers={"Accept": dicom})
    assert head.content == b""
    wire.assert_length(head, len(content))
    for name in ("content-type", "etag", "accept-ranges", "cache-control"):
        assert head.headers.get(name) == whole.headers.get(name)


def test_a_series_and_a_study_come_back_in_the_order_of_their_numbers(client):
    first, second = samples.ct_series("a", 12), samples.ct_series("a", 2, series=2)
    wire.must_store(client, *reversed(first), *second)
    wire.must_store(client, samples.ct("b"))

    assert bodies(client, series_path("a")) == first
    assert bodies(client, series_path("a", 2)) == second
    assert bodies(client, f"/studies/{samples.study_uid('a')}") == first + second


def test_a_single_part_is_for_instances_only_however_few_there_are(client):
    wire.must_store(client, samples.ct("a"))

    wire.assert_error(get(client, series_path("a"), "application/dicom"), 406)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize(
    "accept", [None, "*/*", ANY_DICOM, 'multipart/related; type="application/dicom"']
)
def test_what_is_not_used_on_the_web_goes_out_in_explicit_vr_little_endian(client, syntax, accept):
    wire.must_store(client, samples.ct("a", transfer_syntax=syntax))

    ((headers, body),) = wire.parts(get(client, samples.path("a"), accept))

    assert headers["Content-Type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    assert headers["Content-Length"] == str(len(body))
    assert same_elements(body, samples.ct("a"))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_what_is_not_used_on_the_web_comes_as_stored_by_name_and_from_orthanc_s_file(
    client, syntax
):
    content = samples.ct("a", transfer_syntax=syntax)
    stored = client.post("/instances", content=content).json()

    named = get(client, samples.path("a"), f"application/dicom; transfer-syntax={syntax}")
    assert named.content == content
    assert client.get(f"/instances/{stored['ID']}/file").content == content
    parent = client.get(f"/instances/{stored['ID']}/series").json()["ID"]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/series/{parent}/archive").content))
    assert [archive.read(name) for name in archive.namelist()] == [content]


def test_an_instance_that_was_converted_has_an_etag_of_its_own(client):
    wire.must_store(client, samples.ct("a", transfer_syntax=ImplicitVRLittleEndian))
    url, dicom = samples.path("a"), "application/dicom"

    converted = get(client, url, dicom)
    stored = get(client, url, f"{dicom}; transfer-syntax={ImplicitVRLittleEndian}")
    assert converted.headers["etag"] != stored.headers["etag"]
    again = get(client, url, dicom, **{"If-None-Match": converted.headers["etag"]})
    assert again.status_code == 304
    assert get(client, url, dicom).content == converted.content
    head = client.head(wire.DICOMWEB + url, headers={"Accept": dicom})
    assert (head.status_code, head.headers["content-type"], head.headers["etag"]) == (
        200, converted.headers["content-type"], converted.headers["etag"])  # fmt: skip


def test_a_study_is_converted_where_it_has_to_be_and_zipped_so(client):
    syntaxes = (ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian)
    files = [
        samples.ct("a", instance=number, transfer_syntax=syntax)
        for number, syntax in enumerate(syntaxes, 1)
    ]
    plain = [samples.ct("a", instance=number) for number in (1, 2, 3)]
    wire.must_store(client, *files)

    found = bodies(client, series_path("a"))
    assert all(map(same_elements, found, plain))
    answer = get(client, series_path("a"), "application/zip")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert [archive.read(name) for name in archive.namelist()] == found


def test_what_cannot_be_converted_comes_as_stored_with_a_warning(client):
    content = unwritable("a")
    wire.must_store(client, content)

    for accept in (None, "application/dicom"):
        answer = get(client, samples.path("a"), accept)
        assert answer.status_code == 200
        body = answer.content if accept else bodies(client, samples.path("a"))[0]
        assert body == content
        assert f"{samples.sop_uid('a')} comes as it is stored" in answer.headers["warning"]
    explicit = f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    wire.assert_error(get(client, samples.path("a"), explicit), 406)


def unwritable(label: str) -> bytes:
    """An instance in Explicit VR Big Endian with a damaged VR: of Patient's Sex."""
    content = samples.ct(label, transfer_syntax=ExplicitVRBigEndian)
    assert content.count(b"\x00\x10\x00\x40CS") == 1
    return content.replace(b"\x00\x10\x00\x40CS", b"\x00\x10\x00\x40C\xe4")


def same_elements(content: bytes, other: bytes) -> bool:
    found, expected = dcmread(io.BytesIO(content)), dcmread(io.BytesIO(other))
    return found == expected and found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


def test_a_transfer_syntax_that_cannot_be_made_is_refused_naming_those_that_can(client):
    wire.must_store(client, samples.jpeg("a"))

    accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.110'
    for path in (samples.path("a"), series_path("a")):
        answer = get(client, path, accept)
        wire.assert_error(answer, 406)
        assert JPEGBaseline8Bit in answer.json()["detail"]


def test_what_nobody_can_decode_goes_out_as_it_is_stored_or_not_at_all(client):
    wire.must_store(client, samples.unknown_transfer_syntax("a"))

    accept = f"multipart/related; type=application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    wire.assert_error(get(client, series_path("a"), accept), 406)
    assert get(client, samples.path("a"), 'multipart/related; type="application/dicom"').is_success


@pytest.mark.parametrize("of", ["study", "series", "instance"])
def test_every_level_comes_as_a_zip(client, of):
    files = samples.ct_series("a", 3)
    wire.must_store(client, *files)
    path = {
        "study": f"/studies/{samples.study_uid('a')}",
        "series": series_path("a"),
        "instance": samples.path("a"),
    }[of]

    answer = get(client, path, "application/zip")

    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    expected = files[:1] if of == "instance" else files
    assert [archive.read(name) for name in archive.namelist()] == expected
    assert archive.namelist()[0].endswith(f"/{samples.sop_uid('a')}.dcm")


def test_a_query_parameter_asks_for_a_type_as_the_header_does(client):
    content = samples.ct("a")
    wire.must_store(client, content)

    answer = get(client, samples.path("a") + "?accept=application/dicom", "text/html, */*;q=0.8")

    assert answer.content == content


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/studies/{other}", "study"),
        ("/studies/{study}/series/{other}", "series"),
        ("/studies/{study}/series/{series}/instances/{other}", "instance"),
        ("/studies/{study}/series/{other}/instances/{sop}", "series"),
        ("/studies/{other}/series/{series}/instances/{sop}", "study"),
    ],
)
def test_what_is_not_there_is_named(client, path, said):
    wire.must_store(client, samples.ct("a"))
    path = path.format(
        study=samples.study_uid("a"),
        series=samples.series_uid("a"),
        sop=samples.sop_uid("a"),
        other="1.2.3.4",
    )

    below = ["", "/metadata"]
    if "/instances/" in path:
        below += ["/frames/1", "/bulkdata/7FE00010"]
    for suffix in below:
        answer = get(client, path + suffix)
        wire.assert_error(answer, 404)
        assert f"no {said}" in answer.json()["detail"].lower()
        assert "1.2.3.4" in answer.json()["detail"]


def test_a_file_that_vanished_before_the_first_byte_answers_404(client, services: Services):
    wire.must_store(client, samples.ct("a"))
    for key, _, _ in list(services.storage.keys("instances/")):
        services.storage.delete(key)

    for path, accept in (
        (samples.path("a"), None),
        (samples.path("a"), "application/dicom"),
        (samples.path("a"), "application/zip"),
        (samples.path("a") + "/frames/1", ANY_FRAMES),
        (samples.path("a") + "/bulkdata/7FE00010", "*/*"),
    ):
        wire.assert_error(get(client, path, accept), 404)
    assert get(client, samples.path("a") + "/metadata").status_code == 200


class ReplacingStorage:
    """Has something happen just before a file is opened for the first time."""

    before_opening: Callable[[], None] | None = None

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        happen, self.before_opening = self.before_opening, None
        if happen is not None:
            happen()
        return self._storage.stream(key, offset, length)


@pytest.mark.parametrize("accept", ["application/dicom", ANY_DICOM, "application/zip"])
def test_an_instance_replaced_between_being_found_and_being_opened_is_the_new_one(
    backend: Backend, connect, tmp_path: Path, accept: str
):
    old, new = (samples.ct("a", PatientName=name) for name in ("Old", "New"))
    with backend.services(tmp_path / "data", replace=True) as services:
        storage = ReplacingStorage(services.storage)
        client = connect(replace(services, storage=storage))
        wire.must_store(client, old)
        storage.before_opening = lambda: wire.must_store(client, new)

        answer = get(client, samples.path("a"), accept)

        assert answer.status_code == 200
        assert new in answer.content
