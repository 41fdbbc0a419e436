"""Images of which no frame, or not every frame, can be had: 406 with the reason, never a guess."""

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from tests.helpers import samples, wire
from tests.helpers.http.retrieve import ANY_DICOM, bodies, get

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
COMPRESSED = [*(JPEG + str(end) for end in (50, 57, 70, 80, 81, 90, 91, 201, 202, 203)), RLE]
FRAMES = ["image/jpeg", "image/jls", "image/jp2", "image/jphc", "image/dicom-rle"]


def native(label: str, length: int, samples_per_pixel: int = 1) -> bytes:
    """An image of 16 by 16 with only so many bytes of pixels."""
    pixels = np.zeros((1, 16, 16, 3)[: 3 + (samples_per_pixel > 1)], np.uint8)
    photometric = "RGB" if samples_per_pixel == 3 else "MONOCHROME2"
    image = samples.with_pixels(samples.dataset(label), pixels, photometric=photometric)
    image.PixelData = bytes(length)
    return samples.encode(image)


def with_fragments(label: str, syntax: str, *fragments: bytes, **attributes: object) -> bytes:
    """An image of 16 by 16 with these fragments."""
    image = samples.with_pixels(samples.dataset(label), np.zeros((1, 16, 16), np.uint8))
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.PixelData = encapsulate(list(fragments)) if fragments else b"\xfe\xff\x00\xe0" + bytes(4)
    image["PixelData"].is_undefined_length = True
    return samples.encode(image, syntax)


def without_item(label: str) -> bytes:
    """An image whose encapsulated Pixel Data has not even an offset table."""
    content = with_fragments(label, RLE)
    return content.replace(b"\xfe\xff\x00\xe0" + bytes(4), b"")


DAMAGED = {
    "short": native("short", 100),
    "a row short": native("a row short", 240),
    "a third of RGB": native("a third of RGB", 256, 3),
    "no fragment": with_fragments("no fragment", JPEG + "50"),
    "no item": without_item("no item"),
}


def wado(client, label: str, syntax: str):
    return client.get("/wado", params={
        "requestType": "WADO", "studyUID": samples.study_uid(label),
        "seriesUID": samples.series_uid(label), "objectUID": samples.sop_uid(label),
        "contentType": "application/dicom", "transferSyntax": syntax,
    })  # fmt: skip


def assert_refused(answer, *words: str) -> None:
    wire.assert_error(answer, 406)
    assert all(word in answer.json()["detail"] for word in words), answer.text


@pytest.mark.parametrize("label", DAMAGED)
def test_an_image_without_a_whole_frame_goes_out_as_stored_and_else_is_refused(client, label):
    wire.must_store(client, DAMAGED[label])
    url, reason = samples.path(label), "pixel data holds"

    for syntax in COMPRESSED:
        if syntax == pydicom.dcmread(io.BytesIO(DAMAGED[label])).file_meta.TransferSyntaxUID:
            continue
        for kind in ("multipart/related; type=application/dicom", "application/dicom"):
            assert_refused(get(client, url, f"{kind}; transfer-syntax={syntax}"), reason)
        zipped = get(client, url, f"application/zip; transfer-syntax={syntax}")
        assert_refused(zipped, reason)
        assert_refused(wado(client, label, syntax), reason)
    for media_type in (*FRAMES, "*/*"):
        accept = f'multipart/related; type="{media_type}"'
        assert_refused(get(client, f"{url}/frames/1", accept), reason)
    for view in ("/rendered", "/frames/1/rendered"):
        assert_refused(get(client, url + view), reason)
    assert bodies(client, url, ANY_DICOM) == [DAMAGED[label]]


def test_frames_without_a_beginning_of_their_codec_are_refused_and_the_others_shown(client):
    whole = pydicom.dcmread(io.BytesIO(samples.jpeg("broken", frames=3)))
    streams = list(generate_frames(whole.PixelData, number_of_frames=3))
    streams[1] = bytes(max(len(streams[1]), whole.Rows * whole.Columns))
    whole.PixelData = encapsulate(streams)
    wire.must_store(client, samples.encode(whole, JPEG + "50"))
    url = samples.path("broken")

    for number, status in ((1, 200), (2, 406), (3, 200)):
        for view in ("rendered", "thumbnail"):
            assert get(client, f"{url}/frames/{number}/{view}").status_code == status
        plain = get(client, f"{url}/frames/{number}", "application/octet-stream")
        assert plain.status_code == status
    assert_refused(get(client, f"{url}/frames/2/rendered"), "damaged", "JPEG Baseline")


def test_native_pixels_that_a_writer_forgot_to_compress_are_shown(client):
    pixels = bytes(range(256))
    wire.must_store(client, with_fragments("forgotten", JPEG + "70", pixels))

    (frame,) = bodies(client, samples.path("forgotten") + "/frames/1",
                      "multipart/related; type=application/octet-stream")  # fmt: skip
    assert frame == pixels


STREAMS = {
    JPEG + "50": samples.jpeg("mislabelled", frames=1),
    JPEG + "90": samples.jpeg_2000("mislabelled", frames=1),
    RLE: samples.run_length("mislabelled"),
}


def mislabelled(content: bytes) -> bytes:
    """The file with compressed pixels, called one of Explicit VR Little Endian."""
    whole: Dataset = pydicom.dcmread(io.BytesIO(content))
    syntax = whole.file_meta.TransferSyntaxUID
    place = content.index(syntax.encode())
    size = len(syntax) + len(syntax) % 2
    named = EXPLICIT.encode() + b"\0"
    head = content[: place - 2] + len(named).to_bytes(2, "little") + named
    group = content.index(b"\x02\x00\x00\x00UL\x04\x00") + 8
    length = int.from_bytes(content[group : group + 4], "little") + len(named) - size
    head = head[:group] + length.to_bytes(4, "little") + head[group + 4 :]
    return head + content[place + size :]


@pytest.mark.parametrize("syntax", STREAMS)
def test_compressed_pixels_in_a_file_of_a_native_syntax_are_recognised(client, syntax):
    whole = STREAMS[syntax]
    wire.must_store(client, whole)
    url = samples.path("mislabelled")
    plain = "multipart/related; type=application/octet-stream"
    right = {view: get(client, url + view, "image/png").content
             for view in ("/rendered", "/frames/1/rendered")}  # fmt: skip
    values = bodies(client, url + "/frames/1", plain)
    as_stored = bodies(client, url + "/frames/1")
    assert client.delete(wire.DICOMWEB + url).is_success
    file = mislabelled(whole)
    wire.must_store(client, file)

    assert bodies(client, url, ANY_DICOM) == [file]
    answer = get(client, url + "/frames/1")
    ((headers, body),) = wire.parts(answer)
    assert headers["Content-Type"].endswith(f"transfer-syntax={syntax}")
    assert [body] == as_stored
    for view, expected in right.items():
        assert get(client, url + view, "image/png").content == expected
    assert bodies(client, url + "/frames/1", plain) == values
    (made,) = bodies(client, url, f"multipart/related; type=application/dicom;"
                     f" transfer-syntax={DEFLATED}")  # fmt: skip
    assert pydicom.dcmread(io.BytesIO(made)).PixelData.rstrip(b"\0") == values[0].rstrip(b"\0")


BARE = {
    JPEG + "50": lambda grey: _pillow(grey, "JPEG"),
    JPEG + "90": lambda grey: _pillow(grey, "JPEG2000", irreversible=False),
    JPEG + "80": imagecodecs.jpegls_encode,
    JPEG + "112": lambda grey: imagecodecs.jpegxl_encode(grey, lossless=True),
}


def _pillow(grey: np.ndarray, name: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(grey).save(file, name, **options)
    return file.getvalue()


@pytest.mark.parametrize("syntax", BARE)
def test_an_image_without_items_in_a_file_of_a_native_syntax_is_recognised(client, syntax):
    grey = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    stream = BARE[syntax](grey)
    assert len(stream) < grey.size
    base = samples.with_pixels(samples.dataset("bare"), grey[None], photometric="MONOCHROME2")
    base.PixelData = stream + b"\0" * (len(stream) % 2)
    file = samples.encode(base)
    wire.must_store(client, file)
    url = samples.path("bare")

    assert bodies(client, url, ANY_DICOM) == [file]
    ((headers, body),) = wire.parts(get(client, url + "/frames/1"))
    assert headers["Content-Type"].endswith(f"transfer-syntax={syntax}")
    assert body.rstrip(b"\0") == stream.rstrip(b"\0")
    (values,) = bodies(
        client, url + "/frames/1", "multipart/related; type=application/octet-stream"
    )
    tolerance = 3 if syntax == JPEG + "50" else 0
    shown = np.frombuffer(values, np.uint8).reshape(64, 64).astype(int)
    assert np.abs(shown - grey).max() <= tolerance
    assert get(client, url + "/rendered", "image/png").status_code == 200
    (made,) = bodies(client, url, f"multipart/related; type=application/dicom;"
                     f" transfer-syntax={DEFLATED}")  # fmt: skip
    assert pydicom.dcmread(io.BytesIO(made)).PixelData == values


def test_fragments_of_no_known_codec_under_a_native_syntax_are_refused_with_the_reason(client):
    wire.must_store(client, with_fragments("unknown", JPEG + "50", b"\x01\x02\x03\x04" * 8))
    wire.must_store(client, mislabelled(with_fragments("nobody's", JPEG + "50", b"\x01\x02" * 8)))

    for label in ("unknown", "nobody's"):
        assert_refused(get(client, samples.path(label) + "/rendered"), "begin as")


def test_four_samples_that_are_no_known_colours_are_refused(client):
    pixels = np.full((1, 16, 16, 4), 200, np.uint8)
    image = samples.with_pixels(samples.dataset("four"), pixels, photometric="RGB")
    wire.must_store(client, samples.encode(image))

    assert_refused(get(client, samples.path("four") + "/rendered"), "four samples", "RGB")


def cmyk(colour: tuple[int, int, int, int]) -> bytes:
    """A JPEG of four inks, as Adobe's programs write it: inverted."""
    file = io.BytesIO()
    Image.new("CMYK", (16, 16), colour).save(file, "JPEG", quality=100)
    return file.getvalue()


def test_a_jpeg_of_four_inks_is_shown_in_its_colours(client):
    wire.must_store(client, with_fragments(
        "cmyk", JPEG + "50", cmyk((255, 0, 0, 0)), SamplesPerPixel=4,
        PhotometricInterpretation="CMYK", PlanarConfiguration=0,
    ))  # fmt: skip

    answer = get(client, samples.path("cmyk") + "/rendered", "image/png")
    assert answer.status_code == 200, answer.text
    shown = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.abs(shown.astype(int) - (0, 255, 255)).max() <= 3


def test_an_instance_that_names_its_class_in_the_file_meta_alone_can_lose_information(client):
    image = samples.with_pixels(samples.dataset("classless"), np.zeros((1, 16, 16), np.uint8))
    file = samples.encode(image)
    element = b"\x08\x00\x16\x00UI"
    start = file.index(element)
    stop = start + 8 + int.from_bytes(file[start + 6 : start + 8], "little")
    wire.must_store(client, file[:start] + file[stop:])

    accept = f"multipart/related; type=application/dicom; transfer-syntax={JPEG}50"
    (made,) = bodies(client, samples.path("classless"), accept)
    (source,) = pydicom.dcmread(io.BytesIO(made)).SourceImageSequence
    assert source.ReferencedSOPClassUID == samples.CT_IMAGE_STORAGE
