"""What Orthanc's REST has of one instance: file, tags, elements, frames and pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers import samples, wire
from tests.helpers.http.orthanc import add, get, ids_of


def assert_refused(client, path, status, headers=None):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["HttpStatus"] == status


@pytest.fixture
def path(client):
    return add(client, samples.ct("a"))


@pytest.mark.parametrize("name", ["file", "attachments/dicom/data"])
def test_the_file_comes_back_byte_for_byte(client, path, name):
    answer = client.get(f"{path}/{name}")
    assert answer.content == samples.ct("a")
    assert answer.headers["content-type"] == "application/dicom"
    assert answer.headers["content-disposition"].endswith('.dcm"')


def test_the_file_can_be_asked_for_in_part_or_again(client, path):
    whole = client.get(f"{path}/file")
    part = client.get(f"{path}/file", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    again = client.get(f"{path}/file", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert_refused(client, f"{path}/file", 416, {"Range": "bytes=9999999-"})


def test_the_file_is_the_same_in_dicomweb(client, path):
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    other = client.get(wire.DICOMWEB + samples.path("a"), headers=accept)
    assert client.get(f"{path}/file").content == other.content


def test_tags_are_told_in_three_styles(client, path):
    assert get(client, f"{path}/tags")["0010,0010"] == {
        "Name": "PatientName",
        "Type": "String",
        "Value": "Doe^Jane",
    }
    assert get(client, f"{path}/tags?short")["0010,0010"] == "Doe^Jane"
    assert get(client, f"{path}/tags?simplify")["PatientName"] == "Doe^Jane"
    assert get(client, f"{path}/tags?simplify") == get(client, f"{path}/simplified-tags")
    assert get(client, f"{path}/simplified-tags")["PixelData"] is None


def test_a_long_value_is_told_when_asked_for(client):
    path = add(client, samples.ct("a", ImageComments="x" * 400))
    assert get(client, f"{path}/tags")["0020,4000"]["Type"] == "TooLong"
    told = get(client, f"{path}/tags?ignore-length=0020-4000,0010-0010")
    assert told["0020,4000"]["Value"] == "x" * 400


def test_the_file_meta_information_is_told(client, path):
    told = get(client, f"{path}/header?simplify")
    assert told["TransferSyntaxUID"] == "1.2.840.10008.1.2.1"
    assert told["MediaStorageSOPInstanceUID"] == samples.sop_uid("a")
    assert get(client, f"{path}/header")["0002,0010"]["Name"] == "TransferSyntaxUID"


def test_a_file_without_meta_information_has_none_to_tell(client):
    assert get(client, add(client, samples.without_meta("a")) + "/header") == {}


def test_elements_are_walked_through(client):
    path = add(client, samples.enhanced("a"))
    assert "0010-0010" in get(client, f"{path}/content")
    assert client.get(f"{path}/content/PatientName").content == b"Doe^Jane"
    assert client.get(f"{path}/content/0010-0010").content == b"Doe^Jane"
    assert client.get(f"{path}/content/0028,0010").content == b"16"
    groups = f"{path}/content/PerFrameFunctionalGroupsSequence"
    assert get(client, groups) == ["0", "1", "2", "3"]
    (first, *_) = get(client, f"{groups}/0")
    assert get(client, f"{groups}/0/{first}") == ["0"]


def test_uncompressed_pixels_are_an_element_too(client, path):
    assert get(client, f"{path}/content/7fe0-0010") == ["0"]
    pixels = client.get(f"{path}/content/7fe0-0010/0")
    assert pixels.headers["content-type"] == "application/octet-stream"
    assert pixels.content == client.get(f"{path}/frames/0/raw").content
    assert pixels.content in samples.ct("a")


@pytest.mark.parametrize(
    "element",
    [
        *("PatientName/0", "Nonsense", "0010-9999", "PerFrameFunctionalGroupsSequence/99"),
        *("PerFrameFunctionalGroupsSequence/x", "7fe0-0010/1", "PatientName.PatientID"),
    ],
)
def test_an_element_that_is_not_there_answers_404(client, element):
    assert_refused(client, add(client, samples.enhanced("a")) + f"/content/{element}", 404)


def test_frames_are_counted_from_0(client):
    path = add(client, samples.multi_frame("a", frames=3))
    assert get(client, f"{path}/frames") == [0, 1, 2]
    assert "preview" in get(client, f"{path}/frames/2")
    frames = [client.get(f"{path}/frames/{index}/raw").content for index in range(3)]
    assert len(set(frames)) == 3
    assert b"".join(frames) in samples.multi_frame("a", frames=3)
    assert_refused(client, f"{path}/frames/3", 404)
    assert_refused(client, f"{path}/frames/3/raw", 404)
    assert_refused(client, f"{path}/frames/3/preview", 404)
    assert_refused(client, f"{path}/frames/-1/raw", 404)
    assert_refused(client, f"{path}/frames/x/raw", 400)


def test_a_compressed_frame_is_told_as_it_is(client):
    raw = client.get(add(client, samples.jpeg("a")) + "/frames/1/raw")
    assert raw.headers["content-type"] == "image/jpeg"
    assert raw.content.startswith(b"\xff\xd8")


@pytest.mark.parametrize("kind", ["preview", "rendered", "image-uint8"])
def test_a_picture_is_a_png_unless_another_type_is_asked_for(client, path, kind):
    for accept, media_type, name in (
        ("*/*", "image/png", "PNG"),
        ("image/png", "image/png", "PNG"),
        ("image/jpeg", "image/jpeg", "JPEG"),
    ):
        answer = client.get(f"{path}/{kind}", headers={"Accept": accept})
        assert answer.headers["content-type"] == media_type
        picture = Image.open(io.BytesIO(answer.content))
        assert (picture.format, picture.mode, picture.size) == (name, "L", (16, 16))
    assert_refused(client, f"{path}/{kind}", 406, {"Accept": "image/gif"})


def test_a_picture_can_be_asked_for_again(client, path):
    first = client.get(f"{path}/preview")
    again = client.get(f"{path}/preview", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(f"{path}/preview")
    assert (head.status_code, head.content) == (200, b"")


def test_a_preview_stretches_from_the_lowest_to_the_highest_value(client, path):
    picture = pixels(client, f"{path}/preview")
    assert (picture.min(), picture.max()) == (0, 255)


def test_images_have_the_values_that_their_type_holds(client, path):
    values = samples.ramp()[0].astype(np.int32)
    stored = np.frombuffer(client.get(f"{path}/frames/0/raw").content, "<u2").reshape(16, 16)
    assert stored.max() > 255 or values.max() > 255
    assert np.array_equal(pixels(client, f"{path}/image-uint16"), stored)
    assert np.array_equal(pixels(client, f"{path}/image-uint8"), np.minimum(stored, 255))


def test_a_window_can_be_asked_for(client, path):
    own = pixels(client, f"{path}/rendered")
    other = pixels(client, f"{path}/rendered?window-center=1000&window-width=50")
    assert not np.array_equal(own, other)
    assert np.array_equal(other, pixels(client, f"{path}/rendered?window=1000,50,linear"))
    assert pixels(client, f"{path}/rendered?width=8&height=8").shape == (8, 8)
    assert_refused(client, f"{path}/rendered?window-center=x&window-width=50", 400)


def test_frames_have_pictures_of_their_own(client):
    path = add(client, samples.multi_frame("a", frames=3))
    pictures = {client.get(f"{path}/frames/{n}/image-uint16").content for n in range(3)}
    assert len(pictures) == 3
    assert client.get(f"{path}/image-uint16").content in pictures


@pytest.mark.parametrize("kind", ["preview", "rendered", "image-uint8", "frames/0/preview"])
def test_what_is_no_picture_answers_415_as_orthanc_does(client, kind):
    assert_refused(client, add(client, samples.pdf("a")) + f"/{kind}", 415)


def test_colours_have_no_plain_numbers(client):
    path = add(client, samples.colour("a"))
    assert Image.open(io.BytesIO(client.get(f"{path}/preview").content)).mode == "RGB"
    assert_refused(client, f"{path}/image-uint8", 415)


def pixels(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_every_file_can_be_stored_browsed_and_told_or_is_refused_with_a_reason(client, any_file):
    answer = client.post("/instances", content=any_file.read_bytes())
    assert answer.status_code in (200, 400), answer.text
    told = answer.json()
    if answer.status_code == 400:
        assert told["OrthancStatus"] == 15
        assert told["Details"]
        return
    if isinstance(told, list):
        return
    path = told["Path"]
    assert client.get(f"{path}/file").content == any_file.read_bytes()
    full = get(client, f"{path}/tags")
    assert full["0020,000d"]["Name"] == "StudyInstanceUID"
    assert get(client, f"{path}/tags?short").keys() == full.keys()
    names = {element["Name"] for element in full.values()}
    assert get(client, f"{path}/simplified-tags").keys() == names
    for level in ("patient", "study", "series"):
        assert get(client, f"{path}/{level}")["Type"] == level.capitalize()
    for name in ("header", "content", "frames", "metadata?expand", "statistics"):
        get(client, f"{path}/{name}")
    assert client.get(f"{path}/preview").status_code in (200, 415)
    assert client.delete(path).json() == {"RemainingAncestor": None}


def test_ids_of_an_instance_are_those_of_its_path(client, path):
    assert path == f"/instances/{ids_of('a')[3]}"
