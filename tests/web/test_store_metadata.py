"""Store transaction with metadata and bulk data, PS3.18 10.5.1.4 and 10.5.2."""

import io
import json
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import bodies, frames_of, get
from tests.helpers.http.store import JSON, XML, as_json, as_xml, bulk, metadata_of, pixels_of, send

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"


def stored_file(client, study: str = "a") -> pydicom.Dataset:
    (content,) = bodies(client, samples.path(study))
    return pydicom.dcmread(io.BytesIO(content))


@pytest.mark.parametrize("kind", [JSON, XML])
def test_metadata_and_pixels_become_the_instance_that_they_are(client, kind):
    content = samples.ct("a")
    metadata = metadata_of(content)
    part = as_json(metadata) if kind == JSON else as_xml(metadata)

    answer = send(client, part, bulk(pixels_of(content)), kind=kind)

    assert (answer.status_code, wire.stored(answer)) == (200, [samples.sop_uid("a")])
    found, sent = stored_file(client), pydicom.dcmread(io.BytesIO(content))
    assert found == sent
    assert found.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert found.file_meta.MediaStorageSOPInstanceUID == samples.sop_uid("a")


def test_the_same_request_again_is_a_success(client):
    content = samples.ct("a")
    parts = as_json(metadata_of(content)), bulk(pixels_of(content))
    assert send(client, *parts).status_code == 200
    assert send(client, *parts).status_code == 200


def test_several_instances_come_in_one_array_and_their_bulk_data_in_any_order(client):
    files = samples.ct_series("a", 3)
    datasets = [metadata_of(content, f"http://example.org/{i}") for i, content in enumerate(files)]
    parts = [bulk(pixels_of(content), f"http://example.org/{i}") for i, content in enumerate(files)]
    answer = send(client, as_json(*datasets), *reversed(parts))
    assert (answer.status_code, len(wire.stored(answer))) == (200, 3)


def test_xml_may_alternate_with_bulk_data_and_come_after_it(client):
    parts = []
    for number, content in enumerate(samples.ct_series("a", 3)):
        parts += [
            bulk(pixels_of(content), f"#{number}"),
            as_xml(metadata_of(content, f"#{number}")),
        ]
    assert send(client, *parts, kind=XML).status_code == 200


def test_an_instance_without_bulk_data_is_its_metadata(client):
    dataset = samples.dataset("a", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    found = {tag: e for tag, e in json.loads(dataset.to_json()).items() if tag[:4] != "0028"}
    assert send(client, as_json(found)).status_code == 200


def test_bulk_data_in_sequences_and_of_text_is_put_in_its_place(client):
    content = samples.ct("a")
    metadata = metadata_of(content)
    metadata["54000100"] = {
        "vr": "SQ", "Value": [{"54001010": {"vr": "OW", "BulkDataURI": "wave"}}]
    }  # fmt: skip
    metadata["00104000"] = {"vr": "LT", "BulkDataURI": "cid:comment"}
    comment = ({"Content-ID": "<comment>"}, "Prüfung".encode())
    wave = bytes(range(256)) * 8
    answer = send(client, as_json(metadata), bulk(pixels_of(content)), bulk(wave, "wave"), comment)
    assert answer.status_code == 200
    found = stored_file(client)
    assert found.WaveformSequence[0].WaveformData == wave
    assert found.PatientComments == "Prüfung"
    assert found.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(
    ("make", "kind", "syntax"),
    [
        (samples.jpeg, "image/jpeg", JPEG_BASELINE),
        (samples.jpeg_2000, "image/jp2", JPEG_2000),
        (lambda study, frames: samples.run_length(study), "image/dicom-rle", RLE),
    ],
    ids=["JPEG", "JPEG 2000", "RLE"],
)
def test_compressed_pixels_keep_their_bytes_and_tell_the_transfer_syntax(
    client, make, kind, syntax, named
):
    content = make("a", frames=1)
    frames = frames_of(content)
    kind += f"; transfer-syntax={syntax}" if named else ""
    parts = [bulk(frame, kind=kind) for frame in frames]
    answer = send(client, as_json(metadata_of(content)), *parts)
    assert answer.status_code == 200, answer.text
    (stored,) = bodies(client, samples.path("a"))
    assert pydicom.dcmread(io.BytesIO(stored)).file_meta.TransferSyntaxUID == syntax
    assert frames_of(stored) == frames


def picture(kind: str, array: np.ndarray, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, kind, **options)
    return out.getvalue()


def without_description(study: str = "a") -> dict[str, Any]:
    metadata = metadata_of(samples.ct(study))
    return {tag: element for tag, element in metadata.items() if not tag.startswith("0028")}


def test_the_description_of_pixels_may_be_left_to_us(client):
    grey = picture("JPEG", np.full((12, 20), 99, np.uint8))
    answer = send(client, as_json(without_description()), bulk(grey, kind="image/jpeg"))
    assert answer.status_code == 200, answer.text
    found = stored_file(client)
    assert (found.Rows, found.Columns, found.SamplesPerPixel) == (12, 20, 1)
    assert (found.BitsAllocated, found.BitsStored, found.HighBit) == (8, 8, 7)
    assert (found.PhotometricInterpretation, found.LossyImageCompression) == ("MONOCHROME2", "01")
    assert get(client, samples.path("a") + "/rendered").status_code == 200


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_png_is_unpacked_without_loss(client, dtype):
    pixels = (np.arange(30 * 20).reshape(30, 20) * 7).astype(dtype)
    answer = send(
        client, as_json(without_description()), bulk(picture("PNG", pixels), kind="image/png")
    )
    assert answer.status_code == 200, answer.text
    found = stored_file(client)
    assert found.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert (found.pixel_array == pixels).all()
    assert "LossyImageCompression" not in found


def test_a_png_with_transparency_loses_only_that(client):
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 1] = 200
    answer = send(
        client, as_json(without_description()), bulk(picture("PNG", pixels), kind="image/png")
    )
    assert answer.status_code == 200, answer.text
    assert (stored_file(client).pixel_array == pixels[..., :3]).all()


def test_a_moving_gif_becomes_frames(client):
    frames = [Image.fromarray(np.full((10, 10), 60 * i, np.uint8)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    answer = send(client, as_json(without_description()), bulk(out.getvalue(), kind="image/gif"))
    assert answer.status_code == 200, answer.text
    found = stored_file(client)
    assert (found.NumberOfFrames, found.pixel_array.shape[:3]) == (3, (3, 10, 10))


def test_frames_come_in_parts_of_their_own_by_name_or_in_order(client):
    frames = [picture("JPEG", np.full((8, 8), 50 * i, np.uint8)) for i in range(3)]
    for study, names in (("a", ["u"] * 3), ("b", ["u/frames/2", "u/frames/1", "u/frames/3"])):
        metadata = without_description(study)
        metadata["7FE00010"]["BulkDataURI"] = "u"
        metadata["00280008"] = {"vr": "IS", "Value": [3]}
        order = [1, 0, 2] if study == "b" else [0, 1, 2]
        parts = [bulk(frames[i], name, "image/jpeg") for i, name in zip(order, names, strict=True)]
        assert send(client, as_json(metadata), *parts).status_code == 200
        (content,) = bodies(client, samples.path(study))
        assert [frame.rstrip(b"\0") for frame in frames_of(content)] == [
            frame.rstrip(b"\0") for frame in frames
        ]


def test_what_contradicts_the_pixels_is_corrected_with_a_warning(client):
    metadata = metadata_of(samples.ct("a"))
    metadata["00280010"]["Value"] = [4000]
    grey = picture("JPEG", np.full((16, 16), 99, np.uint8))
    answer = send(client, as_json(metadata), bulk(grey, kind="image/jpeg"))
    assert answer.status_code == 202
    (item,) = wire.items(answer.json(), "00081199")
    assert wire.value(item, "00081196") == 0xB000
    original = wire.value(item, "04000561")
    assert wire.value(wire.value(original, "04000550"), "00280010") == 4000
    found = stored_file(client)
    assert found.Rows == 16
    assert found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].Rows == 4000


def test_an_instance_with_two_warnings_is_answered_with_both(client):
    wire.must_store(client, samples.ct("a", PatientID="ONE"))
    metadata = metadata_of(samples.ct("a", instance=2, PatientID="TWO"))
    metadata["00280010"]["Value"] = [4000]
    grey = picture("JPEG", np.full((16, 16), 99, np.uint8))
    answer = send(client, as_json(metadata), bulk(grey, kind="image/jpeg"))
    (item,) = wire.items(answer.json(), "00081199")
    assert wire.value(item, "00081196") == 0xB000
    assert "another Patient ID" in wire.value(item, "00000902")
    assert "another Patient ID" in wire.value(item, "00091001")
    assert "Corrected by the bulk data: 00280010." in wire.value(item, "00091001")
    assert wire.value(wire.value(item, "04000561"), "04000550")


def test_what_has_no_place_in_an_instance_is_left_out_with_a_warning(client):
    content = samples.ct("a")
    metadata = metadata_of(content) | {"00000002": {"vr": "UI", "Value": ["1.2"]}}
    metadata["00020010"] = {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]}
    answer = send(client, as_json(metadata), bulk(pixels_of(content)))
    assert answer.status_code == 202
    (item,) = wire.items(answer.json(), "00081199")
    assert wire.value(item, "00081196") == 0xB006
    assert "00000002" in wire.value(item, "00000902")


def test_who_prefers_no_answer_gets_none_unless_there_is_something_to_say(client):
    content = samples.ct("a")
    parts = as_json(metadata_of(content)), bulk(pixels_of(content))
    answer = send(client, *parts, Prefer="return=minimal")
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["preference-applied"] == "return=minimal"
    assert send(client, *parts, bulk(b"x", "y"), Prefer="return=minimal").status_code == 202


def test_instances_of_another_study_are_refused(client):
    content = samples.ct("a")
    answer = send(
        client, as_json(metadata_of(content)), bulk(pixels_of(content)),
        path=f"/studies/{samples.study_uid('b')}",
    )  # fmt: skip
    assert (answer.status_code, wire.failed(answer)) == (409, [(samples.sop_uid("a"), 0x0110)])


def test_hundreds_of_small_parts_are_stored_batch_by_batch(client):
    count = 300
    content = samples.ct("a")
    metadata = metadata_of(content)
    datasets = []
    for number in range(count):
        own = {"00080018": {"vr": "UI", "Value": [f"1.2.3.{number}"]}}
        own["7FE00010"] = {"vr": "OW", "BulkDataURI": f"b/{number}"}
        datasets.append(metadata | own)
    pixels = pixels_of(content)
    answer = send(client, as_json(*datasets), *[bulk(pixels, f"b/{n}") for n in range(count)])
    assert (answer.status_code, len(wire.stored(answer))) == (200, count)


def test_what_we_serve_can_be_stored_again(client):
    """Metadata and bulk data as retrieved make the same instance under another UID."""
    wire.must_store(client, samples.enhanced("a"))
    (metadata,) = get(client, samples.path("a") + "/metadata").json()
    metadata["00080018"]["Value"] = ["1.2.3.4"]
    uri = metadata["7FE00010"]["BulkDataURI"]
    pixels = client.get(uri, headers={"Accept": "application/octet-stream"}).content
    answer = send(client, as_json(metadata), bulk(pixels, uri))
    assert answer.status_code == 200, answer.text
    path = samples.path("a").rpartition("/")[0] + "/1.2.3.4/metadata"
    (found,) = get(client, path).json()
    del found["7FE00010"], metadata["7FE00010"]
    assert found == metadata
