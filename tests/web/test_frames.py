"""Retrieve transaction (WADO-RS) of frames, PS3.18 10.4.1.1.6."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import ANY_FRAMES, NATIVE, bodies, frames_of, get


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


def test_frames_in_a_type_that_cannot_be_made_are_refused(client):
    wire.must_store(client, samples.jpeg("a"))

    for accept in ("image/jxl", 'multipart/related; type="video/mp4"', "image/png"):
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


@pytest.mark.parametrize("frames", [4, 8, 9])
def test_frames_of_single_bits_with_padding_between_them_are_read_by_the_length(client, frames):
    bits = (samples.ramp(13, 12, frames) // 3 % 2).astype(np.uint8)
    expected = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in bits]
    image = pydicom.dcmread(io.BytesIO(samples.bilevel("padded", frames)))
    image.Rows, image.Columns = 13, 12
    image.PixelData = b"".join(expected)
    stored = wire.store(client, samples.encode(image))
    assert stored.status_code == 202
    assert "padded to bytes" in stored.text
    url = samples.path("padded")

    numbers = ",".join(map(str, range(1, frames + 1)))
    assert bodies(client, f"{url}/frames/{numbers}") == expected
    window = "window=-1023.5,1,linear-exact&accept=image/png"
    shown = get(client, f"{url}/frames/{frames}/rendered?{window}")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(shown.content))), bits[-1] * 255)


def test_a_frame_beyond_the_last_answers_404_and_a_malformed_list_400(client):
    wire.must_store(client, samples.multi_frame("a", 3))

    for frames in ("4", "1,4", "999999999"):
        wire.assert_error(get(client, f"{samples.path('a')}/frames/{frames}"), 404)
    for frames in ("0", "abc", "1,,2", "1,", "1-2", "-1", "+1", "1.0", "%20", "²"):
        wire.assert_error(get(client, f"{samples.path('a')}/frames/{frames}"), 400)


@pytest.mark.not_on_stack(wire.LONGEST_LINE)
def test_a_very_long_frame_list_answers_413(client):
    wire.must_store(client, samples.multi_frame("a", 3))

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
    assert "Accept" in answer.headers["vary"].split(", ")
    known = {"If-None-Match": answer.headers["etag"]}
    assert get(client, url, ANY_FRAMES, **known).status_code == 304
    assert get(client, url, "multipart/related; type=application/octet-stream", **known).is_success
    head = client.head(wire.DICOMWEB + url, headers={"Accept": ANY_FRAMES})
    assert (head.status_code, head.content) == (200, b"")
    wire.assert_length(head, len(answer.content))
