"""Frames: where each lies, by every rule that tells them apart."""

import struct
from array import array
from pathlib import Path

import numpy as np
import pydicom
import pytest

from lenticular.dicom.model import PixelLayout
from lenticular.dicom.read import part10
from lenticular.errors import InvalidInstance
from lenticular.transactions.retrieve.byte_source import ByteSource
from lenticular.transactions.retrieve.frames import joined_fragments, native_frame
from tests.helpers import samples
from tests.helpers.files import raw
from tests.helpers.files.raw import element, encapsulated, image

JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
MPEG = "1.2.840.10008.1.2.4.102"
START = b"\xff\xd8\xff\xe0"


def layout(content: bytes) -> PixelLayout:
    pixels = part10.parse(content).layout.pixels
    assert pixels is not None
    return pixels


def stored_frames(content: bytes) -> list[bytes]:
    runs = layout(content).frames
    return [
        joined_fragments(ByteSource.of(content), start, length).read()
        for start, length in zip(runs[::2], runs[1::2], strict=True)
    ]


def native(content: bytes, frame_number: int) -> bytes:
    return native_frame(ByteSource.of(content), layout(content), frame_number).read()


def compressed(
    count: int | str, *fragments: bytes, table: bytes = b"", syntax: str = JPEG
) -> bytes:
    data = encapsulated(*fragments, table=table)
    return raw.file(image(8, 8, frames=count), data, syntax=syntax)


def offsets(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)


def test_native_frames_follow_one_another() -> None:
    content = raw.file(image(2, 2, 16, frames=3), raw.pixels(bytes(range(24)), "OW"))
    assert layout(content).number_of_frames == 3
    assert [native(content, number) for number in (1, 2, 3)] == [
        bytes(range(8)), bytes(range(8, 16)), bytes(range(16, 24)),
    ]  # fmt: skip


@pytest.mark.parametrize("count", ["", "0", "-1", "many", "1.5"])
def test_without_a_sensible_number_of_frames_there_is_one(count: str) -> None:
    assert layout(raw.file(image(2, 2, frames=count), raw.pixels(bytes(4)))).number_of_frames == 1


def test_frames_that_are_not_there_are_not_counted() -> None:
    content = raw.file(image(2, 2, frames=10), raw.pixels(bytes(12)))
    assert layout(content).number_of_frames == 3


def test_pixels_without_a_described_size_are_one_frame() -> None:
    content = raw.file(raw.pixels(bytes(range(10))))
    assert native(content, 1) == bytes(range(10))


def test_subsampled_native_frames_have_two_samples_a_pixel() -> None:
    module = image(4, 4, frames=2, samples=3, photometric="YBR_FULL_422")
    assert layout(raw.file(module, raw.pixels(bytes(64)))).frame_bits == 4 * 4 * 16
    # The name is often left in place when an image is decompressed to three samples a pixel.
    assert layout(raw.file(module, raw.pixels(bytes(96)))).frame_bits == 4 * 4 * 24


def test_floating_point_pixels_are_as_wide_as_their_tag_says() -> None:
    module = element(0x00280010, "US", raw.words(2)) + element(0x00280011, "US", raw.words(3))
    double = layout(raw.file(module, element(0x7FE00009, "OD", bytes(48))))
    assert (double.tag, double.frame_bits) == ("7FE00009", 2 * 3 * 64)
    single = layout(raw.file(module, element(0x7FE00008, "OF", bytes(24))))
    assert (single.tag, single.frame_bits) == ("7FE00008", 2 * 3 * 32)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_frames_of_single_bits_begin_within_a_byte(syntax: str, vr: str) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (5, 7 * 9), dtype=np.uint8)
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    packed += b"\0" * (len(packed) % 2)
    order = ">" if syntax.endswith(".2.2") else "<"
    if order == ">" and vr == "OW":
        packed = np.frombuffer(packed, "<u2").astype(">u2").tobytes()
    numbers = {0x00280008: ("IS", b"5 "), 0x00280010: ("US", struct.pack(order + "H", 7)),
               0x00280011: ("US", struct.pack(order + "H", 9)),
               0x00280100: ("US", struct.pack(order + "H", 1))}  # fmt: skip
    uids = {0x00080018: "1.2.3", 0x0020000D: "1.2.4", 0x0020000E: "1.2.5"}
    content = raw.meta(syntax) + b"".join(
        [
            *(element(tag, "UI", uid, order=order) for tag, uid in uids.items()),
            *(element(tag, *value, order=order) for tag, value in numbers.items()),
            element(0x7FE00010, vr, packed, order=order),
        ]
    )
    for number, frame in enumerate(bits, 1):
        assert native(content, number) == np.packbits(frame, bitorder="little").tobytes()


@pytest.mark.parametrize("bits", [16, 32])
def test_big_endian_pixels_come_in_little_endian(bits: int) -> None:
    def big(tag: int, vr: str, value: bytes | str) -> bytes:
        return element(tag, vr, value, order=">")

    pixels = (np.arange(24) * 3).astype(f">u{bits // 8}")
    content = raw.meta("1.2.840.10008.1.2.2") + b"".join(
        [
            *(big(tag, "UI", "1.2.3") for tag in (0x00080018, 0x0020000D, 0x0020000E)),
            big(0x00280008, "IS", "2"),
            big(0x00280010, "US", b"\0\3"),
            big(0x00280011, "US", b"\0\4"),
            big(0x00280100, "US", bytes([0, bits])),
            big(0x7FE00010, "OW", pixels.tobytes()),
        ]
    )
    assert native(content, 2) == pixels[12:].astype(f"<u{bits // 8}").tobytes()


def test_the_frames_that_pydicom_reads_are_the_same() -> None:
    for path in ("liver.dcm", "liver_expb.dcm", "rtdose_expb.dcm", "emri_small_big_endian.dcm"):
        file = Path(pydicom.__file__).parent / "data" / "test_files" / path
        if not file.exists():
            continue
        content = file.read_bytes()
        dataset = pydicom.dcmread(file)
        expected = dataset.pixel_array[1]
        raw_frame = np.frombuffer(native(content, 2), f"<u{max(dataset.BitsAllocated // 8, 1)}")
        if dataset.BitsAllocated == 1:
            raw_frame = np.unpackbits(raw_frame, bitorder="little")[: expected.size]
        assert np.array_equal(raw_frame.reshape(expected.shape), expected)


def test_one_fragment_a_frame_needs_no_table() -> None:
    fragments = [b"frame 1 ", b"frame 02", b"frame three "]
    assert stored_frames(compressed(3, *fragments, syntax=RLE)) == fragments


def test_a_single_frame_has_all_fragments() -> None:
    assert stored_frames(compressed(1, b"one ", b"two ", b"three ")) == [b"one two three "]


def test_the_basic_offset_table_tells_frames_apart() -> None:
    content = compressed(2, b"a1", b"a2", b"b1", table=offsets(0, 20))
    assert stored_frames(content) == [b"a1a2", b"b1"]


def test_the_extended_offset_table_comes_before_the_basic_one() -> None:
    tables = element(0x7FE00001, "OV", struct.pack("<QQ", 0, 10)) + element(
        0x7FE00002, "OV", struct.pack("<QQ", 2, 2)
    )
    data = encapsulated(b"a1", b"b1", table=offsets(0, 0))
    content = raw.file(image(8, 8, frames=2), tables, data, syntax=JPEG)
    assert stored_frames(content) == [b"a1", b"b1"]


@pytest.mark.parametrize(
    "table",
    [offsets(0, 11), offsets(20, 0), offsets(10, 20), offsets(0), offsets(0, 10, 20), b"\1"],
)
def test_an_offset_table_that_cannot_be_true_is_not_followed(table: bytes) -> None:
    fragments = [START + b"a1", b"a2", START + b"b1", b"b2"]
    content = compressed(2, *fragments, table=table)
    assert stored_frames(content) == [START + b"a1a2", START + b"b1b2"]


@pytest.mark.parametrize(
    "start",
    [START, b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ", b"\xff\x0a", b"\x00\x00\x00\x0cJXL "],
)
def test_without_a_table_frames_begin_where_images_begin(start: bytes) -> None:
    content = compressed(2, start + b"a1", b"a2", b"a3", start + b"b1")
    assert stored_frames(content) == [start + b"a1a2a3", start + b"b1"]


def test_fragments_that_nothing_tells_apart_have_no_frames() -> None:
    pixels = layout(compressed(2, b"a1", b"a2", b"b1"))
    assert pixels.encapsulated
    assert (pixels.number_of_frames, pixels.frames) == (2, array("Q"))


def test_the_frames_of_a_video_are_counted_but_not_told_apart() -> None:
    pixels = layout(compressed(30, b"\0\0\0\1stream ", syntax=MPEG))
    assert (pixels.number_of_frames, len(pixels.frames)) == (30, 0)


def test_fewer_images_than_claimed_are_those_that_are_there() -> None:
    content = compressed(5, b"a1", b"b1", syntax=RLE)
    assert stored_frames(content) == [b"a1", b"b1"]
    assert layout(content).number_of_frames == 2


JPEGS = [START + bytes([65 + number, 0]) for number in range(5)]


def test_of_more_images_than_claimed_the_first_are_the_frames() -> None:
    assert stored_frames(compressed(3, *JPEGS)) == JPEGS[:3]
    assert layout(compressed(3, *JPEGS)).number_of_frames == 3
    assert stored_frames(compressed(3, *JPEGS, table=offsets(0, 14, 28, 42, 56))) == JPEGS[:3]
    assert stored_frames(compressed(1, *JPEGS)) == JPEGS[:1]
    assert stored_frames(compressed(3, b"a1", b"b1", b"c1", b"d1", syntax=RLE)) == [
        b"a1", b"b1", b"c1",
    ]  # fmt: skip


@pytest.mark.parametrize("count", ["0", "", "many", "-2", "2.5"])
def test_without_a_count_all_images_are_frames(count: str) -> None:
    content = compressed(count, *JPEGS)
    assert stored_frames(content) == JPEGS
    assert layout(content).number_of_frames == 5
    assert stored_frames(compressed(count, b"one ", b"two ")) == [b"one two "]


@pytest.mark.parametrize("count", [2, 3])
def test_frames_of_rle_may_be_divided(count: int) -> None:
    images = [struct.pack("<16I", 1, 64, *[0] * 14) + bytes([number] * 6) for number in (1, 2)]
    pieces = [images[0][:68], images[0][68:], images[1][:66], images[1][66:]]
    assert stored_frames(compressed(count, *pieces, syntax=RLE)) == images


def test_a_lone_frame_of_rle_may_be_divided() -> None:
    image = struct.pack("<16I", 2, 64, 100, *[0] * 13) + bytes(90)
    for count in ("", "1"):
        pieces = compressed(count, image[:64], image[64:128], image[128:], syntax=RLE)
        assert stored_frames(pieces) == [image]


@pytest.mark.parametrize("count", ["3.0", "3.", "3e0", "+3", "03", "30e-1", " 3.000 "])
def test_a_count_may_be_written_as_a_decimal(count: str) -> None:
    assert stored_frames(compressed(count, b"a1", b"b1", b"c1")) == [b"a1", b"b1", b"c1"]
    content = raw.file(image(2, 2, frames=count), raw.pixels(bytes(range(12))))
    assert native(content, 3) == bytes(range(8, 12))


def test_a_count_of_zero_is_that_of_the_pixels() -> None:
    content = raw.file(image(2, 2, frames="0"), raw.pixels(bytes(range(12))))
    assert layout(content).number_of_frames == 3


def test_a_video_has_no_more_frames_than_bits() -> None:
    content = compressed("999999999999999", b"stream", syntax=MPEG)
    assert layout(content).number_of_frames < 1000


def test_a_missing_delimiter_does_no_harm_when_all_frames_are_there() -> None:
    data = encapsulated(b"a1", b"b1", end=b"")
    assert stored_frames(raw.file(image(8, 8, frames=2), data, syntax=RLE)) == [b"a1", b"b1"]
    with pytest.raises(InvalidInstance, match="cut off"):
        layout(raw.file(image(8, 8, frames=3), data, syntax=RLE))


@pytest.mark.parametrize("zeros", [0, 1, 2, 7, 8, 9, 16, 512, 65_536])
@pytest.mark.parametrize("end", [b"", raw.SEQUENCE_END], ids=["open", "closed"])
def test_any_number_of_zeros_may_follow_the_last_fragment(zeros: int, end: bytes) -> None:
    data = encapsulated(b"a1", b"b1", end=end + bytes(zeros))
    content = raw.file(image(8, 8, frames=2), data, syntax=RLE)
    assert stored_frames(content) == [b"a1", b"b1"]


def test_padding_of_the_data_set_may_follow_the_last_fragment() -> None:
    data = encapsulated(b"a1", b"b1", end=element(0xFFFCFFFC, "OB", bytes(6)))
    content = raw.file(image(8, 8, frames=2), data, syntax=RLE)
    assert stored_frames(content) == [b"a1", b"b1"]


def test_the_value_of_encapsulated_pixels_is_all_items_without_the_delimiter() -> None:
    content = compressed(2, b"a1", b"b1")
    pixels = layout(content)
    assert content[pixels.offset :] == raw.item(b"") + raw.item(b"a1") + raw.item(b"b1") + (
        raw.SEQUENCE_END
    )
    assert pixels.length == len(content) - pixels.offset - 8


@pytest.mark.parametrize("fragments", [1, 3])
@pytest.mark.parametrize("table", ["basic", "none", "extended"])
def test_frames_that_pydicom_encapsulated_are_found(fragments: int, table: str) -> None:
    if table == "extended" and fragments > 1:
        pytest.skip("an extended table allows one fragment a frame only")
    content = samples.jpeg("frames", frames=3, fragments=fragments, table=table)
    found = stored_frames(content)
    assert len(found) == 3
    assert all(frame.startswith(b"\xff\xd8") for frame in found)
    assert all(frame.rstrip(b"\0").endswith(b"\xff\xd9") for frame in found)


def test_a_hundred_thousand_fragments_are_found_in_a_moment() -> None:
    fragments = raw.item(START + b"x" * 60) * 100_000
    data = element(0x7FE00010, "OB", b"", raw.UNDEFINED) + raw.item(b"") + fragments
    content = raw.file(image(8, 8, frames=100_000), data + raw.SEQUENCE_END, syntax=JPEG)
    runs = layout(content).frames
    assert len(runs) == 200_000
    assert runs[-1] == 72
