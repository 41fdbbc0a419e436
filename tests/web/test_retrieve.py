"""Retrieve transaction (WADO-RS), PS3.18 10.4, over HTTP against the real application."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)
from starlette.testclient import TestClient

from lenticular.services import Services, open_services
from lenticular.settings import Settings
from lenticular.storage.folder import FolderStorage
from lenticular.web.app import create_app
from tests import samples, wire
from tests.server import Server

ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# What OHIF sends for every frame.
ANY_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
NATIVE = f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"


def get(client: TestClient, path: str, accept: str | None = None, **headers: str):
    """GET below the DICOMweb root."""
    if accept is not None:
        headers["Accept"] = accept
    return client.get(wire.DICOMWEB + path, headers=headers)


def bodies(client: TestClient, path: str, accept: str | None = None) -> list[bytes]:
    """The bodies of the parts of a multipart answer."""
    answer = get(client, path, accept)
    assert answer.status_code == 200, answer.text
    return [body for _, body in wire.parts(answer)]


def series_path(study: str, series: int = 1) -> str:
    return f"/studies/{samples.study_uid(study)}/series/{samples.series_uid(study, series)}"


def frames_of(content: bytes) -> list[bytes]:
    """The encapsulated frames of a file, by pydicom."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    count = int(dataset.get("NumberOfFrames", 1))
    return list(generate_frames(dataset.PixelData, number_of_frames=count))


# Instances


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
    assert answer.headers["content-type"].startswith('multipart/related; type="application/dicom"')
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_an_instance_comes_back_as_a_single_part_with_ranges_and_conditions(client):
    content = samples.ct("a")
    wire.must_store(client, content)
    url, dicom = samples.path("a"), "application/dicom"

    whole = get(client, url, dicom)
    assert whole.content == content
    assert whole.headers["content-length"] == str(len(content))
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
    assert (head.content, head.headers) == (b"", whole.headers)


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


def test_what_is_stored_in_several_transfer_syntaxes_comes_back_as_stored(client):
    files = [
        samples.ct("a", instance=number, transfer_syntax=syntax)
        for number, syntax in enumerate((ImplicitVRLittleEndian, ExplicitVRBigEndian), 1)
    ]
    wire.must_store(client, *files)

    found = wire.parts(get(client, series_path("a"), ANY_DICOM))
    assert [body for _, body in found] == files
    assert [headers["Content-Type"].rpartition("=")[2] for headers, _ in found] == [
        ImplicitVRLittleEndian, ExplicitVRBigEndian]  # fmt: skip


def test_another_transfer_syntax_than_the_stored_one_is_refused_naming_that(client):
    wire.must_store(client, samples.jpeg("a"))

    accept = (
        f'multipart/related; type="application/dicom"; transfer-syntax={ExplicitVRLittleEndian}'
    )
    for path in (samples.path("a"), series_path("a")):
        answer = get(client, path, accept)
        wire.assert_error(answer, 406)
        assert JPEGBaseline8Bit in answer.json()["detail"]


def test_a_study_of_which_one_instance_cannot_be_served_is_refused(client):
    wire.must_store(client, samples.ct("a"))
    wire.must_store(client, samples.ct("a", instance=2, transfer_syntax=ImplicitVRLittleEndian))

    accept = f"multipart/related; type=application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    wire.assert_error(get(client, series_path("a"), accept), 406)
    assert get(client, samples.path("a"), accept).status_code == 200


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


class ReplacingStorage(FolderStorage):
    """Has something happen just before a file is opened for the first time."""

    before_opening: Callable[[], None] | None = None

    def stream(self, key: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        happen, self.before_opening = self.before_opening, None
        if happen is not None:
            happen()
        return super().stream(key, offset, length)


@pytest.mark.parametrize("accept", ["application/dicom", ANY_DICOM, "application/zip"])
def test_an_instance_replaced_between_being_found_and_being_opened_is_the_new_one(
    tmp_path: Path, accept: str
):
    old, new = (samples.ct("a", PatientName=name) for name in ("Old", "New"))
    storage = ReplacingStorage(tmp_path / "files")
    opened = open_services(Settings(data=tmp_path, replace=True))
    opened.index.migrate()
    app = create_app(replace(opened, storage=storage))
    with closing(opened), TestClient(app, base_url="http://127.0.0.1") as client:
        wire.must_store(client, old)
        storage.before_opening = lambda: wire.must_store(client, new)

        answer = get(client, samples.path("a"), accept)

        assert answer.status_code == 200
        assert new in answer.content


# Metadata


@pytest.mark.parametrize("accept", [None, "*/*", "application/dicom+json", "application/json"])
def test_metadata_is_an_array_with_one_dataset_for_each_instance(client, accept):
    wire.must_store(client, *samples.ct_series("a", 3), *samples.ct_series("a", 1, series=2))

    answer = get(client, f"/studies/{samples.study_uid('a')}/metadata", accept)

    expected = accept if accept and "json" in accept else "application/dicom+json"
    assert answer.headers["content-type"] == expected
    found = [wire.value(dataset, "00080018") for dataset in answer.json()]
    assert found == [
        *(samples.sop_uid("a", 1, number) for number in (1, 2, 3)), samples.sop_uid("a", 2)
    ]  # fmt: skip
    assert len(get(client, series_path("a") + "/metadata").json()) == 3
    assert len(get(client, samples.path("a") + "/metadata").json()) == 1


def test_metadata_says_what_the_file_says(client):
    content = samples.enhanced("a")
    wire.must_store(client, content)

    (dataset,) = get(client, samples.path("a") + "/metadata").json()

    assert list(dataset) == sorted(dataset)
    read = pydicom.Dataset.from_json(dataset, lambda *_: b"")
    original = pydicom.dcmread(io.BytesIO(content))
    del read.PixelData, original.PixelData
    assert read == original


def test_bulk_data_uris_follow_the_host_that_the_client_named(client):
    wire.must_store(client, samples.ct("a"))

    (dataset,) = get(client, samples.path("a") + "/metadata", Host="localhost:8443").json()

    assert dataset["7FE00010"]["BulkDataURI"] == (
        f"http://localhost:8443/dicom-web{samples.path('a')}/bulkdata/7FE00010"
    )


def test_bulk_data_uris_have_our_port_when_the_client_leaves_it_out(server: Server):
    with server.client() as client:
        wire.must_store(client, samples.ct("no port"))
        url = wire.DICOMWEB + samples.path("no port")
        (dataset,) = client.get(url + "/metadata", headers={"Host": "127.0.0.1"}).json()

        assert client.get(dataset["7FE00010"]["BulkDataURI"]).status_code == 200


def test_metadata_that_did_not_change_is_not_sent_again(client):
    wire.must_store(client, samples.ct("a"))
    url = series_path("a") + "/metadata"
    etag = get(client, url).headers["etag"]

    assert get(client, url, **{"If-None-Match": etag}).status_code == 304
    wire.must_store(client, samples.ct("a", instance=2))
    assert len(get(client, url, **{"If-None-Match": etag}).json()) == 2


def test_head_of_metadata_has_the_headers_of_get(client):
    wire.must_store(client, samples.ct("a"))
    url = wire.DICOMWEB + series_path("a") + "/metadata"

    head = client.head(url)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == client.get(url).headers


# Frames


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
@pytest.mark.parametrize("accept", [None, ANY_FRAMES, f'multipart/related; type="{NATIVE}"'])
def test_an_uncompressed_frame_is_little_endian_whatever_is_stored(client, syntax, accept):
    wire.must_store(client, samples.ct("a", transfer_syntax=syntax))

    answer = get(client, samples.path("a") + "/frames/1", accept)

    ((headers, body),) = wire.parts(answer)
    assert headers["Content-Type"] == NATIVE
    assert headers["Content-Location"].endswith(samples.path("a") + "/frames/1")
    assert body == samples.ramp(seed="a11")[0].tobytes()


def test_frames_come_in_the_order_asked_for(client):
    wire.must_store(client, samples.multi_frame("a", 10))
    pixels = [frame.tobytes() for frame in samples.ramp(frames=10, seed="a")]

    for asked in ([1], [10], [3, 1, 2], [5, 5, 4], list(range(10, 0, -1))):
        path = f"{samples.path('a')}/frames/{','.join(map(str, asked))}"
        assert bodies(client, path) == [pixels[number - 1] for number in asked]
        assert bodies(client, path.replace(",", "%2C")) == bodies(client, path)


@pytest.mark.parametrize(
    ("name", "media_type", "syntax"),
    [
        ("jpeg", "image/jpeg", JPEGBaseline8Bit),
        ("jpeg in fragments", "image/jpeg", JPEGBaseline8Bit),
        ("jpeg extended table", "image/jpeg", JPEGBaseline8Bit),
        ("jpeg no table", "image/jpeg", JPEGBaseline8Bit),
        ("jpeg one frame in fragments", "image/jpeg", JPEGBaseline8Bit),
        ("jpeg 2000", "image/jp2", JPEG2000Lossless),
        ("rle", "image/dicom-rle", "1.2.840.10008.1.2.5"),
    ],
)
def test_compressed_frames_come_as_they_are_stored(client, name, media_type, syntax):
    content = samples.gallery()[name]
    wire.must_store(client, content)
    dataset = pydicom.dcmread(io.BytesIO(content))
    path = (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )
    expected = frames_of(content)
    numbers = ",".join(str(number + 1) for number in range(len(expected)))

    accepts = [
        None,
        ANY_FRAMES,
        f'multipart/related; type="{media_type}"',
        f"multipart/related; type={media_type}; transfer-syntax={syntax}",
    ]
    for accept in accepts:
        answer = get(client, f"{path}/frames/{numbers}", accept)
        found = wire.parts(answer)
        assert [body for _, body in found] == expected
        for headers, _ in found:
            assert headers["Content-Type"] == f"{media_type}; transfer-syntax={syntax}"
    assert bodies(client, f"{path}/bulkdata/7FE00010") == expected
    single = get(client, f"{path}/frames/1", media_type)
    assert single.content == expected[0]
    assert single.headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"


def test_compressed_frames_are_decoded_for_who_wants_octets(client):
    content = samples.run_length("a")
    wire.must_store(client, content)
    expected = samples.ramp(seed="a")[0].tobytes()

    for accept in (
        "multipart/related; type=application/octet-stream",
        f"multipart/related; type={NATIVE}",
    ):
        ((headers, body),) = wire.parts(get(client, samples.path("a") + "/frames/1", accept))
        assert headers["Content-Type"] == NATIVE
        assert body == expected
    assert get(client, samples.path("a") + "/frames/1", NATIVE).content == expected


def test_decoded_colours_are_rgb_by_pixel(client):
    wire.must_store(client, samples.jpeg_2000("a"))

    accept = "multipart/related; type=application/octet-stream"
    found = bodies(client, samples.path("a") + "/frames/1,2", accept)

    pixels = pydicom.dcmread(io.BytesIO(samples.colour("x", frames=2))).pixel_array
    assert found == [frame.tobytes() for frame in pixels]


def test_frames_in_a_type_that_is_not_stored_are_refused(client):
    wire.must_store(client, samples.jpeg("a"))

    for accept in ("image/jp2", 'multipart/related; type="image/jls"', "image/png"):
        wire.assert_error(get(client, samples.path("a") + "/frames/1", accept), 406)


def test_one_frame_may_be_a_single_part_and_several_may_not(client):
    wire.must_store(client, samples.multi_frame("a", 3))
    expected = samples.ramp(frames=3, seed="a")[1].tobytes()
    url = samples.path("a") + "/frames/2"

    answer = get(client, url, "application/octet-stream")
    assert answer.content == expected
    assert answer.headers["content-type"] == NATIVE
    piece = get(client, url, "application/octet-stream", Range="bytes=3-6")
    assert (piece.status_code, piece.content) == (206, expected[3:7])
    known = {"If-None-Match": answer.headers["etag"]}
    assert get(client, url, "application/octet-stream", **known).status_code == 304
    wire.assert_error(get(client, url + ",3", "application/octet-stream"), 406)


def test_frames_of_single_bits_begin_at_a_byte_of_their_own(client):
    wire.must_store(client, samples.bilevel("a", frames=3))
    bits = (samples.ramp(7, 9, 3) // 3 % 2).astype(np.uint8)

    found = bodies(client, samples.path("a") + "/frames/1,2,3")

    expected = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in bits]
    assert found == expected


def test_a_frame_beyond_the_last_answers_404_and_a_malformed_list_400(client):
    wire.must_store(client, samples.multi_frame("a", 3))

    for frames in ("4", "1,4", "999999999"):
        wire.assert_error(get(client, f"{samples.path('a')}/frames/{frames}"), 404)
    for frames in ("0", "abc", "1,,2", "1,", "1-2", "-1", "+1", "1.0", "%20", "²"):
        wire.assert_error(get(client, f"{samples.path('a')}/frames/{frames}"), 400)
    wire.assert_error(get(client, f"{samples.path('a')}/frames/{'1,' * 10_000}1"), 413)


def test_an_instance_without_pixels_has_no_frames(client):
    wire.must_store(client, samples.pdf("a"))

    wire.assert_error(get(client, samples.path("a") + "/frames/1"), 404)
    wire.assert_error(get(client, samples.path("a") + "/bulkdata/7FE00010"), 404)


def test_frames_have_the_headers_that_viewers_and_caches_need(client):
    wire.must_store(client, samples.jpeg("a"))
    url = samples.path("a") + "/frames/1"

    answer = get(client, url, ANY_FRAMES)

    assert b"\r\nContent-Type: image/jpeg; transfer-syntax=" in answer.content
    assert answer.headers["vary"] == "Accept"
    known = {"If-None-Match": answer.headers["etag"]}
    assert get(client, url, ANY_FRAMES, **known).status_code == 304
    assert get(client, url, "multipart/related; type=application/octet-stream", **known).is_success
    head = client.head(wire.DICOMWEB + url, headers={"Accept": ANY_FRAMES})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == answer.headers["content-length"]


# Bulk data


def test_a_document_has_the_type_that_it_says(client):
    content = b"%PDF-1.4 " + b"text " * 500 + b"\n%%EOF\n"
    assert len(content) % 2 == 0
    content += b"\n"
    wire.must_store(client, samples.pdf("a", content))
    (dataset,) = get(client, samples.path("a") + "/metadata").json()
    url = dataset["00420011"]["BulkDataURI"]

    for accept, media_type in (
        ("*/*", "application/pdf"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/pdf"),
        ("application/octet-stream", "application/octet-stream"),
    ):
        answer = client.get(url, headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.content == content
    # What OHIF sends when it is told not to expect single parts.
    both = ", ".join(
        f'multipart/related; type="application/{kind}"' for kind in ("pdf", "octet-stream")
    )
    ((headers, body),) = wire.parts(client.get(url, headers={"Accept": both}))
    assert (headers["Content-Type"], body) == ("application/pdf", content)
    assert headers["Content-Location"] == url
    piece = client.get(url, headers={"Accept": "*/*", "Range": "bytes=1-3"})
    assert (piece.status_code, piece.content) == (206, b"PDF")


@pytest.mark.parametrize("declared", ["text/html", "evil", "a/b\r\nX: y", "", "text/html; x=y"])
def test_a_document_cannot_choose_a_type_that_a_browser_would_run(client, declared):
    base = samples.dataset("a", SOPClassUID=pydicom.uid.EncapsulatedPDFStorage)
    base.MIMETypeOfEncapsulatedDocument = declared
    base.EncapsulatedDocument = b"<script>alert(1)</script> " * 200
    wire.must_store(client, samples.encode(base))

    answer = get(client, samples.path("a") + "/bulkdata/00420011", "*/*")

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox"
    assert "x" not in answer.headers


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_waveform_in_a_sequence_is_little_endian(client, syntax):
    samples_of_channel = np.arange(5000, dtype="<i2")
    item = pydicom.Dataset()
    item.WaveformBitsAllocated, item.WaveformSampleInterpretation = 16, "SS"
    order = ">i2" if syntax == ExplicitVRBigEndian else "<i2"
    item.add_new("WaveformData", "OW", samples_of_channel.astype(order).tobytes())
    base = samples.dataset("a", Modality="ECG")
    base.WaveformSequence = [item]
    wire.must_store(client, samples.encode(base, syntax))
    path = samples.path("a") + "/bulkdata/54000100/0/54001010"

    answer = get(client, path, "application/octet-stream")

    assert answer.content == samples_of_channel.tobytes()
    odd = get(client, path, "application/octet-stream", Range="bytes=7-12")
    assert odd.content == samples_of_channel.tobytes()[7:13]
    ((_, body),) = wire.parts(get(client, path, ANY_FRAMES))
    assert body == samples_of_channel.tobytes()


def test_all_pixels_are_one_value_when_they_are_not_compressed(client):
    wire.must_store(client, samples.multi_frame("a", 5))
    expected = samples.ramp(frames=5, seed="a").tobytes()

    for tag in ("7FE00010", "7fe00010"):
        answer = get(client, f"{samples.path('a')}/bulkdata/{tag}", "*/*")
        assert answer.content == expected
        assert answer.headers["content-type"] == NATIVE


def test_a_range_of_a_value_in_a_multipart_answer_is_that_of_the_value(client):
    wire.must_store(client, samples.ct("a"))
    url, accept = samples.path("a") + "/bulkdata/7FE00010", "multipart/related; type=*/*"

    answer = get(client, url, accept, Range="bytes=2-9")

    assert answer.status_code == 206
    ((headers, body),) = wire.parts(answer)
    assert body == samples.ramp(seed="a11").tobytes()[2:10]
    assert headers["Content-Range"] == "bytes 2-9/512"
    wire.assert_error(get(client, url, accept, Range="bytes=512-"), 416)


def test_small_values_and_unknown_paths_are_no_bulk_data(client):
    wire.must_store(client, samples.ct("a"))

    for path in ("00100010", "54000100/0/54001010", "7FE00008", "x", "7FE00010/0"):
        wire.assert_error(get(client, f"{samples.path('a')}/bulkdata/{path}"), 404)
