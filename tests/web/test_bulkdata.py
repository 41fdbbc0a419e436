"""Retrieve transaction (WADO-RS) of bulk data, PS3.18 10.4.1.1.5."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from tests import samples, wire
from tests.web.retrieving import ANY_FRAMES, NATIVE, get


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
