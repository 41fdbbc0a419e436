"""PS3.18 10.4: the Retrieve transaction, and the media types of 8.7."""

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
    value,
)
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.sample_instances import (
    PDF,
    SIDE,
    ct,
    encoded,
    frames,
    uid,
)

STUDY = "/studies/{A}"
SERIES = STUDY + "/series/{A1}"
INSTANCE = SERIES + "/instances/{A11}"
MULTIPART = f'multipart/related; type="{DICOM}"'
RLE = "1.2.840.10008.1.2.5"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def path(template: str) -> str:
    names = {"A": uid("A"), "A1": uid("A", 1), "A11": uid("A", 1, 1), "A2": uid("A", 2)}
    names |= {"A21": uid("A", 2, 1), "B": uid("B"), "none": uid("none")}
    names |= {f"B{n}": uid("B", n) for n in (1, 3, 4, 5)}
    names |= {f"B{n}1": uid("B", n, 1) for n in (1, 3, 4, 5)}
    return template.format(**names)


FRAMES = "/studies/{A}/series/{A2}/instances/{A21}"
COMPRESSED = "/studies/{B}/series/{B3}/instances/{B31}"
DOCUMENT = "/studies/{B}/series/{B4}/instances/{B41}"
STATE = "/studies/{B}/series/{B5}/instances/{B51}"


@pytest.mark.parametrize(("resource", "count"), [(STUDY, 4), (SERIES, 3), (INSTANCE, 1)])
def test_10_4_1_1_1_instances_come_as_multipart(service, resource, count):
    files = parts(ok(service.get(path(resource), MULTIPART)))

    assert len(files) == count
    assert all(headers["content-type"].startswith(DICOM) for headers, _ in files)
    assert all(dcmread(io.BytesIO(body)).StudyInstanceUID == uid("A") for _, body in files)


def test_10_4_1_1_1_an_instance_comes_back_as_it_was_stored(service):
    ((_, body),) = parts(ok(service.get(path(INSTANCE), MULTIPART + "; transfer-syntax=*")))

    returned, sent = dcmread(io.BytesIO(body)), ct("A", 1, 1)
    assert returned.PixelData == sent.PixelData
    assert returned == sent


def test_10_4_4_an_instance_comes_as_a_single_part(service):
    response = ok(service.get(path(INSTANCE), DICOM))

    assert media_type_of(response) == DICOM
    assert dcmread(io.BytesIO(response.content)).SOPInstanceUID == uid("A", 1, 1)


@pytest.mark.parametrize(("resource", "count"), [(STUDY, 4), (SERIES, 3), (INSTANCE, 1)])
def test_10_4_4_octet_streams_of_instances_are_their_bulk_data(service, resource, count):
    """`multipart/related; type="application/octet-stream"` is required for these resources."""
    bodies = parts(ok(service.get(path(resource), f'multipart/related; type="{OCTETS}"')))

    assert ct("A", 1, 1).PixelData in [body for _, body in bodies]
    assert len(bodies) >= count


@pytest.mark.parametrize("resource", [STUDY, SERIES])
def test_10_4_4_several_instances_are_not_a_single_part(service, resource):
    assert service.get(path(resource), DICOM).status_code == 406


@pytest.mark.parametrize(
    "numbers", ["1,", ",1", "1,,2", "1-2", "1.0", "1,x", "99999999999999999999"]
)
def test_10_4_1_1_6_a_malformed_list_of_frames_is_refused(service, numbers):
    assert service.get(path(FRAMES) + f"/frames/{numbers}").status_code in (400, 404)


def test_10_4_1_1_6_a_frame_may_be_asked_for_twice(service):
    accept = f'multipart/related; type="{OCTETS}"'
    response = service.get(path(FRAMES) + "/frames/2,2", accept)
    if response.status_code == 400:
        pytest.skip("optional, not supported: a frame twice")

    assert len(parts(ok(response))) == 2


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
def test_10_4_1_1_2_metadata_have_every_attribute_of_the_file(service, resource):
    first = ok(service.get(path(resource) + "/metadata", JSON)).json()[0]

    for tag in ("00080005", "00080016", "00080018", "00080060", "00100010", "0020000D", "00280010"):
        assert tag in first, tag


def test_10_4_1_1_2_metadata_of_a_series_are_those_of_its_instances(service):
    together = ok(service.get(path(SERIES) + "/metadata", JSON)).json()
    numbers = sorted(value(dataset, "00200013") for dataset in together)

    assert numbers == [1, 2, 3]


@pytest.mark.parametrize(("resource", "count"), [(STUDY, 4), (SERIES, 3), (INSTANCE, 1)])
def test_10_4_1_1_2_metadata_are_dicom_json(service, resource, count):
    response = ok(service.get(path(resource) + "/metadata", JSON))

    assert media_type_of(response) == JSON
    assert len(response.json()) == count
    assert all(value(dataset, "0020000D") == uid("A") for dataset in response.json())


@pytest.mark.parametrize(("resource", "count"), [(STUDY, 4), (SERIES, 3), (INSTANCE, 1)])
def test_10_4_1_1_2_metadata_are_native_dicom_xml(service, resource, count):
    response = ok(service.get(path(resource) + "/metadata", f'multipart/related; type="{XML}"'))

    assert len(parts(response)) == count


def test_10_4_1_1_2_metadata_have_no_pixels_but_where_they_are(service):
    (dataset,) = ok(service.get(path(INSTANCE) + "/metadata", JSON)).json()

    assert "InlineBinary" not in dataset.get("7FE00010", {})
    assert dataset["00281053"]["Value"] == [1]
    assert dataset["00180050"] == {"vr": "DS"}


def test_10_4_1_1_2_metadata_of_every_character_set_are_unicode(service):
    (dataset, *_) = ok(service.get(path("/studies/{B}/series/{B1}/metadata"), JSON)).json()

    name = dataset["00100010"]["Value"][0]
    assert name == {"Alphabetic": "Conformancé^Björn", "Ideographic": "山田^太郎"}


def test_10_4_1_1_5_every_bulk_data_uri_resolves(service):
    (dataset,) = ok(service.get(path(DOCUMENT) + "/metadata", JSON)).json()

    response = ok(service.request("GET", dataset["00420011"]["BulkDataURI"], "*/*"))
    body = (
        parts(response)[0][1]
        if media_type_of(response) == "multipart/related"
        else response.content
    )
    assert body.rstrip(b"\0") == PDF.rstrip(b"\0")


@OPTIONAL
def test_10_4_1_1_5_a_document_comes_as_what_it_is(service):
    (dataset,) = ok(service.get(path(DOCUMENT) + "/metadata", JSON)).json()
    url = dataset["00420011"]["BulkDataURI"]

    assert (
        media_type_of(optional(service.request("GET", url, "application/pdf"))) == "application/pdf"
    )


@OPTIONAL
def test_10_4_1_1_5_a_range_of_bulk_data_is_to_be_had(service):
    (dataset,) = ok(service.get(path(DOCUMENT) + "/metadata", JSON)).json()
    url, part = dataset["00420011"]["BulkDataURI"], {"Range": "bytes=0-3"}
    response = service.request("GET", url, OCTETS, headers=part)
    if response.status_code != 206:
        pytest.skip("optional, not supported: Range")

    assert response.content == b"%PDF"


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
@OPTIONAL
def test_10_4_1_1_5_bulk_data_of_a_whole_resource_are_to_be_had(service, resource):
    bodies = parts(
        optional(service.get(path(resource) + "/bulkdata", f'multipart/related; type="{OCTETS}"'))
    )

    assert ct("A", 1, 1).PixelData in [body for _, body in bodies]


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
@OPTIONAL
def test_10_4_1_1_6_pixel_data_of_a_whole_resource_are_to_be_had(service, resource):
    bodies = parts(
        optional(service.get(path(resource) + "/pixeldata", f'multipart/related; type="{OCTETS}"'))
    )

    assert ct("A", 1, 1).PixelData in [body for _, body in bodies]


@pytest.mark.parametrize("numbers", ["1", "2,3", "4,1", "3"])
def test_10_4_1_1_6_frames_come_in_the_order_asked_for(service, numbers):
    accept = f'multipart/related; type="{OCTETS}"'
    bodies = parts(ok(service.get(path(FRAMES) + f"/frames/{numbers}", accept)))

    size = SIDE * SIDE * 3
    expected = [frames().PixelData[(int(n) - 1) * size : int(n) * size] for n in numbers.split(",")]
    assert [body for _, body in bodies] == expected


def test_10_4_1_1_6_a_compressed_frame_is_decoded_when_octets_are_asked_for(service):
    accept = f'multipart/related; type="{OCTETS}"; transfer-syntax={EXPLICIT}'
    ((_, body),) = parts(ok(service.get(path(COMPRESSED) + "/frames/1", accept)))

    assert body == bytes(range(SIDE)) * SIDE


def test_10_4_1_1_6_a_compressed_frame_comes_as_stored(service):
    accept = 'multipart/related; type="image/dicom-rle"'
    ((headers, body),) = parts(ok(service.get(path(COMPRESSED) + "/frames/1", accept)))

    assert headers["content-type"].startswith("image/dicom-rle")
    assert body[:4] == (1).to_bytes(4, "little")


@OPTIONAL
def test_10_4_4_a_single_frame_comes_as_a_single_part(service):
    response = optional(service.get(path(FRAMES) + "/frames/2", OCTETS))

    assert response.content == bytes([2]) * SIDE * SIDE * 3


@pytest.mark.parametrize("numbers", ["0", "x", "-1"])
def test_10_4_3_1_a_frame_list_that_is_none_is_400(service, numbers):
    assert service.get(path(FRAMES) + f"/frames/{numbers}").status_code == 400


def test_10_4_3_1_a_frame_that_is_not_there_is_404(service):
    assert service.get(path(FRAMES) + "/frames/99").status_code in (400, 404)


@pytest.mark.parametrize("view", ["", "/metadata", "/rendered", "/thumbnail"])
@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
def test_10_4_3_1_what_does_not_exist_is_404(service, resource, view):
    unknown = path(resource).replace(uid("A"), uid("nobody"))

    assert service.get(unknown + view).status_code == 404


@pytest.mark.parametrize(
    ("resource", "accept"),
    [(INSTANCE, MULTIPART), (INSTANCE + "/metadata", JSON), (FRAMES + "/frames/1", "*/*")],
)
@OPTIONAL
def test_8_1_head_answers_as_get_without_a_body(service, resource, accept):
    response = optional(service.request("HEAD", service.url + path(resource), accept))

    assert response.content == b""
    assert media_type_of(response) == media_type_of(service.get(path(resource), accept))


@OPTIONAL
def test_8_1_what_has_not_changed_is_304(service):
    response = ok(service.get(path(INSTANCE) + "/metadata", JSON))
    if "ETag" not in response.headers:
        pytest.skip("optional, not supported: ETag")
    tag = {"If-None-Match": response.headers["ETag"]}

    again = service.get(path(INSTANCE) + "/metadata", JSON, headers=tag)
    assert again.status_code == 304, explained(again)


@OPTIONAL
def test_8_1_a_range_of_a_single_part_is_206(service):
    response = service.get(path(INSTANCE), DICOM, headers={"Range": "bytes=128-131"})
    if response.status_code != 206:
        pytest.skip("optional, not supported: Range")

    assert response.content == b"DICM"
    assert response.headers["Content-Range"].startswith("bytes 128-131/")


def test_10_4_3_3_the_received_file_is_part_10(service):
    ((_, body),) = parts(ok(service.get(path(INSTANCE), MULTIPART)))

    assert body[128:132] == b"DICM"
    assert len(body) >= len(encoded(ct("A", 1, 1))) - 200
