"""multipart/related both ways, RFC 2046 5.1 and RFC 2387."""

import random
from email.parser import BytesParser

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lenticular.errors import InvalidRequest, TooLarge, UnsupportedMedia
from lenticular.web.http.multipart import (
    MultipartReader,
    Part,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    multipart_related,
    new_boundary,
    related_content_type,
    related_size,
)

ONE_PART = b"--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b--\r\n"

Parts = list[tuple[dict[str, str], bytes]]


def read(body: bytes, boundary: str = "b", step: int = 1 << 16) -> Parts:
    """Headers and body of each part, from chunks of so many bytes."""
    reader = MultipartReader(boundary)
    complete: Parts = []
    headers: dict[str, str] = {}
    pieces: list[bytes] = []
    for start in range(0, len(body), step):
        for event in reader.feed(body[start : start + step]):
            match event:
                case PartBegin(headers):
                    pieces = []
                case PartData(data):
                    assert data
                    pieces.append(data)
                case PartEnd():
                    complete.append((headers, b"".join(pieces)))
    reader.finish()
    return complete


def only(body: bytes) -> bytes:
    """The body of the only part."""
    ((_, content),) = read(body)
    return content


def test_a_part_has_its_headers_in_lower_case_and_its_bytes():
    assert read(ONE_PART) == [({"content-type": "application/dicom"}, b"DICM")]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7, 64])
def test_a_boundary_may_lie_across_any_chunks(step: int):
    body = b"--b\r\nA: 1\r\n\r\nx\r\n-\r\n--\r\n--c\r\n--b\r\nA: 2\r\n\r\n\r\r\n\r\n--b--"
    expected = [({"a": "1"}, b"x\r\n-\r\n--\r\n--c"), ({"a": "2"}, b"\r\r\n")]
    assert read(body, step=step) == expected


def test_preamble_and_epilogue_are_no_parts():
    assert only(b"A preamble.\r\n--bad\r\n" + ONE_PART + b"An epilogue.\r\n--b\r\n") == b"DICM"


def test_padding_after_a_boundary_is_ignored():
    assert only(b"--b \t \r\nA: 1\r\n\r\nx\r\n--b-- \r\n") == b"x"


def test_header_lines_may_end_with_a_bare_line_feed():
    assert read(b"--b\nA: 1\nB: 2\n\nx\r\n--b--") == [({"a": "1", "b": "2"}, b"x")]


def test_a_bare_line_feed_before_a_boundary_is_refused_because_the_data_is_not_certain():
    with pytest.raises(InvalidRequest, match="CR LF"):
        read(b"--b\nA: 1\n\nx\n--b--\n")


def test_a_part_may_have_no_headers_and_no_body():
    body = b"--b\r\n\r\nx\r\n--b\r\nA: 1\r\n\r\n\r\n--b\r\nA: 2\r\n\r\n--b\r\n\r\n--b--"
    assert read(body) == [({}, b"x"), ({"a": "1"}, b""), ({"a": "2"}, b""), ({}, b"")]


def test_a_body_may_have_no_parts():
    assert read(b"--b--") == []


def test_a_folded_header_is_one_line():
    body = b'--b\r\nContent-Type: multipart/related;\r\n\ttype="a/b"\r\n\r\n\r\n--b--'
    assert read(body)[0][0] == {"content-type": 'multipart/related; type="a/b"'}


def test_a_boundary_that_goes_on_is_data():
    assert only(b"--b\r\n\r\nx\r\n--bb\r\ny\r\n--b--") == b"x\r\n--bb\r\ny"


@pytest.mark.parametrize(
    "body",
    [b"", b"--b", b"--b\r\n", b"--b\r\nA: 1\r\n", b"--b\r\n\r\nx", b"--b\r\n\r\nx\r\n--b",
     b"--b\r\n\r\nx\r\n--b-", b"--b\r\n\r\nx\r\n", b"--c\r\n\r\nx\r\n--c--"],
)  # fmt: skip
def test_a_body_without_its_closing_delimiter_is_refused(body: bytes):
    with pytest.raises(InvalidRequest):
        read(body)


@pytest.mark.parametrize("line", [b"DICM", b": x", b"a b: x", b" A: 1", b"A: x\0y", b"A: x\ry"])
def test_a_line_that_is_no_header_is_refused(line: bytes):
    with pytest.raises(InvalidRequest, match="header"):
        read(b"--b\r\n" + line + b"\r\n\r\nx\r\n--b--")


def test_headers_are_limited_in_length_and_number():
    with pytest.raises(TooLarge):
        read(b"--b\r\nA: " + b"x" * 10_000, step=100)
    with pytest.raises(TooLarge):
        read(b"--b\r\n" + b"A: x\r\n" * 100)


def test_a_wrong_boundary_is_noticed_before_the_whole_body_is_read():
    with pytest.raises(InvalidRequest, match="boundary"):
        list(MultipartReader("b").feed(bytes(100_000)))


def test_pieces_of_data_are_not_held_back():
    reader = MultipartReader("b")
    list(reader.feed(b"--b\r\n\r\n"))
    assert list(reader.feed(b"x" * 1000)) == [PartData(b"x" * 1000)]
    assert list(reader.feed(b"y\r\n-")) == [PartData(b"y")]
    assert list(reader.feed(b"z")) == [PartData(b"\r\n-z")]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from([b"\r\n", b"\r", b"--", b"-", b"b", b"\r\n--", b"\r\n-b", b" ", b"x"])
        ).map(b"".join),
        max_size=4,
    ),
    st.randoms(use_true_random=False),
)
def test_what_is_written_is_read_back_whatever_the_chunks(
    bodies: list[bytes], chance: random.Random
):
    boundary = "b-b"
    # Whoever writes takes a boundary that no body holds.
    assume(not any(b"\n--b-b" in b"\n" + body for body in bodies))
    parts = [Part("a/b", lambda body=body: [body], len(body)) for body in bodies]
    written = b"".join(multipart_related(parts, boundary))
    assert related_size(parts, boundary) == len(written)
    reader = MultipartReader(boundary)
    events, position = [], 0
    while position < len(written):
        end = position + chance.randint(1, 9)
        events += reader.feed(written[position:end])
        position = end
    reader.finish()
    found: list[bytes] = []
    for event in events:
        if isinstance(event, PartBegin):
            found.append(b"")
        elif isinstance(event, PartData):
            found[-1] += event.data
    assert found == bodies


def test_another_parser_reads_what_is_written():
    boundary = new_boundary()
    parts = [
        Part("application/dicom; transfer-syntax=1.2.3", lambda: [b"one"], 3),
        Part("image/jpeg", lambda: [b"t", b"wo"], 3, location="http://here/2"),
    ]
    head = f"Content-Type: {related_content_type('application/dicom', boundary)}\r\n\r\n"
    message = BytesParser().parsebytes(head.encode() + b"".join(multipart_related(parts, boundary)))
    assert message.get_param("type") == "application/dicom"
    first, second = message.get_payload()
    assert first.get_payload() == "one"
    assert first.get_param("transfer-syntax") == "1.2.3"
    assert second.get_payload() == "two"
    assert second["Content-Location"] == "http://here/2"


def test_part_headers_are_spelled_as_viewers_look_for_them():
    assert b"\r\nContent-Type: a/b\r\n\r\n" in Part("a/b", lambda: []).head("b")


def test_the_size_is_unknown_when_a_part_does_not_know_its_own():
    assert related_size([Part("a/b", lambda: [])], "b") is None


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary="a b"', "a b"),
        ("Multipart/Related;type=application/dicom;BOUNDARY====_:a/b=", "===_:a/b="),
        ("multipart/related; boundary=" + "x" * 200, "x" * 200),
        ("multipart/related; boundary=b;", "b"),
    ],
)
def test_the_boundary_is_found(content_type: str, boundary: str):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "parameters", ["", "; boundary=", '; boundary=""', "; boundary=" + "x" * 201, '; boundary="b']
)
def test_a_missing_or_impossible_boundary_is_refused(parameters: str):
    with pytest.raises(InvalidRequest):
        boundary_of("multipart/related" + parameters)


def test_another_kind_of_body_is_refused():
    with pytest.raises(UnsupportedMedia):
        boundary_of("multipart/form-data; boundary=b")
