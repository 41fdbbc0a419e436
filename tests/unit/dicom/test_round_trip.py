"""What we read is what pydicom reads: real files, through DICOM JSON and back."""

import warnings
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from lenticular.dicom import transfer_syntaxes
from lenticular.dicom.model import ParsedInstance
from lenticular.dicom.read import part10
from lenticular.dicom.read.vr_decode import little_endian
from lenticular.errors import InvalidInstance
from tests.helpers.files import raw

BIG_ENDIAN = "1.2.840.10008.1.2.2"
LEFT_OUT = (0xFFFCFFFC,)  # Data Set Trailing Padding
CHANGED = (0x00080005,)  # the JSON is UTF-8
STRAY = 0xFFFE  # delimiters without anything to delimit, which pydicom keeps

# Files in which an attribute is not what pydicom reads, and why.
ODDITIES = {
    "GH1301.dcm": ("00100040 CS", "a CS in GB18030, which pydicom takes for Latin-1"),
    "pn_many_components.dcm": ("00100010 PN", "four groups of a name, for which JSON has three"),
}
INCOMPARABLE = {
    "badVR.dcm": "an IS is '1A', which pydicom takes from files, but not from JSON",
    "MONOCHROME2_32_32_0_1_mf_badVR.dcm": "an IS is '1A', as in badVR.dcm",
    "RGB_8_8_0_3_sf_GH195.dcm": "a DS is '1.9.10.0', which pydicom takes from files only",
    "same_ct_CTImage.dcm_BigEndianExplicitTransferSyntax_1.2.840.10008.1.2.2.dcm": (
        "values of VR UN are little endian even here (PS3.5 6.2.2), and pydicom turns them round"
    ),
    "GH179A.dcm": "an element has the VR '  ', and pydicom takes all that follows for its value",
    "GH179B.dcm": "an element has the VR '  ', and pydicom takes all that follows for its value",
    "nested_150.dcm": "what lies deeper than 64 sequences is bytes, in which pydicom loses its way",
}


def parsed_or_skipped(content: bytes) -> ParsedInstance:
    try:
        return part10.parse(content)
    except InvalidInstance as error:
        pytest.skip(error.detail)


def back_from_json(content: bytes, parsed: ParsedInstance) -> Dataset:
    """The dataset that pydicom makes of our JSON, with bulk data from the file."""
    if transfer_syntaxes.lookup(parsed.transfer_syntax_uid).deflated:
        content = raw.inflated_file(content)
    places = dict(parsed.layout.bulkdata)
    pixels = parsed.layout.pixels
    if pixels is not None:
        places[pixels.tag] = (pixels.offset, pixels.length, pixels.vr)
    big_endian = parsed.transfer_syntax_uid == BIG_ENDIAN

    def bulk_data(tag: str, vr: str, uri: str) -> Any:
        offset, length, _ = places[uri.partition("/bulkdata/")[2]]
        raw = content[offset : offset + length]
        return little_endian(vr, raw) if big_endian else raw

    return Dataset.from_json(orjson.dumps(parsed.dataset).decode(), bulk_data)


def comparable(element: pydicom.DataElement) -> Any:
    """The values of an element, without what no reader agrees upon: padding, empty forms."""
    if element.VR == "SQ":
        return [contents(item) for item in element.value]
    if isinstance(element.value, bytes):
        return element.value
    values = element.value if isinstance(element.value, MultiValue | list) else [element.value]
    if element.VR in ("DS", "IS"):
        return [number(value) for value in values]
    plain = [value.rstrip(" \0=") if isinstance(value, str) else value for value in values]
    plain = [str(value).rstrip("= ") if element.VR == "PN" else value for value in plain]
    return plain if plain not in ([""], [None], []) else None


def number(value: Any) -> float | str | None:
    """A DS or IS as a number, if it is one."""
    try:
        return None if value in ("", None) else float(value)
    except ValueError:
        return str(value)


def contents(dataset: Dataset) -> dict[str, Any]:
    tags = [tag for tag in dataset.keys() if tag.element and tag.group != STRAY]  # noqa: SIM118
    elements = [dataset[tag] for tag in tags if tag not in (*LEFT_OUT, *CHANGED)]
    return {f"{element.tag:08X} {element.VR}": comparable(element) for element in elements}


def expected_contents(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            expected = contents(pydicom.dcmread(path, force=True))
        except Exception as error:  # whatever it is, there is nothing to compare with
            pytest.skip(f"pydicom cannot read it: {error}")
    # Encapsulated pixels are OB (PS3.5 A.4), whatever was written.
    if (expected.get("7FE00010 OW") or b"").startswith(b"\xfe\xff\x00\xe0"):
        expected["7FE00010 OB"] = expected.pop("7FE00010 OW")
    return expected


def turned_round(found: dict[str, Any]) -> dict[str, Any]:
    """The contents of a big-endian file with its binaries as the web has them."""
    return {
        key: little_endian(key[-2:], value)
        if isinstance(value, bytes)
        else [turned_round(item) for item in value]
        if key.endswith("SQ")
        else value
        for key, value in found.items()
    }


def test_any_file_comes_back_from_json_as_pydicom_reads_it(any_file: Path) -> None:
    if any_file.name in INCOMPARABLE:
        pytest.skip(INCOMPARABLE[any_file.name])
    content = any_file.read_bytes()
    parsed = parsed_or_skipped(content)
    expected = expected_contents(any_file)
    if parsed.transfer_syntax_uid == BIG_ENDIAN:
        expected = turned_round(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = contents(back_from_json(content, parsed))
    odd, why = ODDITIES.get(any_file.name, ("", ""))
    if odd:
        assert found.pop(odd) != expected.pop(odd), f"no longer odd: {why}"
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
