"""Pictures as files, and fitted into a viewport."""

import io

import numpy as np
import pytest
from PIL import Image

from lenticular.errors import InvalidRequest, NotRenderable
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.picture_formats import JPEG, PAM, PNG, encode, to_gif, to_jpeg
from lenticular.pixels.presentation.orthanc_views import clamp, stretch
from lenticular.pixels.render_options import THUMBNAIL, Viewport
from lenticular.pixels.viewport import fit

GREY = np.add.outer(np.arange(60), np.arange(100)).astype(np.uint8)
COLOURS = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)
DEEP = GREY.astype(np.uint16) * 300


@pytest.mark.parametrize("picture", [GREY, COLOURS, DEEP], ids=["grey", "colours", "16 bits"])
def test_a_png_holds_the_picture_exactly(picture):
    opened = Image.open(io.BytesIO(encode(picture, PNG, 90)))

    assert opened.format == "PNG"
    assert np.array_equal(np.asarray(opened), picture)


@pytest.mark.parametrize("picture", [GREY, COLOURS], ids=["grey", "colours"])
def test_a_jpeg_grows_with_its_quality_and_comes_near(picture):
    poor, good = (encode(picture, JPEG, quality) for quality in (10, 95))

    opened = Image.open(io.BytesIO(good))
    assert opened.format == "JPEG"
    assert np.abs(np.asarray(opened).astype(int) - picture).mean() < 3
    assert len(poor) < len(good)


def test_a_jpeg_of_sixteen_bits_or_endless_length_is_refused():
    with pytest.raises(NotRenderable):
        to_jpeg(DEEP, 90)
    with pytest.raises(NotRenderable):
        to_jpeg(np.zeros((65501, 1), np.uint8), 90)


def test_a_portable_map_has_a_head_in_text_and_the_upper_byte_first():
    assert encode(DEEP[:1, 1:3], PAM, 90) == (
        b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 65535\nTUPLTYPE GRAYSCALE\nENDHDR\n"
        b"\x01\x2c\x02\x58"
    )


@pytest.mark.parametrize(
    ("viewport", "shape"),
    [
        (Viewport(50, 50), (30, 50)),
        (Viewport(1000, 90), (90, 150)),
        (Viewport(1, 1), (1, 1)),
        (Viewport(100, 60), (60, 100)),
        (Viewport(20, 20, 10, 10, 30, 30), (20, 20)),
        (Viewport(50, 50, 90, 0, 500, 500), (50, 8)),
        (THUMBNAIL, (60, 100)),
    ],
)
@pytest.mark.parametrize("picture", [GREY, COLOURS], ids=["grey", "colours"])
def test_proportions_are_kept_within_the_viewport(picture, viewport, shape):
    assert fit(picture, viewport).shape[:2] == shape


def test_thumbnails_of_large_pictures_are_small():
    assert fit(np.zeros((3000, 1500), np.uint8), THUMBNAIL).shape == (200, 100)


def test_a_region_is_shown_and_mirrored():
    region = Viewport(10, 10, 20, 30, 10, 10)
    mirrored = Viewport(
        10, 10, 20, 30, 10, 10, flip_horizontally=True, flip_vertically=True
    )  # fmt: skip

    assert np.array_equal(fit(GREY, region), GREY[30:40, 20:30])
    assert np.array_equal(fit(GREY, mirrored), GREY[30:40, 20:30][::-1, ::-1])


@pytest.mark.parametrize("place", [(100, 0), (0, 60), (1e9, 1e9), (99.999, 0)])
def test_a_region_outside_of_the_image_is_refused(place):
    with pytest.raises(InvalidRequest):
        fit(GREY, Viewport(10, 10, *place))


def test_orthancs_preview_stretches_and_its_images_clamp():
    samples = np.array([[-40_000, -1, 0, 300, 70_000]], np.int32)

    assert stretch(DecodedFrame(samples, "MONOCHROME2", 32)).tolist() == [[0, 93, 93, 93, 255]]
    assert stretch(DecodedFrame(samples, "MONOCHROME1", 32))[0, 0] == 255
    assert clamp(DecodedFrame(samples, "MONOCHROME2", 32), "uint8").tolist() == [
        [0, 0, 0, 255, 255]
    ]
    assert clamp(DecodedFrame(samples, "MONOCHROME2", 32), "uint16").tolist() == [
        [0, 0, 0, 300, 65535]
    ]
    signed = clamp(DecodedFrame(samples, "MONOCHROME2", 32), "int16")
    assert signed.view(np.int16).tolist() == [[-32768, -1, 0, 300, 32767]]


def test_orthancs_plain_numbers_of_one_bit_are_black_and_white():
    frame = DecodedFrame(np.array([[0, 1]], np.uint8), "MONOCHROME2", 1)

    for kind in ("uint8", "uint16", "int16"):
        assert clamp(frame, kind).tolist() == [[0, 255]]


def durations(file: bytes) -> list[int]:
    """How many milliseconds each image of a GIF is shown."""
    opened = Image.open(io.BytesIO(file))
    times = []
    for index in range(opened.n_frames):
        opened.seek(index)
        times.append(opened.info["duration"])
    return times


@pytest.mark.parametrize("picture", [GREY, COLOURS], ids=["grey", "colours"])
def test_an_image_of_a_gif_is_shown_as_long_as_a_gif_can_say(picture):
    other = 255 - picture

    assert durations(to_gif([picture, other], 900_000)) == [655_350, 655_350]
    still = [picture] * 100 + [other] * 2 + [picture]
    assert durations(to_gif(still, 10_000)) == [655_350, 20_000, 10_000]
    assert Image.open(io.BytesIO(to_gif([picture] * 1000, 10_000))).size == (100, 60)
