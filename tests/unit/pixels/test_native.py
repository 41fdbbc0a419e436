"""Frames that are not compressed become the samples that were written."""

import zlib

import numpy as np
import pytest

from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import decode
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.presentation.colour import to_rgb
from tests.helpers.files.pixel_cases import EXPLICIT, decoded, image, like, us

GREY = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1300
COLOURS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


@pytest.mark.parametrize("kind", ["u1", "<u2", "<u4", "<u8", "<i2", "<i4", "i1"])
def test_whole_words_are_read_as_they_are(kind):
    samples = np.arange(48).reshape(6, 8).astype(kind) - np.array(20).astype(kind)

    frame = decoded(samples.tobytes(), like(samples))

    assert np.array_equal(frame.samples, samples)
    assert frame.samples.dtype.kind == samples.dtype.kind


def test_bits_above_those_stored_are_left_out_for_they_may_hold_overlays():
    stored = GREY & 0x0FFF

    frame = decoded((stored | 0xA000).tobytes(), like(GREY, BitsStored=12))

    assert np.array_equal(frame.samples, stored)
    assert frame.bits == 12


def test_bits_below_the_lowest_stored_are_left_out():
    frame = decoded((GREY | 0xF).tobytes(), like(GREY, BitsStored=12, HighBit=15))

    assert np.array_equal(frame.samples, GREY >> 4)


def test_the_sign_is_the_highest_bit_stored():
    samples = np.array([[-2048, -1, 0, 2047]], np.int16)

    frame = decoded((samples & 0x0FFF).tobytes(), like(samples, BitsStored=12))

    assert np.array_equal(frame.samples, samples)


def test_planes_of_colours_are_brought_together():
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1))

    frame = decoded(planes.tobytes(), like(COLOURS, PlanarConfiguration=1))

    assert np.array_equal(frame.samples, COLOURS)


def test_single_bits_come_lowest_first():
    bits = np.arange(7 * 9).reshape(7, 9) % 3 == 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()

    frame = decoded(packed, image(7, 9, BitsAllocated=1))

    assert np.array_equal(frame.samples, bits)
    assert frame.bits == 1


def test_words_of_twelve_bits_lie_without_gaps():
    values = np.array([0x123, 0xABC, 0xFFF, 0x000])
    packed = sum(int(value) << (12 * place) for place, value in enumerate(values))

    frame = decoded(packed.to_bytes(6, "little"), image(2, 2, BitsAllocated=12))

    assert np.array_equal(frame.samples.ravel(), values)


def test_too_many_words_of_twelve_bits_are_refused_before_they_take_memory():
    side = 4097

    with pytest.raises(NotRenderable, match="12 bits"):
        decoded(bytes(side * side * 12 // 8 + 1), image(side, side, BitsAllocated=12))


def test_floating_point_pixels_stay_what_they_are():
    samples = np.array([[-1.5, 0.25], [np.nan, 1e9]], np.float32)
    dataset = image(2, 2, BitsAllocated=32)

    frame = decode(samples.tobytes(), EXPLICIT, describe(dataset, "7FE00008"))

    assert np.array_equal(frame.samples, samples, equal_nan=True)


def test_two_pixels_share_their_chrominance_in_ybr_full_422():
    frame = decoded(
        bytes([10, 20, 128, 128, 30, 40, 90, 200]),
        image(2, 2, SamplesPerPixel=3, BitsAllocated=8, PhotometricInterpretation="YBR_FULL_422"),
    )

    expected = [[[10, 128, 128], [20, 128, 128]], [[30, 90, 200], [40, 90, 200]]]
    assert frame.colour_space == "YBR_FULL"
    assert frame.samples.tolist() == expected


def test_a_full_frame_that_is_called_422_is_read_in_full():
    dataset = like(COLOURS, PhotometricInterpretation="YBR_FULL_422")

    assert np.array_equal(decoded(COLOURS.tobytes(), dataset).samples, COLOURS)


def test_narrow_ybr_reaches_from_black_to_white():
    partial = np.array([[[16, 128, 128], [235, 128, 128]]], np.uint8)

    frame = decoded(partial.tobytes(), like(partial, PhotometricInterpretation="YBR_PARTIAL_422"))

    assert to_rgb(frame).tolist() == [[[0, 0, 0], [255, 255, 255]]]


def test_deep_colours_keep_their_upper_eight_bits():
    deep = (COLOURS.astype(np.uint16) << 8) | 0x7F

    assert np.array_equal(to_rgb(decoded(deep.tobytes(), like(deep))), COLOURS)


def test_deflated_frames_are_inflated():
    packer = zlib.compressobj(wbits=-15)
    frame = packer.compress(GREY.tobytes()) + packer.flush()

    assert np.array_equal(decoded(frame, like(GREY), "1.2.840.10008.1.2.8.1").samples, GREY)


def test_a_deflated_frame_that_grows_beyond_its_size_is_not_inflated_further():
    packer = zlib.compressobj(wbits=-15)
    bomb = packer.compress(bytes(50_000_000)) + packer.flush()

    assert decoded(bomb, like(GREY), "1.2.840.10008.1.2.8.1").samples.shape == GREY.shape


def test_a_frame_that_is_too_short_is_refused():
    with pytest.raises(NotRenderable, match="95 bytes where its pixels need 96"):
        decoded(GREY.tobytes()[:-1], like(GREY))


@pytest.mark.parametrize(
    "changed",
    [
        {"00280010": us(0)},
        {"00280010": {"vr": "US"}},
        {"00280010": us(65535), "00280011": us(65535)},
        {"00280002": us(2)},
        {"00280100": us(200)},
    ],
)
def test_what_cannot_be_a_picture_is_refused_before_memory_is_taken(changed):
    with pytest.raises(NotRenderable):
        decoded(b"", like(GREY) | changed)


@pytest.mark.parametrize("fault", ["empty", "segments", "offsets", "short", "garbage"])
def test_a_damaged_rle_frame_is_refused(fault):
    literal = bytes([47]) + bytes(48)
    header = np.zeros(16, "<u4")
    header[:3] = (2, 64, 64 + len(literal))
    if fault == "segments":
        header[0] = 3
    elif fault == "offsets":
        header[2] = 1_000_000
    frame = header.tobytes() + literal + literal
    frame = {"empty": b"", "short": frame[:-20], "garbage": b"\xff" * 200}.get(fault, frame)

    with pytest.raises(NotRenderable):
        decoded(frame, like(GREY), "1.2.840.10008.1.2.5")


def test_rle_puts_the_most_significant_bytes_first():
    high, low = (GREY >> 8).astype(np.uint8), (GREY & 0xFF).astype(np.uint8)
    segments = [bytes([47]) + plane.tobytes() for plane in (high, low)]
    header = np.zeros(16, "<u4")
    header[:3] = (2, 64, 64 + len(segments[0]))

    frame = decoded(header.tobytes() + b"".join(segments), like(GREY), "1.2.840.10008.1.2.5")

    assert np.array_equal(frame.samples, GREY)
