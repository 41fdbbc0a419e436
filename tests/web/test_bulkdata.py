"""Retrieve transaction (WADO-RS) of bulk data, PS3.18 10.4.1.1.5."""

import io

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import ANY_FRAMES, NATIVE, get


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


def by_place(client, path: str, accept: str) -> dict[str, tuple[str, bytes]]:
    """Type and body of each part by its Content-Location below the DICOMweb root."""
    answer = get(client, path, accept)
    assert answer.status_code == 200, answer.text
    found = {}
    for headers, body in wire.parts(answer):
        location = headers["Content-Location"].partition(wire.DICOMWEB)[2]
        assert client.get(headers["Content-Location"], headers={"Accept": "*/*"}).is_success
        found[location] = (headers["Content-Type"], body)
    return found


def mixed_study(client) -> str:
    """A study of a plain image, a compressed one, a document and an instance without bulk data."""
    for series, content in enumerate(
        (samples.ct("a"), samples.jpeg("a", frames=2), samples.pdf("a", b"%PDF-1.4 " * 500)), 1
    ):
        dataset = pydicom.dcmread(io.BytesIO(content))
        dataset.SeriesInstanceUID = samples.series_uid("a", series)
        dataset.SOPInstanceUID = samples.sop_uid("a", series)
        wire.must_store(client, encoded(dataset))
    wire.must_store(client, samples.encode(samples.dataset("a", series=4, Modality="SR")))
    return f"/studies/{samples.study_uid('a')}"


def encoded(dataset: pydicom.Dataset) -> bytes:
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_all_bulk_data_of_a_study_come_with_the_places_where_they_are_alone(client):
    study = mixed_study(client)
    any_bytes = "multipart/related; type=application/octet-stream; transfer-syntax=*, " + "*/*;q=.1"

    found = by_place(client, study + "/bulkdata", any_bytes)

    image, picture, pdf = (samples.path("a", series) for series in (1, 2, 3))
    assert set(found) == {
        image + "/bulkdata/7FE00010",
        picture + "/frames/1",
        picture + "/frames/2",
        pdf + "/bulkdata/00420011",
    }
    assert found[image + "/bulkdata/7FE00010"] == (NATIVE, samples.ramp(seed="a11").tobytes())
    assert found[picture + "/frames/2"][1][:3] == b"\xff\xd8\xff"
    assert found[pdf + "/bulkdata/00420011"][1].startswith(b"%PDF")
    pixels = by_place(client, study + "/pixeldata", any_bytes)
    assert pixels == {place: found[place] for place in found if "00420011" not in place}
    of_series = by_place(client, f"{picture.rpartition('/instances')[0]}/pixeldata", any_bytes)
    assert set(of_series) == {picture + "/frames/1", picture + "/frames/2"}


def test_all_pixels_of_a_study_come_in_the_type_that_is_wanted(client):
    study = mixed_study(client)

    plain = by_place(
        client, study + "/pixeldata", "multipart/related; type=application/octet-stream"
    )
    assert {kind for kind, _ in plain.values()} == {NATIVE}
    squeezed = by_place(client, study + "/pixeldata", "multipart/related; type=image/jls")
    assert {kind.split(";")[0] for kind, _ in squeezed.values()} == {"image/jls"}
    assert len(squeezed) == 3
    only_pixels = get(client, study + "/bulkdata", "multipart/related; type=image/jls")
    assert only_pixels.status_code == 206
    assert only_pixels.headers["warning"].startswith("299 ")
    wire.assert_error(get(client, study + "/bulkdata", "multipart/related; type=image/x-none"), 406)
    wire.assert_error(get(client, study + "/bulkdata", "text/html"), 406)


def test_the_only_value_of_an_instance_comes_alone_to_who_wants_it_so(client):
    mixed_study(client)

    alone = get(client, samples.path("a") + "/pixeldata", "application/octet-stream")
    assert alone.content == samples.ramp(seed="a11").tobytes()
    document = get(client, samples.path("a", 3) + "/bulkdata", "application/pdf")
    assert document.content.startswith(b"%PDF")
    assert document.headers["x-content-type-options"] == "nosniff"
    parts = wire.parts(get(client, samples.path("a") + "/bulkdata", "multipart/related; type=*/*"))
    assert [body for _, body in parts] == [alone.content]


def test_without_bulk_data_there_is_nothing_at_its_place(client):
    mixed_study(client)

    for resource in ("bulkdata", "pixeldata"):
        wire.assert_error(get(client, f"{samples.path('a', 4)}/{resource}"), 404)
    wire.assert_error(get(client, samples.path("a", 3) + "/pixeldata"), 404)
    wire.assert_error(get(client, f"/studies/{samples.study_uid('none')}/bulkdata"), 404)


def test_all_bulk_data_are_not_sent_to_who_has_them(client):
    study = mixed_study(client)
    etag = get(client, study + "/bulkdata", "*/*").headers["etag"]

    again = {"If-None-Match": etag}
    assert get(client, study + "/bulkdata", "*/*", **again).status_code == 304
    wire.must_store(client, samples.ct("a", instance=2))
    assert get(client, study + "/bulkdata", "*/*", **again).status_code == 200


def test_the_pixels_of_an_icon_are_a_picture(client):
    dataset = pydicom.dcmread(io.BytesIO(samples.jpeg("a", frames=1)))
    icon = pydicom.Dataset()
    icon.Rows = icon.Columns = 64
    icon.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff" + bytes(3001)])
    icon["PixelData"].VR = "OB"
    icon["PixelData"].is_undefined_length = True
    dataset.IconImageSequence = [icon]
    wire.must_store(client, encoded(dataset))

    answer = get(client, samples.path("a") + "/bulkdata/00880200/0/7FE00010", "*/*")

    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == b"\xff\xd8\xff" + bytes(3001)


@pytest.mark.parametrize(
    ("kind", "sop_class"),
    [
        ("text/xml", "1.2.840.10008.5.1.4.1.1.104.2"),
        ("model/stl", "1.2.840.10008.5.1.4.1.1.104.3"),
        ("model/obj", "1.2.840.10008.5.1.4.1.1.104.4"),
    ],
)
def test_a_document_of_another_kind_has_its_own_type(client, kind, sop_class):
    base = samples.dataset("a", SOPClassUID=sop_class, Modality="DOC")
    base.MIMETypeOfEncapsulatedDocument = kind
    base.EncapsulatedDocument = b"solid x " * 200
    wire.must_store(client, samples.encode(base))
    url = samples.path("a") + "/bulkdata/00420011"

    answer = get(client, url, "*/*")
    assert (answer.headers["content-type"], answer.content) == (kind, b"solid x " * 200)
    head = client.head(wire.DICOMWEB + url, headers={"Accept": kind})
    assert (head.status_code, head.headers["content-type"]) == (200, kind)
    wire.assert_length(head, len(answer.content))
    again = get(client, url, "*/*", **{"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_video_is_one_value_of_its_own_type(client):
    stream = bytes(range(256)) * 40
    base = samples.dataset("a", Modality="ES", NumberOfFrames=25)
    base.Rows = base.Columns = 16
    base.BitsAllocated, base.SamplesPerPixel = 8, 3
    base.PixelData = pydicom.encaps.encapsulate([stream])
    base["PixelData"].VR = "OB"
    wire.must_store(client, samples.encode(base, "1.2.840.10008.1.2.4.102"))

    for path in ("/bulkdata/7FE00010", "/pixeldata", "/bulkdata"):
        answer = get(client, samples.path("a") + path, "video/mp4")
        assert answer.headers["content-type"].startswith("video/mp4; transfer-syntax=")
        assert answer.content == stream
        piece = get(client, samples.path("a") + path, "video/*", Range="bytes=256-511")
        assert (piece.status_code, piece.content) == (206, bytes(range(256)))
        ((headers, body),) = wire.parts(get(client, samples.path("a") + path, ANY_FRAMES))
        assert body == stream
        assert headers["Content-Location"].endswith("/bulkdata/7FE00010")


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_octets_of_a_study_a_series_or_an_instance_are_its_bulk_data(client, level):
    """PS3.18 Table 10.4.4-1 requires `multipart/related; type="application/octet-stream"`."""
    wire.must_store(client, *samples.ct_series("octets", 2, size=64), samples.pdf("octets 2"))
    path = samples.path("octets").split("/")
    resource = "/".join(path[: {"study": 3, "series": 5, "instance": 7}[level]])
    for accept in ('multipart/related; type="application/octet-stream"', OCTETS_FIRST):
        answer = get(client, resource, accept)
        assert answer.status_code == 200, answer.text
        parts = wire.parts(answer)
        assert len(parts) == (1 if level == "instance" else 2)
        for headers, body in parts:
            assert headers["Content-Type"].startswith("application/octet-stream")
            assert headers["Content-Location"].endswith("/bulkdata/7FE00010")
            assert len(body) == 64 * 64 * 2
    assert b"DICM" in get(client, resource, "*/*").content


OCTETS_FIRST = (
    'multipart/related; type="application/dicom";q=0.5,'
    'multipart/related; type="application/octet-stream"'
)
