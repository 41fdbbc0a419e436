"""Compressed frames: every codec, and codestreams that say other things than their files."""

import io
import random
import time
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import decode
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.presentation.colour import to_rgb
from tests.helpers.files.pixel_cases import decoded, like, parsed, us

JPEG = "1.2.840.10008.1.2.4."
BASELINE = JPEG + "50"

rows, columns = np.mgrid[0:40, 0:56]
SMOOTH = (1000 + 30 * rows + 7 * columns).astype(np.uint16)  # 12 bits
EIGHT = (SMOOTH >> 4).astype(np.uint8)
SIGNED = SMOOTH.astype(np.int16) - 2500
COLOURS = np.stack([EIGHT, 255 - EIGHT, EIGHT // 2], axis=-1)


def lossless(samples, **options):
    return imagecodecs.jpeg8_encode(samples, lossless=True, predictor=1, **options)


LOSSLESS = {
    "jpeg lossless 16": (JPEG + "70", lossless(SMOOTH), SMOOTH),
    "jpeg lossless 12": (JPEG + "57", lossless(SMOOTH, bitspersample=12), SMOOTH),
    "jpeg lossless 8": (JPEG + "70", lossless(EIGHT), EIGHT),
    "jpeg-ls": (JPEG + "80", imagecodecs.jpegls_encode(SMOOTH), SMOOTH),
    "jpeg-ls colours": (JPEG + "80", imagecodecs.jpegls_encode(COLOURS), COLOURS),
    "jpeg 2000": (JPEG + "90", imagecodecs.jpeg2k_encode(SMOOTH, reversible=True), SMOOTH),
    "jpeg 2000 file": (
        JPEG + "91",
        imagecodecs.jpeg2k_encode(SMOOTH, reversible=True, codecformat="jp2"),
        SMOOTH,
    ),
    "jpeg 2000 signed": (JPEG + "90", imagecodecs.jpeg2k_encode(SIGNED, reversible=True), SIGNED),
    "jpeg 2000 colours": (
        JPEG + "92",
        imagecodecs.jpeg2k_encode(COLOURS, reversible=True),
        COLOURS,
    ),
    "htj2k": (JPEG + "201", imagecodecs.htj2k_encode(SMOOTH, reversible=True), SMOOTH),
    "htj2k signed": (JPEG + "202", imagecodecs.htj2k_encode(SIGNED, reversible=True), SIGNED),
    "htj2k colours": (
        JPEG + "203",
        imagecodecs.htj2k_encode(COLOURS, reversible=True, rgb=True),
        COLOURS,
    ),
    "jpeg xl": (JPEG + "110", imagecodecs.jpegxl_encode(SMOOTH, lossless=True), SMOOTH),
    "jpeg xl in boxes": (
        JPEG + "112",
        imagecodecs.jpegxl_encode(COLOURS, lossless=True, usecontainer=True),
        COLOURS,
    ),
}  # fmt: skip

LOSSY = {
    "baseline": (BASELINE, imagecodecs.jpeg8_encode(EIGHT, 95), EIGHT),
    "extended 12 bits": (
        JPEG + "51",
        imagecodecs.jpeg8_encode(SMOOTH, 95, bitspersample=12),
        SMOOTH,
    ),
    "jpeg-ls near": (JPEG + "81", imagecodecs.jpegls_encode(SMOOTH, 2), SMOOTH),
    "jpeg 2000": (JPEG + "91", imagecodecs.jpeg2k_encode(EIGHT, 45), EIGHT),
    "htj2k": (JPEG + "203", imagecodecs.htj2k_encode(EIGHT, 0.001, reversible=False), EIGHT),
    "jpeg xl": (JPEG + "112", imagecodecs.jpegxl_encode(EIGHT, 95), EIGHT),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_frames_come_back_exactly(name):
    syntax, frame, samples = LOSSLESS[name]

    result = decoded(bytes(frame), like(samples), syntax)

    assert np.array_equal(result.samples, samples)
    assert result.colour_space == ("RGB" if samples.ndim == 3 else "MONOCHROME2")


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_frames_come_back_nearly(name):
    syntax, frame, samples = LOSSY[name]

    result = decoded(bytes(frame), like(samples), syntax).samples

    assert result.shape == samples.shape
    tolerance = 24 if samples is SMOOTH else 10
    assert np.abs(result.astype(int) - samples).max() <= tolerance


@pytest.mark.parametrize("name", ["jpeg lossless 16", "jpeg-ls", "jpeg xl"])
def test_signed_samples_travel_as_unsigned_where_the_codec_knows_no_sign(name):
    syntax, _, _ = LOSSLESS[name]
    encode = {"jpeg lossless 16": lossless, "jpeg-ls": imagecodecs.jpegls_encode}.get(
        name, lambda samples: imagecodecs.jpegxl_encode(samples, lossless=True)
    )
    carried = SIGNED.view(np.uint16) & 0x0FFF if name == "jpeg-ls" else SIGNED.view(np.uint16)
    stored = 12 if name == "jpeg-ls" else 16

    result = decoded(encode(carried), like(SIGNED, BitsStored=stored), syntax)

    assert np.array_equal(result.samples, SIGNED)


def test_signed_samples_of_a_codestream_stay_signed_in_a_file_that_calls_them_unsigned():
    frame = bytes(LOSSLESS["jpeg 2000 signed"][1])

    result = decoded(frame, like(SIGNED, PixelRepresentation=0), JPEG + "90")

    assert np.array_equal(result.samples, SIGNED)


def test_bits_stored_that_is_too_small_does_not_cut_values_off():
    frame = bytes(LOSSLESS["jpeg-ls"][1])

    result = decoded(frame, like(SMOOTH, BitsStored=8), JPEG + "80")

    assert np.array_equal(result.samples, SMOOTH)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422"])
def test_a_jpeg_that_says_how_its_colours_are_coded_is_believed(photometric):
    ycbcr = imagecodecs.jpeg8_encode(COLOURS, 98, subsampling="444")  # a JFIF marker
    rgb = imagecodecs.jpeg8_encode(COLOURS, 98, colorspace="RGB", outcolorspace="RGB")  # Adobe's

    for frame in (ycbcr, rgb):
        dataset = like(COLOURS, PhotometricInterpretation=photometric)
        shown = to_rgb(decoded(bytes(frame), dataset, BASELINE))
        assert np.abs(shown.astype(int) - COLOURS).max() <= 8


def without_jfif(frame: bytes) -> bytes:
    assert frame[2:4] == b"\xff\xe0"
    return frame[:2] + frame[4 + int.from_bytes(frame[4:6]) :]


def test_a_jpeg_without_any_sign_is_coded_as_the_file_says():
    encoded = without_jfif(bytes(imagecodecs.jpeg8_encode(COLOURS, 98, subsampling="444")))

    as_ybr = decoded(encoded, like(COLOURS, PhotometricInterpretation="YBR_FULL"), BASELINE)
    as_rgb = decoded(encoded, like(COLOURS, PhotometricInterpretation="RGB"), BASELINE)

    assert np.abs(as_ybr.samples.astype(int) - COLOURS).max() <= 8
    assert np.abs(as_rgb.samples.astype(int) - COLOURS).max() > 50


def test_a_jpeg_with_less_chrominance_than_luminance_is_never_rgb():
    encoded = without_jfif(bytes(imagecodecs.jpeg8_encode(COLOURS, 98, subsampling="420")))

    result = decoded(encoded, like(COLOURS, PhotometricInterpretation="RGB"), BASELINE)

    assert np.abs(result.samples.astype(int) - COLOURS).mean() < 4


def test_the_frame_decides_not_the_transfer_syntax():
    syntax, frame, samples = LOSSLESS["jpeg-ls"]

    assert np.array_equal(decoded(bytes(frame), like(samples), BASELINE).samples, samples)
    assert np.array_equal(decoded(samples.tobytes(), like(samples), syntax).samples, samples)


def test_sides_of_a_codestream_that_are_not_as_declared_are_taken_from_the_codestream():
    dataset = like(EIGHT) | {"00280010": us(56), "00280011": us(40)}

    assert decoded(bytes(LOSSY["baseline"][1]), dataset, BASELINE).samples.shape == EIGHT.shape


def claims(frame: bytes, codec: str) -> bytes:
    """The frame with a head that claims 60,000 rows and columns."""
    if codec == "jpeg 2000":
        side = (60_000).to_bytes(4)
        return frame[:8] + side + side + frame[16:24] + side + side + frame[32:]
    start = next(
        place
        for place in range(len(frame))
        if frame[place] == 0xFF and frame[place + 1] in (0xC0, 0xC3, 0xF7)
    )
    side = (60_000).to_bytes(2)
    return frame[: start + 5] + side + side + frame[start + 9 :]


@pytest.mark.parametrize("codec", ["jpeg lossless 8", "jpeg-ls", "jpeg 2000"])
def test_a_codestream_that_claims_to_be_enormous_is_refused_at_once(codec):
    syntax, frame, samples = LOSSLESS[codec]
    started = time.perf_counter()

    with pytest.raises(NotRenderable):
        decoded(claims(bytes(frame), codec), like(samples), syntax)

    assert time.perf_counter() - started < 0.5


def test_a_jpeg_of_very_many_scans_is_refused_at_once():
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(buffer, "JPEG", progressive=True)
    frame = buffer.getvalue()
    bomb = frame[:-2] + frame[frame.rfind(b"\xff\xc4") : -2] * 5000
    started = time.perf_counter()

    with pytest.raises(NotRenderable):
        decoded(bomb, like(np.zeros((2000, 2000), np.uint8)), BASELINE)

    assert time.perf_counter() - started < 0.5


def test_a_truncated_jpeg_ls_frame_is_refused_at_once():
    frame = bytes.fromhex(
        "ffd8fff7000b08002d000a01011100ffda000801010002000057fdff7f00000071ff7fe0"
    )
    started = time.perf_counter()

    with pytest.raises(NotRenderable):
        decoded(frame, like(np.zeros((45, 10), np.uint8)), JPEG + "81")

    assert time.perf_counter() - started < 0.5


def test_videos_are_refused_by_name():
    with pytest.raises(NotRenderable, match="MPEG-4"):
        decoded(bytes(1000), like(EIGHT), JPEG + "102")


@pytest.mark.parametrize("syntax", [BASELINE, JPEG + "80", JPEG + "90", JPEG + "110", "1.2.3.4"])
@pytest.mark.parametrize("frame", [b"", b"\xff", b"\xff\xd8\xff", b"\xff\xd8" * 50, bytes(40)])
def test_junk_is_refused_under_every_transfer_syntax(syntax, frame):
    with pytest.raises(NotRenderable):
        decoded(frame, like(SMOOTH), syntax)


def hostile(frame: bytes, seed: int) -> bytes:
    """The frame with a few bytes changed, most of them in its head; or cut off."""
    chance = random.Random(seed)
    data = bytearray(frame)
    for _ in range(chance.randint(1, 6)):
        reach = chance.choice([80, 300, len(data)])
        data[chance.randrange(min(reach, len(data)))] = chance.choice([0, 255, 127, seed % 256])
    return bytes(data[: chance.randint(4, len(data))] if chance.random() < 0.2 else data)


@pytest.mark.parametrize("name", [*LOSSLESS, *(f"lossy {name}" for name in LOSSY)])
def test_damaged_frames_are_decoded_or_refused_and_nothing_else(name):
    syntax, frame, samples = LOSSLESS[name] if name in LOSSLESS else LOSSY[name[6:]]
    count = 0
    for seed in range(60):
        try:
            result = decoded(hostile(bytes(frame), seed), like(samples), syntax)
        except NotRenderable:
            continue
        count += 1
        assert result.samples.ndim in (2, 3)
    # Some damage is none that a codec can see, and some no codec can get over.
    assert 0 < count < 60


COMPRESSED = [
    "MR_small_RLE.dcm", "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_32bit.dcm", "rtdose_rle_1frame.dcm",
    "JPEG2000.dcm", "MR_small_jp2klossless.dcm", "J2K_pixelrep_mismatch.dcm", "693_J2KI.dcm",
    "SC_rgb_gdcm_KY.dcm", "examples_jpeg2k.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_dcmtk_+eb+cy+n1.dcm", "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "SC_rgb_jpeg_dcmtk.dcm", "SC_jpeg_no_color_transform.dcm", "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", COMPRESSED)
def test_a_frame_is_decoded_as_pydicom_decodes_it(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("not in this distribution of pydicom")
    dataset, syntax, frame = parsed(Path(path))
    result = decode(frame, syntax, describe(dataset))
    try:
        expected = pydicom.pixels.pixel_array(path, index=0)
    except (RuntimeError, NotImplementedError) as error:
        pytest.skip(f"pydicom has no decoder here: {error}")

    assert np.array_equal(result.samples, expected)
