"""Files made of DICOM JSON and bulk data, PS3.10 7: what was taken apart is put together again."""

import io
from pathlib import Path

import orjson
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from lenticular.dicom.json_and_xml.json_reader import checked, objects
from lenticular.dicom.model import BULKDATA_BASE, ParsedInstance
from lenticular.dicom.read import part10
from lenticular.dicom.read.vr_decode import little_endian
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.dicom.write.part10_file import write_file
from lenticular.errors import InvalidInstance, InvalidRequest
from tests.helpers import samples
from tests.helpers.files import raw

CHARACTER_SET = "00080005"


def bulk_of(content: bytes, parsed: ParsedInstance) -> dict[str, io.BytesIO]:
    """All bulk data of a file, as it is served, by URI."""
    syntax = lookup(parsed.transfer_syntax_uid)
    content = raw.inflated_file(content) if syntax.deflated else content
    places, pixels = dict(parsed.layout.bulkdata), parsed.layout.pixels
    if pixels is not None and not pixels.encapsulated:
        places[pixels.tag] = (pixels.offset, pixels.length, pixels.vr)
    base = (
        f"{BULKDATA_BASE}studies/{parsed.study_instance_uid}/series/{parsed.series_instance_uid}"
        f"/instances/{parsed.sop_instance_uid}/bulkdata/"
    )
    found = {}
    for path, (offset, length, vr) in places.items():
        value = content[offset : offset + length]
        found[base + path] = io.BytesIO(little_endian(vr, value) if syntax.big_endian else value)
    return found


def frames_of(content: bytes, parsed: ParsedInstance) -> list[io.BytesIO] | None:
    """The compressed frames, each in one piece."""
    pixels = parsed.layout.pixels
    if pixels is None or not pixels.encapsulated:
        return None
    frames = []
    for begin, length in zip(pixels.frames[::2], pixels.frames[1::2], strict=True):
        frame, position = b"", begin
        while position < begin + length and content[position : position + 2] == b"\xfe\xff":
            size = int.from_bytes(content[position + 4 : position + 8], "little")
            frame += content[position + 8 : position + 8 + size]
            position += 8 + size
        frames.append(io.BytesIO(frame))
    return frames


def composed(content: bytes, parsed: ParsedInstance) -> bytes:
    metadata = checked(objects(orjson.dumps(parsed.dataset))[0])
    frames = frames_of(content, parsed)
    syntax = ExplicitVRLittleEndian if frames is None else parsed.transfer_syntax_uid
    pieces: list[bytes] = []
    write_file(pieces.append, metadata.dataset, bulk_of(content, parsed), syntax, frames)
    return b"".join(pieces)


def test_any_file_is_put_together_again(any_file: Path):
    content = any_file.read_bytes()
    try:
        parsed = part10.parse(content)
    except InvalidInstance:
        return
    if "00080016" not in parsed.dataset:
        pytest.skip("the SOP class stands in the File Meta Information only")
    if (
        parsed.layout.pixels
        and parsed.layout.pixels.encapsulated
        and not parsed.layout.pixels.frames
    ):
        pytest.skip("its fragments cannot be told apart")
    if any_file.name == "many_private_tags.dcm":
        pytest.skip("values of VR UN have an odd length, which is padded")

    found = part10.parse(composed(content, parsed)).dataset

    found.pop(CHARACTER_SET, None)
    parsed.dataset.pop(CHARACTER_SET, None)
    assert found == parsed.dataset


def test_the_file_is_one_that_pydicom_reads_without_a_word():
    content = samples.enhanced("a")
    found = pydicom.dcmread(io.BytesIO(composed(content, part10.parse(content))))
    assert found == pydicom.dcmread(io.BytesIO(content))
    assert found.file_meta.ImplementationVersionName == "LENTICULAR"


def test_a_value_too_long_for_the_header_of_its_vr_becomes_unknown():
    dataset = {
        **part10.parse(samples.ct("a")).dataset,
        "00091001": {"vr": "DS", "Value": [1.5] * 30_000},
        "7FE00010": {"vr": "OW", "InlineBinary": "AAAA" * 128 + "AAA="},
    }
    pieces: list[bytes] = []
    write_file(pieces.append, dataset, {}, ExplicitVRLittleEndian)
    assert pydicom.dcmread(io.BytesIO(b"".join(pieces)))[0x00091001].VR == "UN"


@pytest.mark.parametrize(
    ("vr", "values", "expected"),
    [
        ("DS", [0.1, 1e300, 2, "1.50", None, 1 / 3], b"0.1\\1e+300\\2\\1.50\\\\0.33333333333333"),
        ("IS", [1.0, "2"], b"1\\2"),
        ("UI", ["1.2.3"], b"1.2.3"),
        ("LO", ["é"], "é".encode()),
        ("LO", [None], b""),
        ("US", ["7"], b"\7\0"),
        ("AT", ["00100020"], b"\x10\0\x20\0"),
        ("FL", ["NaN"], b"\0\0\xc0\x7f"),
        ("UV", ["18446744073709551615"], b"\xff" * 8),
        ("PN", [{"Alphabetic": "A^B", "Phonetic": "C"}], b"A^B==C"),
        ("PN", ["A^B"], b"A^B"),
    ],
)
def test_values_are_written_as_their_vr_has_them(vr: str, values: list, expected: bytes):
    from lenticular.dicom.write.vr_encode import value_bytes

    assert value_bytes(vr, values) == expected


@pytest.mark.parametrize("document", [b"", b"{", b"[}", b"nan"])
def test_what_is_no_json_is_a_bad_request(document: bytes):
    with pytest.raises(InvalidRequest, match="not JSON"):
        objects(document)


def test_what_has_no_place_in_a_dataset_is_set_aside():
    metadata = checked(
        {
            "00020010": {"vr": "UI", "Value": ["1.2"]},
            "00083002": {"vr": "UI", "Value": ["1.3"]},
            "00080000": {"vr": "UL", "Value": [1]},
            "fffee00d": {"vr": "UN"},
            "00100020": {"Value": ["x"]},
            "00100030": {"vr": "DA", "Value": []},
        }
    )
    assert metadata.dataset == {
        "00100020": {"vr": "LO", "Value": ["x"]}, "00100030": {"vr": "DA"}
    }  # fmt: skip
    assert set(metadata.file_meta) == {"00020010", "00083002"}
    assert metadata.discarded == ["00080000", "FFFEE00D"]


def test_sequences_nested_deeper_than_64_are_refused():
    dataset: dict = {}
    for _ in range(66):
        dataset = {"00082112": {"vr": "SQ", "Value": [dataset]}}
    with pytest.raises(InvalidInstance, match="deeper"):
        checked(dataset)
