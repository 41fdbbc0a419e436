"""Greys and colours as the standard shows them, compared with pydicom's own functions."""

import base64
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, apply_windowing

from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import DecodedFrame, decode
from lenticular.pixels.functional_groups import frame_attributes
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.presentation.grey import present
from lenticular.pixels.render_options import Window
from tests.helpers.files.pixel_cases import bulk_of, like, no_bulk, parsed, shown, us

UNSIGNED = np.arange(0, 4096, 3, dtype=np.uint16)[:1344].reshape(28, 48)
SIGNED = UNSIGNED.astype(np.int16) - 2000
DEEP = UNSIGNED.astype(np.uint32) * 70_000


def ds(**values) -> dict:
    """Numbers as DS, everything else as CS, in the DICOM JSON Model."""
    result = {}
    for keyword, value in values.items():
        tag = f"{pydicom.datadict.tag_for_keyword(keyword):08X}"
        listed = value if isinstance(value, list) else [value]
        result[tag] = {"vr": "CS" if isinstance(listed[0], str) else "DS", "Value": listed}
    return result


def items(tag: str, *content: dict) -> dict:
    """A sequence in the DICOM JSON Model."""
    return {tag: {"vr": "SQ", "Value": list(content)}}


def words(values) -> dict:
    """16-bit words in an element of the DICOM JSON Model."""
    return {"vr": "OW", "InlineBinary": base64.b64encode(np.asarray(values, "<u2")).decode()}


def by_pydicom(samples, function: str, **attributes) -> np.ndarray:
    """Modality and VOI by pydicom, on the scale from 0 to 255."""
    dataset = Dataset()
    values = {
        "PhotometricInterpretation": "MONOCHROME2", "BitsStored": 16, "PixelRepresentation": 0,
        "VOILUTFunction": function,
    }  # fmt: skip
    for keyword, value in (values | attributes).items():
        setattr(dataset, keyword, value)
    rescaled = apply_modality_lut(samples, dataset)
    # Its output has the range of its input: bring that to 0..1 by what it makes of the extremes.
    center, width = attributes["WindowCenter"], attributes["WindowWidth"]
    extremes = np.array([center - 50 * width, center + 50 * width], np.float64)
    low, high = apply_windowing(extremes, dataset)
    with np.errstate(over="ignore"):
        return (apply_windowing(rescaled, dataset) - low) / (high - low) * 255


@pytest.mark.parametrize("samples", [UNSIGNED, SIGNED, DEEP], ids=["unsigned", "signed", "32 bits"])
@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("window", [(40, 400), (0, 1.5), (-600.5, 1500), (5e7, 1e8)])
def test_windows_are_those_of_pydicom_within_one_grey(samples, function, window):
    values = {"RescaleSlope": 1.5, "RescaleIntercept": -1024}
    values |= {"WindowCenter": window[0], "WindowWidth": window[1]}

    picture = shown(samples, like(samples) | ds(**values, VOILUTFunction=function))

    expected = by_pydicom(samples, function, **values)
    assert np.abs(picture.astype(float) - expected).max() <= 1


def test_a_requested_window_comes_before_the_one_in_the_file():
    dataset = like(SIGNED) | ds(WindowCenter=40, WindowWidth=400)

    picture = shown(SIGNED, dataset, Window(-500, 100, "LINEAR"))

    expected = by_pydicom(SIGNED, "LINEAR", WindowCenter=-500, WindowWidth=100)
    assert np.abs(picture.astype(float) - expected).max() <= 1


def test_the_first_of_several_windows_is_used():
    dataset = like(SIGNED) | ds(WindowCenter=["40", "300"], WindowWidth=["400", "1500"])

    assert np.array_equal(shown(SIGNED, dataset), shown(SIGNED, like(SIGNED), Window(40, 400)))


@pytest.mark.parametrize("width", [0, -5, "", "wide"])
def test_a_window_that_makes_no_sense_is_passed_over(width):
    dataset = like(SIGNED) | {
        "00281050": {"vr": "DS", "Value": [40]},
        "00281051": {"vr": "DS", "Value": [width]},
    }

    picture = shown(SIGNED, dataset)

    assert (picture.min(), picture.max()) == (0, 255)


def test_a_linear_window_over_values_between_whole_numbers_is_exact():
    values = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)
    window = ds(WindowCenter=0.5, WindowWidth=1, VOILUTFunction="LINEAR")
    frame = DecodedFrame(values, "MONOCHROME2", 32)
    scaled = np.array([[0, 50, 100, 200]], np.uint8)
    rescale = ds(RescaleSlope="0.005", RescaleIntercept="0")

    assert present(frame, window, no_bulk).tolist() == [[0, 64, 128, 255]]
    assert shown(scaled, like(scaled) | window | rescale).tolist() == [[0, 64, 128, 255]]


def test_a_linear_window_of_width_one_is_a_step():
    picture = shown(UNSIGNED, like(UNSIGNED), Window(300, 1))

    assert np.array_equal(picture, np.where(UNSIGNED > 299.5, 255, 0))


@pytest.mark.parametrize("kind", ["photometric", "shape"])
def test_monochrome1_and_the_inverse_shape_turn_light_to_dark(kind):
    window = ds(WindowCenter=1500, WindowWidth=2500)
    changed = {
        "photometric": like(UNSIGNED, PhotometricInterpretation="MONOCHROME1"),
        "shape": like(UNSIGNED) | ds(PresentationLUTShape="INVERSE"),
    }[kind]

    straight = shown(UNSIGNED, like(UNSIGNED) | window).astype(int)

    assert np.abs(shown(UNSIGNED, changed | window) - (255 - straight)).max() <= 1


def test_a_modality_lut_comes_before_slope_and_intercept():
    table = np.linspace(0, 4000, 500).astype(int)
    lut = {"00283002": us(500, 100, 16), "00283006": words(table)}
    dataset = like(UNSIGNED) | ds(RescaleSlope=9, WindowCenter=2000, WindowWidth=4000)

    picture = shown(UNSIGNED, dataset | items("00283000", lut))

    looked_up = table[np.clip(UNSIGNED.astype(int) - 100, 0, 499)]
    expected = np.clip((looked_up - 1999.5) / 3999 + 0.5, 0, 1) * 255
    assert np.abs(picture - expected).max() <= 1


def test_the_modality_lut_of_angiography_is_not_for_display():
    lut = {"00283002": us(2, 0, 16), "00283006": words([0, 0])}
    dataset = like(UNSIGNED) | ds(WindowCenter=2000, WindowWidth=4000) | items("00283000", lut)
    angiography = {"00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.12.1"]}}

    assert shown(UNSIGNED, dataset).max() == 0
    assert shown(UNSIGNED, dataset | angiography).max() > 200


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_a_voi_lut_comes_before_the_window_of_the_file(bits):
    table = (np.linspace(0, 1, 1000) ** 2 * ((1 << bits) - 1)).astype(int)
    lut = {"00283002": us(1000, 500, bits), "00283006": words(table)}
    dataset = like(UNSIGNED) | ds(WindowCenter=40, WindowWidth=1) | items("00283010", lut)

    picture = shown(UNSIGNED, dataset)

    looked_up = table[np.clip(UNSIGNED.astype(int) - 500, 0, 999)]
    assert np.abs(picture - looked_up / ((1 << bits) - 1) * 255).max() <= 1


def test_a_lut_may_hold_entries_of_a_byte_start_below_zero_and_lie_outside_of_the_dataset():
    table = np.arange(200, dtype=np.uint8)
    lut = {
        "00283002": us(200, 65536 - 100, 8),
        "00283006": {"vr": "OW", "BulkDataURI": "@/studies/1/bulkdata/00283010/0/00283006"},
    }
    dataset = like(SIGNED) | items("00283010", lut)
    asked = []

    def bulk(path: str) -> bytes:
        asked.append(path)
        return table.tobytes()

    frame = decode(SIGNED.tobytes(), "1.2.840.10008.1.2.1", describe(dataset))
    picture = present(frame, dataset, bulk)

    assert asked == ["00283010/0/00283006"]
    assert np.array_equal(picture, np.clip(SIGNED.astype(int) + 100, 0, 199))


def test_without_a_window_sixteen_bits_are_stretched_and_padding_is_left_out():
    samples = UNSIGNED + 100
    samples[0, :10] = 40_000
    samples[1, :10] = 50_000
    padding = {"00280120": us(40_000), "00280121": us(50_000)}

    picture = shown(samples, like(samples) | padding)

    inner = samples[2:].astype(float)
    low, high = samples[samples < 40_000].min(), samples[samples < 40_000].max()
    assert np.abs(picture[2:] - (inner - low) / (high - low) * 255).max() <= 1


def test_without_a_window_eight_bits_are_shown_as_they_are():
    samples = (UNSIGNED // 40).astype(np.uint8) + 30

    assert np.array_equal(shown(samples, like(samples)), samples)


def test_the_labels_of_a_segmentation_are_stretched():
    labels = (UNSIGNED % 4).astype(np.uint8)

    picture = shown(labels, like(labels) | ds(Modality="SEG"))

    assert np.array_equal(picture, labels * 85)


@pytest.mark.parametrize(("kind", "grey"), [("u1", 24), ("<u2", 0), ("<i4", 128)])
def test_a_frame_of_one_value_has_its_grey_in_the_possible_range(kind, grey):
    samples = np.full((4, 5), 24, kind)

    assert set(shown(samples, like(samples)).ravel()) == {grey}


def test_a_parametric_map_of_one_value_is_grey():
    samples = np.full((4, 5), 24.5, np.float32)

    picture = present(DecodedFrame(samples, "MONOCHROME2", 32), {}, no_bulk)

    assert set(picture.ravel()) == {128}


def test_pixels_that_are_no_numbers_are_dark():
    samples = np.array([[0.0, 0.5, 1.0, np.nan, np.inf, -np.inf]], np.float32)

    picture = present(DecodedFrame(samples, "MONOCHROME2", 32), {}, no_bulk)

    assert picture.tolist() == [[0, 128, 255, 0, 255, 0]]


def test_groups_of_the_frame_come_before_shared_ones_and_those_before_the_dataset():
    dataset = like(UNSIGNED) | ds(RescaleSlope=5, WindowCenter=1, WindowWidth=1)
    shared = items("00289145", ds(RescaleSlope=2)) | items("00289132", ds(WindowCenter=7))
    frames = [items("00289132", ds(WindowCenter=center)) for center in (8, 9)]
    dataset |= items("52009229", shared) | items("52009230", *frames)

    second, third = frame_attributes(dataset, 1), frame_attributes(dataset, 2)

    assert (second["00281053"]["Value"], second["00281050"]["Value"]) == ([2], [9])
    assert (third["00281050"]["Value"], third["00281051"]["Value"]) == ([7], [1])


def palette(entries, bits: int, first: int = 0) -> dict:
    descriptor = us(len(entries), first & 0xFFFF, bits)
    return {
        **dict.fromkeys(("00281101", "00281102", "00281103"), descriptor),
        **dict.fromkeys(("00281201", "00281202"), words(entries)),
        "00281203": words(entries[::-1]),
    }


@pytest.mark.parametrize(("scale", "bits"), [(257, 16), (257, 8), (1, 16), (1, 8), (16, 12)])
def test_palettes_have_the_bits_of_their_entries_whatever_they_say(scale, bits):
    entries = np.arange(200) * scale
    indices = (UNSIGNED % 256).astype(np.uint8)
    dataset = like(indices, PhotometricInterpretation="PALETTE COLOR")

    picture = shown(indices, dataset | palette(entries, bits))

    expected = np.clip(indices, 0, 199)
    assert np.array_equal(picture[:, :, 0], expected)
    assert np.array_equal(picture[:, :, 2], 199 - expected)


def test_signed_indices_may_begin_below_zero():
    dataset = like(SIGNED, PhotometricInterpretation="PALETTE COLOR")

    picture = shown(SIGNED, dataset | palette(np.arange(256), 8, first=-1000))

    assert np.array_equal(picture[:, :, 1], np.clip(SIGNED.astype(int) + 1000, 0, 255))


def test_segments_of_a_palette_are_written_out():
    # Two entries, a line of four up to 100, and both once more.
    segments = [0, 2, 10, 20, 1, 4, 100, 2, 2, 0, 0]
    dataset = like(np.zeros((1, 1), np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for tag in ("1101", "1102", "1103"):
        dataset["0028" + tag] = us(12, 0, 16)
    for tag in ("1221", "1222", "1223"):
        dataset["0028" + tag] = words(segments)
    indices = np.arange(12, dtype=np.uint8).reshape(1, 12)

    picture = shown(
        indices, {**dataset, **like(indices, PhotometricInterpretation="PALETTE COLOR")}
    )

    assert picture[0, :, 0].tolist() == [10, 20, 40, 60, 80, 100, 10, 20, 40, 60, 80, 100]


def test_a_palette_that_is_missing_is_named():
    indices = np.zeros((2, 2), np.uint8)

    with pytest.raises(NotRenderable, match="palette"):
        shown(indices, like(indices, PhotometricInterpretation="PALETTE COLOR"))


FILES = [
    "CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm",
    "mlut_18.dcm", "vlut_04.dcm", "rtdose_1frame.dcm", "693_J2KI.dcm",
    "examples_palette.dcm", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm",
]  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_shown_as_pydicom_shows_it(name):
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("not in this distribution of pydicom")
    check_as_pydicom(path)


def check_as_pydicom(path) -> None:
    """Compare the picture of the first frame with pydicom's, within one grey."""
    dataset, syntax, stored = parsed(Path(path))
    frame = decode(stored, syntax, describe(dataset))
    picture = present(frame, dataset, bulk_of(Path(path))).astype(float)
    file = pydicom.dcmread(path)
    if frame.colour_space == "PALETTE COLOR":
        colours = apply_color_lut(frame.samples, file)
        expected = colours >> 8 if colours.max() > 255 else colours
    elif "VOILUTSequence" in file:
        greatest = (1 << file.VOILUTSequence[0].LUTDescriptor[2]) - 1
        rescaled = apply_modality_lut(frame.samples, file).astype(int)
        expected = apply_voi_lut(rescaled, file) / greatest * 255
    elif "WindowWidth" in file:
        center, width = file.WindowCenter, file.WindowWidth
        rescaled = apply_modality_lut(frame.samples, file)
        expected = np.clip((rescaled - (center - 0.5)) / (width - 1) + 0.5, 0, 1) * 255
    else:
        rescaled = apply_modality_lut(frame.samples, file).astype(float)
        expected = (rescaled - rescaled.min()) / np.ptp(rescaled) * 255
    assert np.abs(picture - expected).max() <= 1
