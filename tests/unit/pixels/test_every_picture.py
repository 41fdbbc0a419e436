"""Every file with pixels there is: decoded, shown and encoded, or refused with a sentence."""

import io

import numpy as np
import pydicom
import pytest
from PIL import Image

from lenticular.dicom.read.part10 import parse
from lenticular.errors import InvalidInstance, NotRenderable
from lenticular.pixels.codecs.decode import decode
from lenticular.pixels.functional_groups import frame_attributes
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.picture_formats import JPEG, PNG, encode
from lenticular.pixels.presentation.grey import present
from tests.helpers.files.pixel_cases import bulk_of, first_frame

# What no permissively licensed decoder decodes, and what is no picture at all.
CANNOT_BE_SHOWN = {
    "US_MPEG2_MPML.dcm", "US_MPEG4_AVC_HP41.dcm", "US_HEVC_MP51.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
}  # fmt: skip


def test_this_file_is_shown(any_file):
    try:
        head = parse(any_file.read_bytes())
    except InvalidInstance:
        pytest.skip("cannot be stored")
    pixels = head.layout.pixels
    if pixels is None or pixels.tag != "7FE00010" or "00280010" not in head.dataset:
        pytest.skip("no pixels")
    try:
        stored = first_frame(any_file, head.transfer_syntax_uid)
    except Exception as error:  # pydicom raises all sorts of errors
        pytest.skip(f"pydicom finds no frame: {error}")
    try:
        frame = decode(stored, head.transfer_syntax_uid, describe(head.dataset, pixels.tag))
    except NotRenderable:
        assert any_file.name in CANNOT_BE_SHOWN
        return
    picture = present(frame, frame_attributes(head.dataset, 0), bulk_of(any_file))
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == frame.samples.shape[:2]
    for media_type, name in ((JPEG, "JPEG"), (PNG, "PNG")):
        opened = Image.open(io.BytesIO(encode(picture, media_type, 90)))
        assert (opened.format, opened.size) == (name, picture.shape[1::-1])
    check_as_pydicom_decodes(any_file, frame.samples)


def check_as_pydicom_decodes(path, samples) -> None:
    """Compare samples with those of pydicom, where it has a decoder here and agrees on signs."""
    try:
        expected = pydicom.pixels.pixel_array(path, index=0, raw=samples.ndim == 2)
    except Exception:  # nothing to compare with
        return
    if samples.ndim == 3 or "TOSHIBA_J2K" in path.name:
        return  # colours are still those of the file here, and the signs of this file are wrong
    assert np.array_equal(samples, expected)
