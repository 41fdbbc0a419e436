"""Content negotiation, PS3.18 8.7 and RFC 9110 12.5.1."""

from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from lenticular.errors import InvalidRequest, Unacceptable
from lenticular.web.http.accept import Offer, accepted, choose, parse_ranges
from lenticular.web.http.media_types import MediaType

EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

DICOM = Offer("application/dicom", EXPLICIT, multipart=True)
LONE_DICOM = Offer("application/dicom", EXPLICIT)
STORED = Offer("image/jp2", JPEG_2000, multipart=True)
DECODED = Offer("application/octet-stream", EXPLICIT, multipart=True)
JPEG, PNG, JSON = Offer("image/jpeg"), Offer("image/png"), Offer("application/dicom+json")


def chosen(header: str | None, *offers: Offer, query: str = "") -> Offer:
    """What is chosen of these offers for an Accept header and a query string."""
    headers = [(b"accept", header.encode())] if header is not None else []
    query_string = query.encode()
    scope = {"type": "http", "headers": headers, "query_string": query_string, "app": Starlette()}
    return choose(accepted(Request(scope)), offers)


@pytest.mark.parametrize("header", [None, "", "*/*", " , ", "*", "text/html, *; q=.2, */*; q=.2"])
def test_who_accepts_anything_gets_the_first_offer(header: str | None):
    assert chosen(header, JPEG, PNG) == JPEG


def test_the_highest_weight_wins():
    assert chosen("image/jpeg;q=0.5, image/png;q=0.9", JPEG, PNG) == PNG
    assert chosen("image/*;q=0.5, image/png", JPEG, PNG) == PNG


def test_among_equals_our_order_counts():
    assert chosen("image/png, image/jpeg", JPEG, PNG) == JPEG


def test_the_most_exact_range_decides():
    assert chosen("*/*, image/jpeg;q=0.1", JPEG, PNG) == PNG
    assert chosen("image/*, image/jpeg;q=0", JPEG, PNG) == PNG


def test_a_weight_of_zero_is_a_refusal():
    with pytest.raises(Unacceptable):
        chosen("image/jpeg;q=0, */*;q=0.000", JPEG, PNG)


def test_names_are_compared_without_case():
    assert chosen("IMAGE/PNG", JPEG, PNG) == PNG


def test_what_cannot_be_served_is_refused_naming_what_could_be():
    with pytest.raises(
        Unacceptable, match=r'multipart/related; type="application/dicom"; transfer'
    ):
        chosen("application/pdf", DICOM)


def test_single_and_multiple_parts_are_told_apart():
    assert chosen("application/dicom", DICOM, LONE_DICOM) == LONE_DICOM
    assert chosen('multipart/related; type="application/dicom"', LONE_DICOM, DICOM) == DICOM
    assert chosen("multipart/related", LONE_DICOM, DICOM) == DICOM
    assert chosen("multipart/related; type=*/*", LONE_DICOM, DICOM) == DICOM
    with pytest.raises(Unacceptable):
        chosen("application/dicom", DICOM)


@pytest.mark.parametrize(
    "header",
    [
        f"multipart/related; type=application/dicom; transfer-syntax={EXPLICIT}",
        f'multipart/related; type="application/dicom"; transfer-syntax="{EXPLICIT}"',
        f'multipart/related;transfer-syntax={EXPLICIT};type="application/dicom"; q=0.1',
        f'multipart/related; type="application/dicom; transfer-syntax={EXPLICIT}"',
        'multipart/related; type="application/dicom"; transfer-syntax=*',
        "Multipart/Related; Type=Application/DICOM",
    ],
)
def test_parameters_may_be_quoted_or_not_and_in_any_order(header: str):
    assert chosen(header, DICOM) == DICOM


def test_another_transfer_syntax_is_refused():
    with pytest.raises(Unacceptable):
        chosen(f'multipart/related; type="application/dicom"; transfer-syntax={JPEG_2000}', DICOM)


def test_octets_in_any_transfer_syntax_means_as_stored():
    header = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    assert chosen(header, STORED, DECODED) == STORED


@pytest.mark.parametrize("parameter", ["", f"; transfer-syntax={EXPLICIT}"])
def test_octets_alone_means_uncompressed(parameter: str):
    header = "multipart/related; type=application/octet-stream" + parameter
    assert chosen(header, STORED, DECODED) == DECODED
    unknown = Offer("application/octet-stream", "1.2.3", multipart=True)
    assert chosen(header, unknown, DECODED) == DECODED


def test_the_long_list_of_a_viewer_is_understood():
    header = (
        'multipart/related; type="image/jls"; transfer-syntax=1.2.840.10008.1.2.4.80, '
        'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90, '
        'multipart/related; type="application/octet-stream"; transfer-syntax=*, '
        'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
    )
    assert chosen(header, DECODED) == DECODED
    assert chosen(header, STORED) == STORED


def test_the_query_parameter_goes_before_the_header():
    header = "image/webp, image/*, */*;q=0.8"
    assert chosen(header, JPEG, PNG, query="accept=image/png") == PNG
    assert chosen(header, JPEG, PNG, query="accept=image%2Fpng") == PNG
    assert chosen(header, JPEG, PNG, query="accept=image/jpeg;q=.1&accept=image/png") == PNG
    with pytest.raises(Unacceptable):
        chosen("image/jpeg", PNG, query="accept=image/gif")


def test_the_header_counts_when_nothing_in_the_query_parameter_can_be_served():
    assert chosen("image/png", JPEG, PNG, query="accept=image/gif") == PNG
    with pytest.raises(Unacceptable):
        chosen(None, JPEG, PNG, query="accept=image/gif")


def test_a_plus_in_the_query_parameter_need_not_be_encoded():
    assert chosen("*/*", JPEG, JSON, query="accept=application/dicom+json") == JSON
    assert chosen("*/*", JPEG, JSON, query="accept=application/dicom%2Bjson") == JSON


def test_a_whole_multipart_range_fits_into_the_query_parameter():
    header = f'multipart/related; type="application/dicom"; transfer-syntax={EXPLICIT}'
    assert chosen(None, LONE_DICOM, DICOM, query="accept=" + quote(header)) == DICOM


@pytest.mark.parametrize(
    "header",
    ["foo", "*/png", "image/png;q=2", "image/png;q=x", "image/png;q=-1", "image/png;x", "a b/c",
     'image/png;x="y', "image/png x", "/", 'multipart/related; type="dicom"'],
)  # fmt: skip
def test_nonsense_is_refused(header: str):
    with pytest.raises(InvalidRequest):
        chosen(header, PNG)


def test_other_parameters_do_not_matter():
    assert chosen("application/dicom+json; charset=utf-8", JSON) == JSON
    assert chosen("application/dicom+json;;", JSON) == JSON


def test_a_media_type_is_read_with_its_parameters():
    media = MediaType.parse(r'Text/Plain; Charset="a\"b"; x=1')
    assert media == MediaType("text/plain", {"charset": 'a"b', "x": "1"})


@pytest.mark.parametrize(
    "header",
    [
        "garbage, application/dicom+json",
        "*/json, application/dicom+json",
        "application/dicom+json, ;;",
        "application/dicom+xml; q=abc, application/dicom+json",
        "application/dicom+xml; q=2, application/dicom+json",
        "application/dicom+json, a/b; x",
    ],
)
def test_invalid_members_of_a_list_are_ignored(header):
    """PS3.18 8.7.7: what cannot be understood leaves the others as they are."""
    (found,) = parse_ranges(header)
    assert found.name == "application/dicom+json"
