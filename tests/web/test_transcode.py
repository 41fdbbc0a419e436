"""Instances and frames in another transfer syntax than they are stored in, PS3.18 8.7.3.5."""

import io
import zipfile
from functools import partial

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from tests.helpers import samples, wire
from tests.helpers.files.deflated_frames import deflated_bits
from tests.helpers.files.jpeg_2000 import jpeg_2000
from tests.helpers.http.retrieve import get

EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG = "1.2.840.10008.1.2.4."
RLE = "1.2.840.10008.1.2.5"
LOSSLESS = [JPEG + suffix for suffix in ("57", "70", "80", "90", "201", "202", "203")] + [RLE]
LARGE = 1_000_000
LOSSY = {
    JPEG + "50": ("ISO_10918_1", "jpeg"),
    JPEG + "81": ("ISO_14495_1", "jpegls"),
    JPEG + "91": ("ISO_15444_1", "jpeg2k"),
}
MEDIA_TYPES = {
    "image/jpeg": JPEG + "70",
    "image/jls": JPEG + "80",
    "image/jp2": JPEG + "90",
    "image/jphc": JPEG + "201",
    "image/dicom-rle": RLE,
}


def signed(label: str, bits: int = 16) -> bytes:
    pixels = samples.ramp(19, 23, seed=label).astype(np.int16) - 2048
    base = samples.dataset(label, RescaleIntercept=0)
    return samples.encode(samples.with_pixels(base, pixels, bits_stored=bits, signed=True))


def overlaid(label: str) -> bytes:
    """Twelve bits in use, and something else in the four above them."""
    pixels = samples.ramp(seed=label) | 0xA000
    return samples.encode(samples.with_pixels(samples.dataset(label), pixels, bits_stored=12))


FILES = {
    "12 bits": samples.ct("12 bits"),
    "implicit": samples.ct("implicit", transfer_syntax="1.2.840.10008.1.2"),
    "big endian": samples.ct("big endian", transfer_syntax="1.2.840.10008.1.2.2"),
    "deflated": samples.ct("deflated", transfer_syntax=DEFLATED),
    "signed 16": signed("signed 16"),
    "signed 12": signed("signed 12", bits=12),
    "overlay": overlaid("overlay"),
    "frames": samples.multi_frame("frames", 3),
    "colour": samples.colour("colour", frames=2),
    "YBR_FULL": samples.colour("YBR_FULL", "YBR_FULL"),
    "palette": samples.palette("palette"),
    "JPEG 2000": samples.jpeg_2000("JPEG 2000"),
    "RLE": samples.run_length("RLE"),
}


def retrieve(client, label, syntax):
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    answer = get(client, samples.path(label), accept)
    assert answer.status_code == 200, answer.text
    ((headers, body),) = wire.parts(answer)
    assert headers["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"
    return pydicom.dcmread(io.BytesIO(body))


DECODERS = {
    JPEG + "57": imagecodecs.jpegsof3_decode,
    JPEG + "70": imagecodecs.jpegsof3_decode,
    JPEG + "80": imagecodecs.jpegls_decode,
    JPEG + "81": imagecodecs.jpegls_decode,
    JPEG + "201": partial(imagecodecs.htj2k_decode, planar=False),
    JPEG + "202": partial(imagecodecs.htj2k_decode, planar=False),
    JPEG + "203": partial(imagecodecs.htj2k_decode, planar=False),
}


def values(dataset):
    """The stored values of all frames: frames, rows, columns and perhaps samples.

    Not decoded as the server does it, and without a conversion of colours; bits that are not in
    use are nobody's business.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    shape = [int(dataset.get("NumberOfFrames") or 1), dataset.Rows, dataset.Columns]
    if dataset.SamplesPerPixel > 1:
        shape.append(dataset.SamplesPerPixel)
    kind = "i" if dataset.PixelRepresentation else "u"
    word = np.dtype(f"{kind}{dataset.BitsAllocated // 8}")
    if decoder := DECODERS.get(syntax):
        frames = generate_frames(dataset.PixelData, number_of_frames=shape[0])
        found = np.stack([decoder(frame) for frame in frames]).view(word)
    elif syntax.is_encapsulated:
        found = pixel_array(dataset, raw=dataset.SamplesPerPixel > 1)
    else:
        word = word.newbyteorder("<" if syntax.is_little_endian else ">")
        found = np.frombuffer(dataset.PixelData, word, np.prod(shape)).astype(
            word.newbyteorder("=")
        )
    unused = dataset.BitsAllocated - dataset.BitsStored
    found = found.reshape(shape)
    return (found << unused) >> unused if unused else found


def pictures(dataset):
    """The values, in the colours that the codecs give: what both sides should agree about."""
    return values(dataset).astype(np.int64)


@pytest.mark.parametrize("syntax", [EXPLICIT, DEFLATED, *LOSSLESS])
@pytest.mark.parametrize("label", FILES)
def test_without_loss_every_value_is_the_same(client, label, syntax):
    wire.must_store(client, FILES[label])
    original = pydicom.dcmread(io.BytesIO(FILES[label]))

    converted = retrieve(client, label, syntax)

    assert converted.file_meta.TransferSyntaxUID == syntax
    assert (pictures(converted) == pictures(original)).all()
    assert converted.SOPInstanceUID == original.SOPInstanceUID
    assert converted.get("LossyImageCompression") == original.get("LossyImageCompression")
    assert attributes(converted) == attributes(original)


def attributes(dataset):
    """All but what has to change with the transfer syntax."""
    changing = {"PixelData", "PhotometricInterpretation", "PlanarConfiguration", "HighBit"}
    return {e.keyword or e.tag: e.value for e in dataset if e.keyword not in changing}


@pytest.mark.parametrize(
    ("syntax", "photometric"),
    [
        (EXPLICIT, "RGB"),
        (RLE, "RGB"),
        (JPEG + "70", "RGB"),
        (JPEG + "80", "RGB"),
        (JPEG + "90", "YBR_RCT"),
        (JPEG + "201", "YBR_RCT"),
        (JPEG + "91", "YBR_ICT"),
        (JPEG + "50", "YBR_FULL_422"),
    ],
)
def test_the_photometric_interpretation_says_what_the_codec_did(client, syntax, photometric):
    wire.must_store(client, FILES["colour"])

    assert retrieve(client, "colour", syntax).PhotometricInterpretation == photometric


@pytest.mark.parametrize("syntax", LOSSY)
def test_a_lossy_version_is_an_instance_of_its_own(client, syntax):
    pixels = (samples.ramp(64, 64, seed=1) >> 4).astype(np.uint8)
    base = samples.dataset("lossy", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    file = samples.encode(samples.with_pixels(base, pixels))
    wire.must_store(client, file)

    lossy = retrieve(client, "lossy", syntax)

    assert lossy.LossyImageCompression == "01"
    assert lossy.LossyImageCompressionMethod == LOSSY[syntax][0]
    assert float(lossy.LossyImageCompressionRatio) == pytest.approx(
        pixels.size / len(lossy.PixelData), rel=0.1
    )
    assert list(lossy.ImageType) == ["DERIVED", "PRIMARY", "AXIAL"]
    assert lossy.SOPInstanceUID != base.SOPInstanceUID
    assert lossy.file_meta.MediaStorageSOPInstanceUID == lossy.SOPInstanceUID
    (source,) = lossy.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == base.SOPInstanceUID
    assert retrieve(client, "lossy", syntax).SOPInstanceUID == lossy.SOPInstanceUID
    assert np.abs(pictures(lossy) - pixels[0]).mean() < 8


def test_lossy_jpeg_2000_keeps_the_sign(client):
    wire.must_store(client, FILES["signed 16"])

    lossy = retrieve(client, "signed 16", JPEG + "91")

    original = pictures(pydicom.dcmread(io.BytesIO(FILES["signed 16"])))
    assert np.abs(pictures(lossy) - original).max() < 200


@pytest.mark.parametrize(
    ("label", "syntax"),
    [("12 bits", JPEG + "50"), ("palette", JPEG + "50"), ("palette", JPEG + "91")],
)
def test_a_syntax_that_cannot_hold_the_pixels_is_refused(client, label, syntax):
    wire.must_store(client, FILES[label])

    accept = f"application/dicom; transfer-syntax={syntax}"
    wire.assert_error(get(client, samples.path(label), accept), 406)


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_frames_come_in_every_image_type(client, media_type):
    wire.must_store(client, FILES["frames"])
    accept = f'multipart/related; type="{media_type}"'

    answer = get(client, samples.path("frames") + "/frames/3,1", accept)

    found = wire.parts(answer)
    syntax = MEDIA_TYPES[media_type]
    expected = f"{media_type}; transfer-syntax={syntax}"
    assert [headers["Content-Type"] for headers, _ in found] == [expected] * 2
    whole = retrieve(client, "frames", syntax)
    frames = list(generate_frames(whole.PixelData, number_of_frames=3))
    assert [body + b"\0" * (len(body) % 2) for _, body in found] == [frames[2], frames[0]]


def test_what_has_no_pixels_goes_out_uncompressed_among_what_has(client):
    wire.must_store(client, samples.ct("mixed"), samples.encode(samples.dataset("mixed", 1, 2)))
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={JPEG}80'

    found = wire.parts(get(client, f"/studies/{samples.study_uid('mixed')}", accept))

    syntaxes = {pydicom.dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID for _, body in found}
    assert syntaxes == {JPEG + "80", EXPLICIT}
    for headers, body in found:
        syntax = pydicom.dcmread(io.BytesIO(body)).file_meta.TransferSyntaxUID
        assert headers["Content-Type"] == f"application/dicom; transfer-syntax={syntax}"


def test_a_zip_may_be_transcoded_too(client):
    wire.must_store(client, FILES["frames"])

    answer = get(client, samples.path("frames"), f"application/zip; transfer-syntax={JPEG}90")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (name,) = archive.namelist()
        dataset = pydicom.dcmread(io.BytesIO(archive.read(name)))
    assert dataset.file_meta.TransferSyntaxUID == JPEG + "90"


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
@pytest.mark.parametrize("columns", range(1, 18))
def test_frames_of_single_bits_follow_each_other_without_padding(client, columns, frames):
    label = f"bits {columns} {frames}"
    content = deflated_bits(label, 1, columns, frames)
    wire.must_store(client, content)
    got = retrieve(client, label, EXPLICIT)
    expected = samples.ramp(1, columns, frames, label) // 3 % 2
    packed = np.packbits(expected.astype(np.uint8).ravel(), bitorder="little").tobytes()
    assert got.PixelData == packed + b"\0" * (len(packed) % 2)
    assert (pixel_array(got).ravel() == expected.ravel()).all()


def syntaxes_in(archive: bytes) -> dict[str, str]:
    """The transfer syntax of each instance of a zip."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        files = [pydicom.dcmread(io.BytesIO(opened.read(name))) for name in opened.namelist()]
    return {str(file.SOPInstanceUID): str(file.file_meta.TransferSyntaxUID) for file in files}


@pytest.mark.parametrize("syntax", [EXPLICIT, JPEG + "90"])
def test_an_archive_of_orthanc_is_transcoded_except_for_what_cannot_be(client, syntax):
    wire.must_store(client, jpeg_2000("zip", 1, broken=(1,)), jpeg_2000("zip", 2))
    wire.must_store(client, samples.ct("zip", series=2))
    (study,) = client.get("/studies").json()

    answer = client.get(f"/studies/{study}/archive?transcode={syntax}")

    assert answer.status_code == 200
    assert syntaxes_in(answer.content) == {
        samples.sop_uid("zip", 1, 1): JPEG + "90",
        samples.sop_uid("zip", 1, 2): syntax,
        samples.sop_uid("zip", 2, 1): syntax,
    }


def test_a_file_of_orthanc_is_transcoded(client):
    wire.must_store(client, samples.ct("file"))
    (instance,) = client.get("/instances").json()
    path = f"/instances/{instance}/file?transcode="
    answer = client.get(path + JPEG + "80")
    dataset = pydicom.dcmread(io.BytesIO(answer.content))
    assert dataset.file_meta.TransferSyntaxUID == JPEG + "80"
    compare(samples.ct("file"), answer.content)
    assert client.get(path + EXPLICIT).content == samples.ct("file")


def test_a_damaged_file_of_orthanc_is_not_transcoded(client):
    wire.must_store(client, jpeg_2000("file", 1, broken=(1,)))
    (instance,) = client.get("/instances").json()
    assert client.get(f"/instances/{instance}/file?transcode={EXPLICIT}").status_code == 406


@pytest.mark.parametrize("syntax", ["", "jpeg", "1.2.3", JPEG + "100"])
def test_orthanc_s_transcode_is_refused_where_nothing_can_be_written_in_it(client, syntax):
    wire.must_store(client, samples.ct("file"))
    for collection, resource in (("instances", "file"), ("studies", "archive")):
        (identifier,) = client.get(f"/{collection}").json()
        answer = client.get(f"/{collection}/{identifier}/{resource}?transcode={syntax}")
        assert answer.status_code == 400
        assert EXPLICIT in answer.text


def test_a_single_part_has_a_tag_for_each_transfer_syntax(client):
    wire.must_store(client, FILES["12 bits"])
    tags = set()
    for syntax in (EXPLICIT, JPEG + "80", JPEG + "90"):
        accept = f"application/dicom; transfer-syntax={syntax}"
        answer = get(client, samples.path("12 bits"), accept)
        tags.add(answer.headers["etag"])
        again = client.get(
            answer.request.url, headers={"accept": accept, "if-none-match": answer.headers["etag"]}
        )
        assert again.status_code == 304

    assert len(tags) == 3


# pydicom warns of what is odd in a file, which is not asked about here.
@pytest.mark.filterwarnings("ignore")
def test_every_file_keeps_its_values_or_is_refused(client, any_file):
    """What pydicom can decode is compared; the rest must not fail in another way."""
    content = any_file.read_bytes()
    if len(content) > LARGE:
        pytest.skip("large, and much like the others")
    answer = wire.store(client, content)
    if answer.status_code != 200:
        pytest.skip("not a file that is stored")
    url = wire.value(wire.items(answer.json(), "00081199")[0], "00081190")
    # Each file in one of them: all syntaxes have their turn, and nobody waits for minutes.
    syntax = (EXPLICIT, *LOSSLESS)[sum(any_file.name.encode()) % (1 + len(LOSSLESS))]
    answer = client.get(url, headers={"accept": f"application/dicom; transfer-syntax={syntax}"})
    assert answer.status_code in (200, 406), answer.text
    if answer.status_code == 200:
        compare(content, answer.content)


def compare(original: bytes, converted: bytes) -> None:
    after = pydicom.dcmread(io.BytesIO(converted), force=True)
    try:
        before = pydicom.dcmread(io.BytesIO(original), force=True)
        expected = pixel_array(before, raw=False)
    except Exception:  # whatever pydicom cannot decode it cannot judge
        return
    if before.BitsAllocated == 1:
        assert (pixel_array(after) == expected).all()
        return
    if expected.ndim - (int(before.get("NumberOfFrames") or 1) > 1) > 2:
        return  # codecs that turn colours into RGB differ by one from each other
    if before.file_meta.TransferSyntaxUID in (JPEG + "90", JPEG + "91"):
        first = next(
            generate_frames(before.PixelData, number_of_frames=before.get("NumberOfFrames", 1))
        )
        signed = imagecodecs.jpeg2k_decode(first).dtype.kind == "i"
        if signed and not before.PixelRepresentation:
            return  # the codestream has signs, and the attribute says no
    assert (pictures(after).ravel() == expected.ravel()).all()
