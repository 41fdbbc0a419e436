"""Which files are taken, which are refused, and that the refusal can be understood."""

import gzip
import mmap
import struct
import zlib
from pathlib import Path

import pytest

from lenticular.dicom.read import part10
from lenticular.dicom.read.deflate import inflated_pieces
from lenticular.errors import InvalidInstance
from tests.helpers import samples
from tests.helpers.files import raw

DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT = "1.2.840.10008.1.2"


def refusal(content: bytes) -> InvalidInstance:
    with pytest.raises(InvalidInstance) as caught:
        part10.parse(content)
    return caught.value


def deflated(dataset: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return raw.meta(DEFLATED) + compressor.compress(dataset) + compressor.flush()


def implicit_dataset() -> bytes:
    return b"".join(
        [
            raw.implicit(0x00080016, raw.SOP_CLASS + "\0"),
            raw.implicit(0x00080018, raw.INSTANCE + "\0"),
            raw.implicit(0x00100020, "ID"),
            raw.implicit(0x0020000D, raw.STUDY + "\0"),
            raw.implicit(0x0020000E, raw.SERIES + "\0"),
        ]
    )


def big_endian_dataset() -> bytes:
    return b"".join(
        raw.element(tag, "UI", value, order=">")
        for tag, value in (
            (0x00080016, raw.SOP_CLASS),
            (0x00080018, raw.INSTANCE),
            (0x0020000D, raw.STUDY),
            (0x0020000E, raw.SERIES),
        )
    )


@pytest.mark.parametrize("kind", samples.gallery())
def test_a_file_of_every_kind_is_read(kind: str) -> None:
    parsed = part10.parse(samples.gallery()[kind])
    assert parsed.dataset["0020000D"]["Value"] == [parsed.study_instance_uid]
    assert parsed.dataset["00080018"]["Value"] == [parsed.sop_instance_uid]


def test_the_identifiers_and_the_transfer_syntax_are_known() -> None:
    parsed = part10.parse(raw.file())
    assert (parsed.study_instance_uid, parsed.series_instance_uid) == (raw.STUDY, raw.SERIES)
    assert (parsed.sop_instance_uid, parsed.sop_class_uid) == (raw.INSTANCE, raw.SOP_CLASS)
    assert parsed.transfer_syntax_uid == raw.EXPLICIT_LITTLE


@pytest.mark.parametrize(
    ("content", "syntax"),
    [
        (raw.file()[128:], raw.EXPLICIT_LITTLE),
        (raw.file()[132:], raw.EXPLICIT_LITTLE),
        (raw.identifiers() + raw.further(), raw.EXPLICIT_LITTLE),
        (implicit_dataset(), IMPLICIT),
        (big_endian_dataset(), BIG_ENDIAN),
        (raw.meta(None) + raw.identifiers() + raw.further(), raw.EXPLICIT_LITTLE),
        (raw.meta(None) + implicit_dataset(), IMPLICIT),
        (raw.meta("not a uid") + implicit_dataset(), IMPLICIT),
    ],
    ids=[
        "no preamble", "no prefix", "explicit only", "implicit only", "big endian only",
        "no syntax, explicit", "no syntax, implicit", "no sensible syntax",
    ],
)  # fmt: skip
def test_what_the_head_does_not_say_is_seen_in_the_data_set(content: bytes, syntax: str) -> None:
    assert part10.parse(content).transfer_syntax_uid == syntax


@pytest.mark.parametrize("declared", [raw.EXPLICIT_LITTLE, IMPLICIT, BIG_ENDIAN])
def test_a_data_set_is_read_as_it_is_written_whatever_the_head_says(declared: str) -> None:
    for dataset in (raw.identifiers() + raw.further(), implicit_dataset(), big_endian_dataset()):
        assert part10.parse(raw.meta(declared) + dataset).sop_instance_uid == raw.INSTANCE


def test_a_wrong_group_length_of_the_head_does_no_harm() -> None:
    content = bytearray(raw.file())
    content[140:144] = struct.pack("<I", 9999)
    assert part10.parse(bytes(content)).sop_instance_uid == raw.INSTANCE


def test_the_sop_class_may_stand_in_the_head_only() -> None:
    dataset = raw.element(0x00080018, "UI", raw.INSTANCE) + raw.further()
    assert part10.parse(raw.meta() + dataset).sop_class_uid == raw.SOP_CLASS


def test_an_unknown_transfer_syntax_is_kept_as_it_is() -> None:
    assert part10.parse(raw.file(syntax="1.2.3.4")).transfer_syntax_uid == "1.2.3.4"


@pytest.mark.parametrize("behind", [b"\0" * 500, b"\x1a\r\n", b"garbage, more than eight bytes"])
def test_what_follows_the_pixels_does_no_harm(behind: bytes) -> None:
    parsed = part10.parse(raw.file(raw.image(1, 2), raw.pixels(b"\1\2")) + behind)
    assert parsed.layout.pixels is not None


def test_trailing_padding_is_no_part_of_the_data_set() -> None:
    padding = raw.element(0xFFFCFFFC, "OB", b"\0" * 100)
    assert "FFFCFFFC" not in part10.parse(raw.file(padding)).dataset
    assert "FFFCFFFC" not in part10.parse(raw.file(raw.pixels(b"\1\2"), padding)).dataset
    assert part10.parse(raw.file() + b"\0" * 1000).sop_instance_uid == raw.INSTANCE


def test_a_second_file_behind_the_pixels_does_not_change_the_first() -> None:
    first = raw.file(raw.image(1, 2), raw.pixels(b"\1\2"))
    assert part10.parse(first + first.replace(b"1.2.3.4.5", b"9.9.9.9.9")).sop_instance_uid == (
        raw.INSTANCE
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"D", "not a DICOM file"),
        (b"Some text that is certainly not DICOM.\n" * 20, "not a DICOM file"),
        (b"\0" * 10_000, "not a DICOM file"),
        (gzip.compress(raw.file()), "gzip"),
        (b"PK\x03\x04" + b"\0" * 100, "zip"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 100, "JPEG"),
        (raw.meta("1.2.3", sop_class="1.2.840.10008.1.3.10"), "DICOMDIR"),
        (raw.meta(), "SOP Class UID|Study Instance UID"),
    ],
    ids=["empty", "one byte", "text", "zeros", "gzip", "zip", "jpeg", "DICOMDIR", "head only"],
)
def test_what_is_no_instance_is_refused_by_name(content: bytes, says: str) -> None:
    detail = refusal(content).detail
    assert any(word in detail for word in says.split("|")), detail


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018])
@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b" ",
        b"\0\0",
        b"../../etc",
        b"1/2\0",
        b"1.2\n3\0",
        b"..",
        b"1" * 130,
        b"A" * 102,
        b"1.2\\1.3\0",
    ],
)
def test_an_instance_that_cannot_be_named_is_refused(tag: int, value: bytes | None) -> None:
    uids = {0x00080018: b"1.2.3\0", 0x0020000D: b"1.2.4\0", 0x0020000E: b"1.2.5\0", tag: value}
    elements = [raw.element(uid, "UI", text) for uid, text in uids.items() if text is not None]
    error = refusal(raw.meta() + b"".join(elements))
    assert f"({tag >> 16:04X},{tag & 0xFFFF:04X})" in error.detail
    assert error.failure_reason == 0xC000


@pytest.mark.parametrize(
    "uid",
    [
        *(b"1.2.x", b"1..2", b"1.2.3.", b"1" * 128, b"A" * 100, b"1.2 .3"),
        *(b"05FA52f0-e599_f17b 8186", b"a:b?c*d|e#", "Prüfung".encode("latin-1") + b" "),
    ],
)
def test_what_stands_in_place_of_a_uid_identifies_the_instance(uid: bytes) -> None:
    dataset = raw.element(0x00080018, "UI", uid + b"\0" * (len(uid) % 2)) + raw.further()
    assert part10.parse(raw.meta() + dataset).sop_instance_uid == uid.decode("latin-1").strip()


@pytest.mark.parametrize("uid", [b"1.2.3  ", b" 1.2.3\0", b"1.2.3\0", b"1.2.3\0\0\0", b"1.02.003"])
def test_padding_and_leading_zeros_of_an_identifier_do_no_harm(uid: bytes) -> None:
    dataset = raw.element(0x00080018, "UI", uid) + raw.further()
    assert part10.parse(raw.meta() + dataset).sop_instance_uid == uid.decode().strip(" \0")


def test_a_file_cut_off_inside_a_value_is_refused() -> None:
    whole = raw.file(raw.image(4, 4), raw.pixels(bytes(range(16))))
    for length in range(len(whole) - 15, len(whole)):
        assert "cut off" in refusal(whole[:length]).detail


def test_a_file_cut_off_anywhere_is_never_taken_for_whole() -> None:
    sequence = raw.element(0x00081140, "SQ", b"", raw.UNDEFINED) + (
        raw.item(raw.element(0x00081150, "UI", "1.2"), raw.UNDEFINED)
        + raw.ITEM_END
        + raw.SEQUENCE_END
    )
    fragments = raw.encapsulated(b"\xff\xd8\xff\xe0" * 4, b"\xff\xd8\xff\xe0" * 4)
    whole = raw.file(fragments, between=sequence + raw.image(4, 4, frames=2))
    taken = [length for length in range(len(whole)) if is_taken(whole[:length])]
    # Before its pixels it is whole, if another object; the last delimiter nobody misses.
    assert taken == [len(whole) - len(fragments), *range(len(whole) - 8, len(whole))]


def is_taken(content: bytes) -> bool:
    try:
        part10.parse(content)
    except InvalidInstance:
        return False
    return True


def test_an_image_cut_off_in_a_delimited_sequence_is_refused() -> None:
    sequence = raw.element(0x00400260, "SQ", b"", raw.UNDEFINED) + raw.item(b"", raw.UNDEFINED)
    assert "cut off" in refusal(raw.file(raw.image(4, 4), sequence)).detail
    assert is_taken(raw.file(sequence))


def test_deflated_data_sets_are_inflated() -> None:
    image = raw.identifiers() + raw.further() + raw.image(2, 2) + raw.pixels(b"\1\2\3\4")
    content = deflated(image)
    parsed = part10.parse(content)
    pixels = parsed.layout.pixels
    assert pixels is not None
    whole = raw.inflated_file(content)
    assert whole[pixels.offset : pixels.offset + pixels.length] == b"\1\2\3\4"
    assert whole == raw.meta(DEFLATED) + image


@pytest.mark.parametrize("wrapping", [-15, 15, 31], ids=["raw", "zlib", "gzip"])
def test_a_deflated_data_set_may_have_the_header_of_zlib_or_gzip(wrapping: int) -> None:
    image = raw.identifiers() + raw.further() + raw.image(2, 2) + raw.pixels(b"\1\2\3\4")
    compressor = zlib.compressobj(wbits=wrapping)
    content = raw.meta(DEFLATED) + compressor.compress(image) + compressor.flush()
    for ending in (b"", b"\0", bytes(20)):
        assert part10.parse(content + ending).study_instance_uid == raw.STUDY
        assert raw.inflated_file(content + ending) == raw.meta(DEFLATED) + image
    assert "cut off" in refusal(content[:-9]).detail


def test_a_data_set_that_is_not_deflated_is_read_as_it_is() -> None:
    image = raw.identifiers() + raw.further() + raw.image(2, 2) + raw.pixels(b"\1\2\3\4")
    content = raw.meta(DEFLATED) + image
    assert part10.parse(content).study_instance_uid == raw.STUDY
    assert raw.inflated_file(content) == content


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 3_000_000])
def test_any_size_inflates_in_small_pieces(size: int) -> None:
    dataset = raw.identifiers() + raw.pixels(bytes(size + size % 2), "OB")
    content = deflated(dataset)[len(raw.meta(DEFLATED)) :]
    for step in (1, 7, 65_536):
        slices = [content[at : at + step] for at in range(16, len(content), step)]
        pieces = list(inflated_pieces([content[:16], *slices]))
        assert b"".join(pieces) == dataset
        assert max(map(len, pieces)) <= 64 * 1024


def test_damaged_and_cut_off_deflated_data_sets_are_refused() -> None:
    content = deflated(raw.identifiers() + raw.further())
    assert "cut off" in refusal(content[:-4]).detail
    assert "damaged" in refusal(raw.meta(DEFLATED) + b"\xff" * 50).detail


def test_a_deflate_bomb_is_refused() -> None:
    bomb = deflated(raw.identifiers() + raw.further() + raw.pixels(bytes(70_000_000), "OW"))
    error = refusal(bomb)
    assert "grows beyond" in error.detail
    assert error.failure_reason == 0xA700


def test_a_refused_file_can_be_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(raw.file(raw.image(4, 4), raw.pixels(bytes(16)))[:-4])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        error = refusal(view)  # type: ignore[arg-type]
        view.release()
        mapped.close()
    assert "cut off" in error.detail


def test_the_head_of_a_huge_object_is_read_without_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "huge.dcm"
    size = 3 * 2**30
    with path.open("wb") as file:
        file.write(raw.file(raw.image(1024, 1024, frames=3072), raw.pixels(b"", length=size)))
        file.truncate(file.tell() + size)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        pixels = part10.parse(memoryview(mapped)).layout.pixels
    assert pixels is not None
    assert (pixels.number_of_frames, pixels.length) == (3072, size)
