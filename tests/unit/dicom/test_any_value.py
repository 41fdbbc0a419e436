"""Whatever the bytes of a value: what is read is written again, and other readers take it."""

import io
import shutil
import subprocess
import warnings

import orjson
import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lenticular.dicom.json_and_xml.json_reader import checked, objects
from lenticular.dicom.json_and_xml.xml_reader import from_xml
from lenticular.dicom.json_and_xml.xml_writer import to_xml
from lenticular.dicom.model import Dataset
from lenticular.dicom.read import part10
from lenticular.dicom.read.vr_decode import LITTLE_ENDIAN
from lenticular.dicom.write.part10_file import write_file
from tests.helpers.files import raw

EXPLICIT = "1.2.840.10008.1.2.1"
TAG, NESTED = "00091001", "00400275"
DCMDUMP = shutil.which("dcmdump") or "dcmdump"
VRS = sorted(set(LITTLE_ENDIAN) - {"SQ"})
NONSENSE = [
    b"\\", b"^", b"=", b" ", b"\0", b"\r\n", b"1", b"1.0", b"-0", b"1e400", b"NaN", b"0x",
    b"\x1b$B", b"\xff", b"\xc3\xa4", b"\xed\xa0\x80", b"\xef\xbf\xbf", b"20240229", b"1.2.3",
]  # fmt: skip
VALUES = st.one_of(
    st.binary(max_size=40),
    st.lists(st.sampled_from(NONSENSE), max_size=12).map(b"".join),
)
CHARACTER_SETS = st.sampled_from(["", "ISO_IR 192", "ISO_IR 100", "\\ISO 2022 IR 87", "nonsense"])


def file_with(vr: str, value: bytes, characters: str) -> bytes:
    """Return a file with the value at its root and in a sequence."""
    element = raw.element(0x00091001, vr, value + b"\0" * (len(value) % 2))
    item = raw.item(raw.element(0x00400007, "LO", "x") + element.replace(b"\x09\0", b"\x41\0", 1))
    behind = raw.element(0x00400275, "SQ", item)
    begin = raw.meta() + raw.element(0x00080005, "CS", characters)
    return begin + raw.identifiers() + element + raw.further() + behind


def written(dataset: Dataset) -> bytes:
    """Return the file of a dataset that came as JSON from elsewhere."""
    pieces: list[bytes] = []
    metadata = checked(objects(orjson.dumps(dataset))[0])
    write_file(pieces.append, metadata.dataset, {}, EXPLICIT)
    return b"".join(pieces)


def without_character_set(dataset: Dataset) -> Dataset:
    return {tag: element for tag, element in dataset.items() if tag != "00080005"}


@pytest.mark.parametrize("vr", VRS)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@example(value=b"=", characters="")
@given(value=VALUES, characters=CHARACTER_SETS)
def test_any_value_is_written_as_it_was_read(vr: str, value: bytes, characters: str) -> None:
    dataset = part10.parse(file_with(vr, value, characters)).dataset
    by_json = written(dataset)
    assert without_character_set(part10.parse(by_json).dataset) == without_character_set(dataset)

    by_xml = written(from_xml(to_xml(dataset)))
    assert part10.parse(by_xml).dataset == part10.parse(by_json).dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pydicom.dcmread(io.BytesIO(by_json))
    assert [f"{element.tag:08X}" for element in found._dict.values()] == list(
        part10.parse(by_json).dataset
    )


@pytest.mark.skipif(shutil.which("dcmdump") is None, reason="dcmtk is not installed")
@settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
@given(values=st.lists(VALUES, min_size=len(VRS), max_size=len(VRS)))
def test_dcmdump_reads_what_is_written(values: list[bytes]) -> None:
    elements = b"".join(
        raw.element(0x00091001 + number, vr, value + b"\0" * (len(value) % 2))
        for number, (vr, value) in enumerate(zip(VRS, values, strict=True))
    )
    begin = raw.meta() + raw.identifiers() + elements + raw.further()
    content = written(part10.parse(begin).dataset)
    command = [DCMDUMP, "-q", "-"]
    shown = subprocess.run(command, input=content, capture_output=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count(b"(0009,10") == len(VRS)
