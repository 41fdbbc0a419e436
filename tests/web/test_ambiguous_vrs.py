"""Attributes for which the dictionary names several VRs, in files that name none (PS3.5 A.1)."""

import io

import pydicom
import pytest
from pydicom.pixels import pixel_array

from lenticular.dicom import pydicom_tables
from tests.helpers import samples
from tests.helpers.files import raw
from tests.helpers.http.retrieve import get
from tests.helpers.wire import must_store

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
REPEATING = [0x5000200C, 0x50003000, 0x501E3000, 0x7F020010]
CHOICES = [
    *(t for t in pydicom_tables.TAGS.values() if " or " in pydicom_tables.entry(t).vr),
    *REPEATING,
]
PIXELS = 0x7FE00010


def with_element(tag: int, signed: bool = False) -> bytes:
    """Return an image in Implicit VR with an element of six bytes."""
    content = pydicom.dcmread(io.BytesIO(samples.signed("a") if signed else samples.ct("a")))
    content.file_meta.TransferSyntaxUID = IMPLICIT
    buffer = io.BytesIO()
    content.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=False)
    whole = buffer.getvalue()
    return _inserted(whole, tag, raw.implicit(tag, raw.words(0xFFFE, 2, 16)))


def _inserted(whole: bytes, tag: int, element: bytes) -> bytes:
    """Return the file with the element where it belongs, in place of one of the same tag."""
    position = start = 132 + 12 + int.from_bytes(whole[140:144], "little")
    while position < len(whole):
        group, number, length = (
            int.from_bytes(whole[position + at : position + at + size], "little")
            for at, size in ((0, 2), (2, 2), (4, 4))
        )
        if group << 16 | number >= tag:
            stop = position + 8 + length if group << 16 | number == tag else position
            return whole[:position] + element + whole[stop:]
        position += 8 + length
    assert position > start
    return whole + element


@pytest.mark.parametrize("tag", sorted({*CHOICES} - {PIXELS}), ids=lambda tag: f"{tag:08X}")
@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG_2000])
def test_an_image_with_it_can_be_had_in_another_transfer_syntax(module_client, tag, syntax):
    content = with_element(tag)
    before = pydicom.dcmread(io.BytesIO(content))
    client = module_client
    client.delete("/dicom-web" + samples.path("a"))
    must_store(client, content)
    accept = f'application/dicom; transfer-syntax="{syntax}"'
    answer = get(client, samples.path("a"), accept)
    assert answer.status_code == 200, answer.text
    read = pydicom.dcmread(io.BytesIO(answer.content))
    element = read.get_item(tag)
    assert element.VR in pydicom_tables.entry(tag).vr.split(" or ")
    assert element.value == raw.words(0xFFFE, 2, 16)
    assert (pixel_array(read) == pixel_array(before)).all()
