"""Elements in another transfer syntax, PS3.5 7: the same values, or a refusal."""

import io
import struct

import numpy as np
import pydicom
import pytest

from lenticular.dicom.read import part10
from lenticular.dicom.write.reencode import in_utf_8, read_elements, rewritten
from lenticular.errors import Unacceptable
from tests.helpers import samples

EXPLICIT, BIG, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.11"


def without_pixels(content: bytes) -> pydicom.Dataset:
    dataset = pydicom.dcmread(io.BytesIO(content))
    del dataset.PixelData
    return dataset


def file_of(dataset: pydicom.Dataset, syntax: str = EXPLICIT) -> bytes:
    dataset.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    encoding = {"implicit_vr": syntax == IMPLICIT, "little_endian": syntax != BIG}
    pydicom.dcmwrite(buffer, dataset, **encoding)
    return buffer.getvalue()


def reencoded(content: bytes, *, utf_8: bool = False) -> pydicom.Dataset:
    elements = read_elements(content, b"")
    if utf_8:
        in_utf_8(elements.dataset)
    made = b"".join(rewritten(elements, SOP_CLASS, EXPLICIT, ()))
    assert len(made) % 2 == 0
    part10.parse(made)
    return pydicom.dcmread(io.BytesIO(made))


def test_words_and_private_numbers_of_a_big_endian_file_are_turned_round():
    table = np.arange(1000, dtype="<u2")
    dataset = without_pixels(samples.ct("a"))
    dataset.add_new(0x00091001, "SL", [1, -2])
    dataset.add_new(0x00091002, "OF", struct.pack(">2f", 1.5, -1.5))
    for tag in (0x00281201, 0x00091003):
        dataset.add_new(tag, "OW", table.astype(">u2").tobytes())
    item = pydicom.Dataset()
    item.add_new(0x00091003, "OW", table.astype(">u2").tobytes())
    dataset.add_new(0x00091004, "SQ", [item])

    found = reencoded(file_of(dataset, BIG))

    assert found[0x00091001].value == [1, -2]
    assert found[0x00091002].value == struct.pack("<2f", 1.5, -1.5)
    for holder in (found, found[0x00091004].value[0]):
        assert holder[0x00091003].value == table.tobytes()
    assert found[0x00281201].value == table.tobytes()


def test_an_open_vr_of_an_implicit_file_becomes_one_that_can_be_written():
    dataset = without_pixels(samples.ct("a"))
    curve, item = bytes(range(64)), pydicom.Dataset()
    for holder in (dataset, item):
        holder.add_new(0x50003000, "OW", curve)
    dataset.add_new(0x00081140, "SQ", [item])

    found = reencoded(file_of(dataset, IMPLICIT))

    for holder in (found, found[0x00081140].value[0]):
        assert holder[0x50003000].VR in ("OB", "OW")
        assert holder[0x50003000].value == curve


def test_a_value_that_would_change_is_refused():
    dataset = without_pixels(samples.ct("a"))
    dataset.SpecificCharacterSet = "GB18030"
    dataset.PatientSex = "X"
    content = file_of(dataset).replace(b"\x10\0\x40\0CS\2\0X ", b"\x10\0\x40\0CS\2\0\xc4\xd0")
    assert part10.parse(content).dataset["00100040"]["Value"] == ["男"]

    assert reencoded(content).SpecificCharacterSet == "GB18030"
    with pytest.raises(Unacceptable):
        reencoded(content, utf_8=True)
