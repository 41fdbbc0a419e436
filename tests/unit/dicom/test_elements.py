"""The data set: nesting, unknown and odd VRs, private elements, and what damage is survived."""

import base64
import struct

import orjson
import pytest

from lenticular.dicom.model import Dataset
from lenticular.dicom.read import elements, part10
from lenticular.dicom.read.element_encoding import EXPLICIT_LITTLE
from lenticular.dicom.read.elements import ElementReader
from lenticular.dicom.read.limits import ReadLimits
from lenticular.errors import InvalidInstance
from tests.helpers.files import raw
from tests.helpers.files.raw import ITEM_END, SEQUENCE_END, UNDEFINED, element, implicit, item

CODE = element(0x00080100, "SH", "X1")


def read(*behind: bytes, between: bytes = b"") -> Dataset:
    return part10.parse(raw.file(*behind, between=between)).dataset


def read_implicit(*behind: bytes) -> Dataset:
    head = b"".join(
        implicit(tag, f"{uid}\0")
        for tag, uid in ((0x00080018, "1.2.3"), (0x0020000D, "1.2.5"), (0x0020000E, "1.2.7"))
    )
    return part10.parse(raw.meta("1.2.840.10008.1.2") + head + b"".join(behind)).dataset


@pytest.mark.parametrize(
    "value",
    [
        item(CODE) + item(b"") + item(CODE),
        item(CODE) + item(b"") + item(CODE) + SEQUENCE_END,
        item(CODE, UNDEFINED) + ITEM_END + item(b"") + item(CODE, UNDEFINED) + ITEM_END,
    ],
    ids=["known lengths", "a delimiter too much", "delimited items"],
)
def test_a_sequence_is_a_list_of_data_sets(value: bytes) -> None:
    dataset = read(element(0x00400260, "SQ", value))
    code = {"00080100": {"vr": "SH", "Value": ["X1"]}}
    assert dataset["00400260"] == {"vr": "SQ", "Value": [code, {}, code]}
    delimited = element(0x00400260, "SQ", b"", UNDEFINED) + value.removesuffix(SEQUENCE_END)
    assert read(delimited + SEQUENCE_END, element(0x00400310, "ST", "x")) == {
        **dataset,
        "00400310": {"vr": "ST", "Value": ["x"]},
    }


@pytest.mark.parametrize("zeros", [0, 1, 2, 7, 8, 16, 512])
def test_zeros_may_stand_where_a_sequence_should_end(zeros: int) -> None:
    opened = raw.element(0x00400260, "SQ", b"", raw.UNDEFINED)
    code = raw.element(0x00080100, "SH", "A1")
    for content in (raw.item(code), raw.item(code + ITEM_END, raw.UNDEFINED)):
        dataset = part10.parse(raw.file(opened + content + bytes(zeros))).dataset
        assert dataset["00400260"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["A1"]}}]


def test_missing_delimiters_at_the_end_do_no_harm() -> None:
    sequence = element(0x00400260, "SQ", b"", UNDEFINED) + item(CODE, UNDEFINED)
    for end in (b"", ITEM_END, ITEM_END + SEQUENCE_END):
        assert read(sequence + end)["00400260"]["Value"] == [
            {"00080100": {"vr": "SH", "Value": ["X1"]}}
        ]


def nested(levels: int, delimited: bool) -> bytes:
    value = b""
    for _ in range(levels):
        if delimited:
            value = item(value, UNDEFINED) + ITEM_END
            value = element(0x00400260, "SQ", b"", UNDEFINED) + value + SEQUENCE_END
        else:
            value = element(0x00400260, "SQ", item(value))
    return value


@pytest.mark.parametrize("delimited", [True, False])
@pytest.mark.parametrize("levels", [64, 65, 150, 5000])
def test_nesting_of_any_depth_is_read(levels: int, delimited: bool) -> None:
    behind = element(0x00400310, "ST", "x")
    parsed = part10.parse(raw.file(nested(levels, delimited), behind))
    dataset = orjson.loads(orjson.dumps(parsed.dataset))
    assert dataset["00400310"]["Value"] == ["x"]
    depth = 0
    while dataset.get("00400260", {}).get("vr") == "SQ":
        dataset, depth = dataset["00400260"].get("Value", [{}])[0], depth + 1
    assert depth == min(levels, elements.MAX_JSON_DEPTH)
    assert (dataset.get("00400260", {}).get("vr") == "UN") == (levels > depth)


def test_a_value_of_unknown_vr_is_read_as_the_dictionary_knows_it() -> None:
    dataset = read(
        element(0x00280010, "UN", raw.words(512)),
        element(0x00400260, "UN", item(implicit(0x00080100, "X1"))),
        element(0x00400280, "UN", "no text"),
    )
    assert dataset["00280010"] == {"vr": "US", "Value": [512]}
    assert dataset["00400260"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["X1"]}}]
    assert dataset["00400280"] == {"vr": "ST", "Value": ["no text"]}


@pytest.mark.parametrize("content", [implicit(0x00080100, "X1"), element(0x00080100, "SH", "X1")])
def test_an_unknown_value_of_undefined_length_is_a_sequence(content: bytes) -> None:
    # PS3.5 6.2.2: its items are implicit; some writers leave them explicit.
    value = item(content, UNDEFINED) + ITEM_END + SEQUENCE_END
    dataset = read(element(0x00411010, "UN", b"", UNDEFINED) + value)
    assert dataset["00411010"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["X1"]}}]


def test_private_elements_are_read_by_their_creators_dictionary() -> None:
    creator = implicit(0x00190010, "GEMS_ACQU_01")
    dataset = read_implicit(creator, implicit(0x00191002, struct.pack("<i", 912)))
    assert dataset["00190010"] == {"vr": "LO", "Value": ["GEMS_ACQU_01"]}
    assert dataset["00191002"] == {"vr": "SL", "Value": [912]}
    stranger = read_implicit(implicit(0x00190010, "NOBODY"), implicit(0x00191002, b"\1\2"))
    assert stranger["00191002"] == {"vr": "UN", "InlineBinary": base64.b64encode(b"\1\2").decode()}


@pytest.mark.parametrize(("representation", "vr", "number"), [(0, "US", 65535), (1, "SS", -1)])
def test_a_choice_of_vrs_is_made_by_the_pixel_representation(
    representation: int, vr: str, number: int
) -> None:
    smallest = implicit(0x00280106, b"\xff\xff")
    dataset = read_implicit(
        implicit(0x00280103, raw.words(representation)),
        smallest,
        implicit(0x52009229, item(smallest)),
    )
    assert dataset["00280106"] == {"vr": vr, "Value": [number]}
    assert dataset["52009229"]["Value"][0]["00280106"] == {"vr": vr, "Value": [number]}


def test_lookup_tables_and_overlays_without_a_vr_are_words() -> None:
    dataset = read_implicit(
        implicit(0x00283002, raw.words(2, 0, 16)),
        implicit(0x00283006, raw.words(1, 2)),
        implicit(0x60003000, b"\1\2"),
    )
    assert (dataset["00283006"]["vr"], dataset["60003000"]["vr"]) == ("OW", "OW")


@pytest.mark.parametrize(
    "odd",
    [
        struct.pack("<HH2sHI", 0x0028, 0x1050, b"ZZ", 0, 2) + b"40",
        struct.pack("<HH2sH", 0x0028, 0x1050, b"ZZ", 2) + b"40",
        struct.pack("<HH2sH", 0x0028, 0x1050, b"  ", 2) + b"40",
        struct.pack("<HHI", 0x0028, 0x1050, 2) + b"40",
    ],
    ids=["a VR to come", "the same, short", "a blank VR", "implicit among explicit"],
)
def test_an_element_with_an_odd_header_is_read(odd: bytes) -> None:
    dataset = read(odd, element(0x00281051, "DS", "80"))
    assert dataset["00281050"] == {"vr": "DS", "Value": [40]}
    assert dataset["00281051"] == {"vr": "DS", "Value": [80]}


def test_a_blank_vr_without_even_a_length_is_an_empty_element() -> None:
    dataset = read(struct.pack("<HH2s", 0x0028, 0x1050, b"  "), element(0x00281051, "DS", "80"))
    assert dataset["00281050"] == {"vr": "DS"}
    assert dataset["00281051"] == {"vr": "DS", "Value": [80]}


def test_an_item_whose_sequence_was_lost_is_passed_over() -> None:
    dataset = read(item(CODE), element(0x00400310, "ST", "x"))
    assert "00080100" not in dataset
    assert dataset["00400310"]["Value"] == ["x"]


@pytest.mark.parametrize(
    "value",
    [
        b"no sequence at all",
        item(element(0x00080100, "SH", "X1", length=500)),
        item(CODE, length=5000),
        item(CODE) + b"\1\2\3\4\5\6\7\x08",
        element(0x00400260, "SQ", item(CODE, length=900)),
    ],
)
def test_a_damaged_sequence_of_known_length_is_kept_as_bytes(value: bytes) -> None:
    behind = element(0x00400310, "ST", "x")
    dataset = read(element(0x00400260, "SQ", value), behind)
    assert dataset["00400260"]["vr"] == "UN"
    kept = base64.b64decode(dataset["00400260"]["InlineBinary"])
    assert kept == value + b" " * (len(value) % 2)
    assert dataset["00400310"]["Value"] == ["x"]


def test_bulk_data_of_a_sequence_kept_as_bytes_is_forgotten() -> None:
    broken = item(
        element(0x00420011, "OB", b"\1" * 2000) + element(0x00420012, "LO", "x", length=99)
    )
    parsed = part10.parse(raw.file(element(0x00400260, "SQ", broken)))
    assert list(parsed.layout.bulkdata) == ["00400260"]


def test_a_damaged_sequence_of_undefined_length_is_refused() -> None:
    broken = element(0x00400260, "SQ", b"", UNDEFINED) + item(CODE) + CODE + SEQUENCE_END
    with pytest.raises(InvalidInstance, match="sequence is damaged"):
        read(broken)


def test_big_endian_values_are_turned_round() -> None:
    def big(tag: int, vr: str, value: bytes | str) -> bytes:
        return element(tag, vr, value, order=">")

    content = raw.meta("1.2.840.10008.1.2.2") + b"".join(
        [
            big(0x00080018, "UI", "1.2.3"),
            big(0x0020000D, "UI", "1.2.4"),
            big(0x0020000E, "UI", "1.2.5"),
            big(0x00280010, "US", b"\2\0"),
            big(0x00281201, "OW", b"\1\2\3\4"),
            big(0x00420011, "OB", b"\1\2"),
            big(0x00189087, "FD", struct.pack(">d", 1.5)),
        ]
    )
    dataset = part10.parse(content).dataset
    assert dataset["00280010"]["Value"] == [512]
    assert dataset["00281201"]["InlineBinary"] == base64.b64encode(b"\2\1\4\3").decode()
    assert dataset["00420011"]["InlineBinary"] == base64.b64encode(b"\1\2").decode()
    assert dataset["00189087"]["Value"] == [1.5]


@pytest.mark.parametrize(
    "content",
    [
        element(0x00400260, "SQ", item(b"") * 20_000),
        element(0x00400260, "SQ", item(CODE) * 10_000),
        element(0x00091010, "LO", "") * 20_000,
        b"".join(element(0x00410000 + number, "LO", "x") for number in range(1, 20_000)),
        (element(0x00400260, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * 10_000,
    ],
    ids=["items", "elements of items", "repeated elements", "elements", "open sequences"],
)
def test_a_file_of_too_many_elements_is_refused(
    content: bytes,
) -> None:
    reader = ElementReader(memoryview(content), 0, EXPLICIT_LITTLE, ReadLimits(elements=15_000))
    with pytest.raises(InvalidInstance, match="more than 15,000 elements") as caught:
        reader.read()
    assert caught.value.failure_reason == 0xA700


def test_a_file_that_was_never_written_to_its_end_is_refused() -> None:
    with pytest.raises(InvalidInstance, match="zeros"):
        read(bytes(3_000_000))
