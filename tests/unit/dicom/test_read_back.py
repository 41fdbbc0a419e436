"""Values of any length, PS3.5 7.1.1: what is written is what is read, padding aside."""

import base64
import io
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest

from lenticular.dicom.read import part10
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN
from lenticular.dicom.write import read_back
from lenticular.dicom.write.part10_file import write_file
from lenticular.errors import InvalidInstance
from tests.helpers import samples

TEXTS = ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI",
         "UR", "UT"]  # fmt: skip
BYTES = ["OB", "OW", "UN"]
NUMBERS = {"US": 2, "SS": 2, "AT": 4, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "SV": 8, "UV": 8,
           "OF": 4, "OL": 4, "OD": 8, "OV": 8}  # fmt: skip
LENGTHS = [0, 1, 2, 3, 13, 64, 65, 1023, 1024, 1025, 3145, 65_533, 65_534, 65_535, 65_536, 1 << 20]
PLACES = ["at the root", "in a sequence", "in a sequence in a sequence"]
TAG = "00091010"


def placed(element: dict[str, Any], place: str) -> dict[str, Any]:
    """A dataset with the element there, and an element behind it that must be found, too."""
    dataset = {TAG: element, "00091020": {"vr": "LO", "Value": ["behind"]}}
    for _ in range(PLACES.index(place)):
        dataset = {"00091001": {"vr": "SQ", "Value": [dataset, {}, dataset]}}
    found = part10.parse(samples.ct("a")).dataset
    return {tag: found[tag] for tag in found if tag < "0028"} | dataset


def written(dataset: dict[str, Any], bulk: bytes) -> bytes:
    """The file of the dataset, compared with what it was made of."""
    pieces: list[bytes] = []
    files = {"bulk": io.BytesIO(bulk)}
    elements = write_file(pieces.append, dataset, files, EXPLICIT_VR_LITTLE_ENDIAN)
    content = b"".join(pieces)
    read_back.compare(elements, part10.parse(content), reader_of(content))
    return content


def reader_of(content: bytes):
    return lambda offset, length: content[offset : offset + length]


def values_of(content: bytes) -> Iterator[bytes]:
    """The value of each of our elements, as pydicom reads it: raw, at any depth."""
    todo = [pydicom.dcmread(io.BytesIO(content))]
    while todo:
        dataset = todo.pop()
        if TAG in dataset:
            assert dataset[0x00091020].value == "behind"
            raw = dict.__getitem__(dataset._dict, int(TAG, 16))
            yield raw.value or b""
        elif 0x00091001 in dataset:
            todo += dataset[0x00091001].value


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["InlineBinary", "BulkDataURI"])
@pytest.mark.parametrize("vr", [*BYTES, *TEXTS, *NUMBERS])
def test_values_of_every_vr_and_length_are_written_even_and_read_back(vr, key, place):
    for length in LENGTHS:
        if length % NUMBERS.get(vr, 1) or (key == "InlineBinary" and not length):
            continue
        raw = b"7" * length
        value = base64.b64encode(raw).decode() if key == "InlineBinary" else "bulk"
        content = written(placed({"vr": vr, key: value}, place), raw)
        assert len(content) % 2 == 0
        padding = b" " if vr in TEXTS and vr != "UI" else b"\0"
        assert set(values_of(content)) == {raw + padding * (length % 2)}, (vr, length)


@pytest.mark.parametrize("key", ["InlineBinary", "BulkDataURI"])
@pytest.mark.parametrize("vr", [*NUMBERS, "SQ"])
def test_numbers_of_an_odd_length_are_refused_for_padding_would_make_one_up(vr, key):
    value = base64.b64encode(b"777").decode() if key == "InlineBinary" else "bulk"
    with pytest.raises(InvalidInstance, match=f"{TAG} is not a valid {vr}"):
        written(placed({"vr": vr, key: value}, "at the root"), b"777")


@pytest.mark.parametrize("length", [0, 1, 2, 999, 1000])
def test_compressed_frames_of_any_length_are_read_back(length):
    frames = [io.BytesIO(b"\xff\xd8" + bytes(length)), io.BytesIO(b"\xff\xd8\1")]
    dataset = part10.parse(samples.ct("a")).dataset | {
        "00280008": {"vr": "IS", "Value": [2]},
        "7FE00010": {"vr": "OB", "BulkDataURI": "not asked for"},
    }
    pieces: list[bytes] = []
    elements = write_file(pieces.append, dataset, {}, "1.2.840.10008.1.2.4.50", frames)
    content = b"".join(pieces)
    read_back.compare(elements, part10.parse(content), reader_of(content))
    for position in (-3, -9, -12):
        damaged = bytearray(content)
        damaged[position] ^= 1
        with pytest.raises((read_back.NotAsWritten, InvalidInstance)):
            read_back.compare(elements, part10.parse(bytes(damaged)), reader_of(damaged))


@pytest.mark.parametrize("vr", [*BYTES, *TEXTS, *NUMBERS])
def test_a_single_wrong_bit_is_found(vr):
    for length, position in ((16, -40), (16, -25), (4096, -2000), (70_000 // 8 * 8, -69_900)):
        raw = b"7" * length
        dataset = placed({"vr": vr, "BulkDataURI": "bulk"}, "in a sequence")
        pieces: list[bytes] = []
        files = {"bulk": io.BytesIO(raw)}
        elements = write_file(pieces.append, dataset, files, EXPLICIT_VR_LITTLE_ENDIAN)
        content = bytearray(b"".join(pieces))
        content[position] ^= 2
        with pytest.raises((read_back.NotAsWritten, InvalidInstance)):
            read_back.compare(elements, part10.parse(bytes(content)), reader_of(content))
