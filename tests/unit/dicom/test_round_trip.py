"""What we read is what pydicom reads: real files, through DICOM JSON and back."""

import warnings
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from lenticular.dicom import part10, transfer_syntaxes
from lenticular.dicom.instance import ParsedInstance
from lenticular.errors import InvalidInstance
from tests import samples

BIG_ENDIAN = "1.2.840.10008.1.2.2"
LEFT_OUT = (0xFFFCFFFC,)  # Data Set Trailing Padding
CHANGED = (0x00080005,)  # the JSON is UTF-8


def parsed_or_skipped(content: bytes) -> ParsedInstance:
    try:
        return part10.parse(content)
    except InvalidInstance as error:
        pytest.skip(error.detail)


def back_from_json(content: bytes, parsed: ParsedInstance) -> Dataset:
    """The dataset that pydicom makes of our JSON, with bulk data from the file."""
    if transfer_syntaxes.lookup(parsed.transfer_syntax_uid).deflated:
        content = part10.inflate(content)
    places = dict(parsed.layout.bulkdata)
    pixels = parsed.layout.pixels
    if pixels is not None:
        places[pixels.tag] = (pixels.offset, pixels.length, pixels.vr)

    def bulk_data(tag: str, vr: str, uri: str) -> Any:
        offset, length, _ = places[uri.partition("/bulkdata/")[2]]
        return content[offset : offset + length]

    return Dataset.from_json(orjson.dumps(parsed.dataset).decode(), bulk_data)


def comparable(element: pydicom.DataElement) -> Any:
    """The values of an element, without what no reader agrees upon: padding, empty forms."""
    if element.VR == "SQ":
        return [contents(item) for item in element.value]
    if isinstance(element.value, bytes):
        return element.value
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if element.VR in ("DS", "IS"):
        return [None if value in ("", None) else float(value) for value in values]
    plain = [value.rstrip(" \0=") if isinstance(value, str) else value for value in values]
    plain = [str(value).rstrip("= ") if element.VR == "PN" else value for value in plain]
    return plain if plain not in ([""], [None], []) else None


def contents(dataset: Dataset) -> dict[str, Any]:
    return {
        f"{element.tag:08X} {element.VR}": comparable(element)
        for element in dataset
        if element.tag.element and element.tag not in (*LEFT_OUT, *CHANGED)
    }


def expected_contents(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = contents(pydicom.dcmread(path, force=True))
        except Exception as error:  # whatever it is, there is nothing to compare with
            pytest.skip(f"pydicom cannot read it: {error}")
    # Encapsulated pixels are OB (PS3.5 A.4), whatever was written.
    if "7FE00010 OW" in expected and expected["7FE00010 OW"].startswith(b"\xfe\xff\x00\xe0"):
        expected["7FE00010 OB"] = expected.pop("7FE00010 OW")
    return expected


@pytest.mark.parametrize("path", samples.packaged_files(), ids=lambda path: path.stem)
def test_pydicoms_own_files_come_back_from_json_as_pydicom_reads_them(path: Path) -> None:
    content = path.read_bytes()
    parsed = parsed_or_skipped(content)
    if parsed.transfer_syntax_uid == BIG_ENDIAN:
        pytest.skip("bulk data and values of VR UN are turned round")
    expected = expected_contents(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = contents(back_from_json(content, parsed))
    assert found == expected


def test_a_big_endian_file_reads_like_the_little_endian_one() -> None:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    big, little = (
        part10.parse((folder / name).read_bytes()).dataset
        for name in ("MR_small_bigendian.dcm", "MR_small.dcm")
    )
    assert big.keys() == little.keys()
    assert {key for key in big if big[key] != little[key]} <= {"00080016", "00080018"}


def test_any_file_is_read_or_refused_with_a_sentence(any_file: Path) -> None:
    try:
        parsed = part10.parse(any_file.read_bytes())
    except InvalidInstance as error:
        assert error.detail.endswith(".")  # noqa: PT017
        return
    assert list(parsed.dataset) == sorted(parsed.dataset)
    document = orjson.dumps(parsed.dataset)
    pixels = int(parsed.layout.pixels is not None)
    assert document.count(b'"BulkDataURI":"@/') == len(parsed.layout.bulkdata) + pixels
