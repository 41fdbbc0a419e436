"""Files that were damaged on their way: whatever happens to the bytes, the answer is orderly."""

import random

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenticular.dicom.model import ParsedInstance
from lenticular.dicom.read import part10
from lenticular.errors import InvalidInstance
from lenticular.transactions.retrieve.byte_source import ByteSource
from lenticular.transactions.retrieve.frames import joined_fragments, native_frame
from tests.helpers import samples
from tests.helpers.files import raw

KINDS = sorted(samples.gallery())
NASTY = [
    b"\xff\xff\xff\xff", b"\xfe\xff\xff\xff", b"\xff\xff", b"\0\0", b"\0\0\0\x80",
    b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00",
    b"SQ", b"UN", b"OB", b"UT", b"PN", b"DS", b"  ", b"\\", b"\x1b$B",
]  # fmt: skip

CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "take", "add", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(NASTY), st.binary(min_size=1, max_size=4)),
    ),
    min_size=1,
    max_size=6,
)


def changed(content: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    """The content after it was damaged, mostly in its head."""
    damaged = bytearray(content)
    for change, where, what in changes:
        position = int(where**3 * len(damaged))
        if change == "put":
            damaged[position : position + len(what)] = what
        elif change == "take":
            del damaged[position : position + len(what)]
        elif change == "add":
            damaged[position:position] = what
        else:
            del damaged[max(position, 200) :]
    return bytes(damaged)


def check(content: bytes) -> None:
    """It is refused with a sentence, or everything that is said of it holds."""
    try:
        parsed = part10.parse(content)
    except InvalidInstance as error:
        assert error.detail.isascii()  # noqa: PT017
        assert error.detail.endswith(".")  # noqa: PT017
        return
    orjson.dumps(parsed.dataset)
    assert list(parsed.dataset) == sorted(parsed.dataset)
    check_places(content, parsed)


def check_places(content: bytes, parsed: ParsedInstance) -> None:
    if parsed.transfer_syntax_uid.endswith(".1.99"):
        content = raw.inflated_file(content)
    for offset, length, _ in parsed.layout.bulkdata.values():
        assert 0 <= offset <= offset + length <= len(content)
    pixels = parsed.layout.pixels
    if pixels is None:
        return
    assert pixels.offset + pixels.length <= len(content)
    runs = list(zip(pixels.frames[::2], pixels.frames[1::2], strict=True))
    assert len(runs) in (0, pixels.number_of_frames)
    assert all(start + length <= pixels.offset + pixels.length for start, length in runs)
    for start, length in runs[:3]:
        joined_fragments(ByteSource.of(content), start, length).read()
    if not pixels.encapsulated and pixels.number_of_frames:
        frame = native_frame(ByteSource.of(content), pixels, pixels.number_of_frames).read()
        assert len(frame) == -(-pixels.frame_bits // 8)


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(KINDS), CHANGES)
def test_a_damaged_file_is_refused_or_read_orderly(
    kind: str, changes: list[tuple[str, float, bytes]]
) -> None:
    check(changed(samples.gallery()[kind], changes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_off_at_any_of_many_places_is_dealt_with(kind: str) -> None:
    content = samples.gallery()[kind]
    places = random.Random(kind).sample(range(len(content)), 60)
    for place in places:
        check(content[:place])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_behind_the_prefix_are_dealt_with(content: bytes) -> None:
    check(b"\0" * 128 + b"DICM" + content)
    check(b"\x08\x00" + content)
