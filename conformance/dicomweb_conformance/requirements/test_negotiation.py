"""PS3.18 8.3.3, 8.4, 8.6 and 8.7: media types, transfer syntaxes and parts of responses."""

import io

import pytest
from pydicom import dcmread

from dicomweb_conformance.client import (
    DICOM,
    JSON,
    OCTETS,
    XML,
    explained,
    media_type_of,
    ok,
    optional,
    parts,
)
from dicomweb_conformance.levels import OPTIONAL, RECOMMENDED
from dicomweb_conformance.requirements.test_retrieve import (
    BIG_ENDIAN,
    COMPRESSED,
    EXPLICIT,
    FRAMES,
    IMPLICIT,
    INSTANCE,
    MULTIPART,
    RLE,
    SERIES,
    STUDY,
    path,
)
from dicomweb_conformance.sample_instances import SIDE, big_endian, ct, encoded, implicit


def test_8_7_3_4_the_transfer_syntax_as_stored_is_to_be_had(service):
    ((_, body),) = parts(ok(service.get(path(COMPRESSED), MULTIPART + "; transfer-syntax=*")))

    assert dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == RLE


def test_8_7_3_4_a_named_transfer_syntax_is_sent(service):
    accept = f'{MULTIPART}; transfer-syntax="{EXPLICIT}"'
    ((_, body),) = parts(ok(service.get(path(COMPRESSED), accept)))

    dataset = dcmread(io.BytesIO(body))
    assert dataset.file_meta.TransferSyntaxUID == EXPLICIT
    assert dataset.PixelData[:SIDE] == bytes(range(SIDE))


@pytest.mark.parametrize("make", [implicit, big_endian])
@pytest.mark.parametrize("accept", [MULTIPART, f"{MULTIPART}; transfer-syntax=*", DICOM])
def test_8_7_3_implicit_and_big_endian_are_not_used(service, make, accept):
    """Instances that were stored in them are returned in another transfer syntax."""
    dataset = make()
    response = service.store(encoded(dataset))
    if response.status_code == 409:
        pytest.skip("optional, not supported: storing this transfer syntax")
    where = f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
    found = ok(service.get(f"{where}/instances/{dataset.SOPInstanceUID}", accept))

    body = found.content if accept == DICOM else parts(found)[0][1]
    returned = dcmread(io.BytesIO(body))
    assert returned.file_meta.TransferSyntaxUID not in (IMPLICIT, BIG_ENDIAN)
    assert returned.PixelData == ct().PixelData


@pytest.mark.parametrize(
    "accept",
    [
        *(f"garbage, {JSON}", f"*/json, {JSON}", f"{JSON}, ;;", f"{JSON}, text/plain;q=abc"),
        *(f"/, {JSON}", f"{JSON};q=0.5, application/;q=1"),
    ],
)
def test_8_7_7_invalid_members_of_accept_are_ignored(service, accept):
    assert media_type_of(ok(service.get(path(INSTANCE) + "/metadata", accept))) == JSON


def test_8_7_8_a_media_type_of_higher_weight_is_preferred(service):
    accept = f'{JSON};q=0.1, multipart/related; type="{XML}";q=0.9'

    assert (
        media_type_of(ok(service.get(path(INSTANCE) + "/metadata", accept))) == "multipart/related"
    )


def test_8_7_8_media_types_are_case_insensitive(service):
    response = ok(service.get(path(INSTANCE) + "/metadata", "Application/DICOM+JSON"))

    assert media_type_of(response) == JSON


def test_8_6_1_2_each_part_has_its_content_type(service):
    for headers, _ in parts(ok(service.get(path(STUDY), MULTIPART))):
        assert headers["content-type"].split(";")[0] == DICOM


def test_8_6_1_2_the_content_type_names_the_root_type_and_the_boundary(service):
    content_type = ok(service.get(path(STUDY), MULTIPART)).headers["Content-Type"]

    assert "boundary=" in content_type
    assert "application/dicom" in content_type


@RECOMMENDED
def test_8_6_1_2_each_part_has_its_length_and_location(service):
    for headers, body in parts(ok(service.get(path(SERIES), MULTIPART))):
        assert int(headers["content-length"]) == len(body)
        ok(service.request("GET", headers["content-location"], "*/*"))


def test_8_4_1_1_a_payload_has_its_content_type(service):
    for resource in (STUDY, INSTANCE, INSTANCE + "/metadata", FRAMES + "/frames/1"):
        assert ok(service.get(path(resource))).headers.get("Content-Type"), resource


def test_8_7_3_3_bulk_data_is_little_endian_octets(service):
    accept = f'multipart/related; type="{OCTETS}"'
    ((_, body),) = parts(ok(service.get(path(INSTANCE) + "/frames/1", accept)))

    assert body == ct("A", 1, 1).PixelData


def test_8_7_3_5_2_the_transfer_syntax_may_be_quoted(service):
    accept = f'{MULTIPART}; transfer-syntax="1.2.840.10008.1.2.1"'
    ((_, body),) = parts(ok(service.get(path(INSTANCE), accept)))

    assert dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == EXPLICIT


def test_8_7_3_4_a_transfer_syntax_that_does_not_exist_is_406(service):
    assert service.get(path(INSTANCE), f"{MULTIPART}; transfer-syntax=1.2.3.4").status_code == 406


@pytest.mark.parametrize(
    "syntax",
    [
        *("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57"),
        *("1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"),
        *("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201", RLE),
    ],
)
@OPTIONAL
def test_8_7_3_4_an_instance_is_transcoded(service, syntax):
    resource = INSTANCE if syntax == RLE else COMPRESSED
    response = optional(service.get(path(resource), f"{MULTIPART}; transfer-syntax={syntax}"))
    ((_, body),) = parts(response)

    assert dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(
    "media_type", ["image/jpeg", "image/jls", "image/jp2", "image/jphc", "image/dicom-rle"]
)
@OPTIONAL
def test_8_7_3_3_a_frame_comes_in_each_image_type(service, media_type):
    accept = f'multipart/related; type="{media_type}"'
    ((headers, body),) = parts(optional(service.get(path(INSTANCE) + "/frames/1", accept)))

    assert headers["content-type"].startswith(media_type)
    assert body


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
@OPTIONAL
def test_8_7_3_zip_is_to_be_had(service, resource):
    assert optional(service.get(path(resource), "application/zip")).content[:2] == b"PK"


def test_8_7_5_what_cannot_be_sent_is_406(service):
    for resource in (INSTANCE, INSTANCE + "/metadata", FRAMES + "/frames/1"):
        assert service.get(path(resource), "text/x-nothing").status_code == 406, resource


def test_8_7_7_the_first_of_the_most_wanted_that_can_be_sent_is_sent(service):
    response = ok(
        service.get(path(INSTANCE) + "/metadata", f"text/x-nothing, {JSON};q=0.5, */*;q=0.1")
    )

    assert media_type_of(response) == JSON


@pytest.mark.parametrize("accept", ["application/*", "*/*;q=0.1", f"{JSON};q=1.0, */*;q=0"])
def test_8_7_7_ranges_and_weights_are_understood(service, accept):
    assert media_type_of(ok(service.get(path(INSTANCE) + "/metadata", accept))) in (
        JSON,
        "application/json",
    )


def test_8_7_7_what_has_no_weight_is_not_sent(service):
    response = service.get(path(INSTANCE) + "/metadata", f"{JSON};q=0, application/json;q=0")

    assert response.status_code == 406, explained(response)


@OPTIONAL
def test_8_4_3_a_single_part_says_where_it_is(service):
    response = optional(service.get(path(INSTANCE), DICOM))
    if "Content-Location" not in response.headers:
        pytest.skip("optional, not supported: Content-Location")

    again = service.request("GET", response.headers["Content-Location"], DICOM)
    assert ok(again).content == response.content


def test_8_3_3_1_accept_may_be_a_query_parameter(service):
    response = ok(service.get(path(INSTANCE) + "/metadata", "*/*", params={"accept": JSON}))

    assert media_type_of(response) == JSON


@pytest.mark.parametrize("quoted", ['type="application/dicom"', "type=application/dicom"])
def test_8_7_3_the_root_type_may_be_quoted_or_not(service, quoted):
    assert len(parts(ok(service.get(path(INSTANCE), f"multipart/related; {quoted}")))) == 1
