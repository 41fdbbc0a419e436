"""Strict mode: the deviations from PS3.18 that `strict = true` takes back."""

import io
from dataclasses import replace

import httpx2
import pytest
from pydicom import dcmread

from tests.helpers import samples, wire
from tests.helpers.files import nonimage
from tests.helpers.http.retrieve import get

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE = "1.2.840.10008.1.2.5"
DICOM = "application/dicom"

pytestmark = pytest.mark.not_on_stack("a stack has settings of its own")


@pytest.fixture
def strict(services, connect) -> httpx2.Client:
    """A client of a server in strict mode."""
    return connect(replace(services, settings=replace(services.settings, strict=True)))


def syntax_of(answer: httpx2.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(dcmread(io.BytesIO(answer.content)).file_meta.TransferSyntaxUID)


def test_explicit_vr_little_endian_is_the_default_of_compressed_instances(strict, client):
    wire.must_store(strict, samples.run_length("rle"))
    url = samples.path("rle")

    assert syntax_of(get(client, url, DICOM)) == RLE
    assert syntax_of(get(strict, url, DICOM)) == EXPLICIT
    assert syntax_of(get(strict, url, f"{DICOM}; transfer-syntax=*")) == RLE
    assert syntax_of(get(strict, url, f"{DICOM}; transfer-syntax={RLE}")) == RLE
    ((headers, _),) = wire.parts(get(strict, url, "*/*"))
    assert headers["Content-Type"] == f"{DICOM}; transfer-syntax={EXPLICIT}"


def test_what_cannot_be_decoded_comes_as_it_is_stored(strict):
    film, odd = nonimage.video("film", b"stream"), samples.unknown_transfer_syntax("odd")
    wire.must_store(strict, film, odd)

    assert get(strict, samples.path("film"), DICOM).content == film
    assert get(strict, samples.path("odd"), DICOM).content == odd


def test_implicit_vr_is_not_to_be_had(strict):
    wire.must_store(strict, samples.ct("a", transfer_syntax=IMPLICIT))
    names = dict(zip(("studyUID", "seriesUID", "objectUID"), samples.path("a").split("/")[2::2],
                     strict=True))  # fmt: skip

    assert syntax_of(get(strict, samples.path("a"), DICOM)) == EXPLICIT
    named = get(strict, samples.path("a"), f"{DICOM}; transfer-syntax={IMPLICIT}")
    wire.assert_error(named, 406)
    uri = {"requestType": "WADO", "contentType": DICOM, "transferSyntax": IMPLICIT, **names}
    wire.assert_error(strict.get("/wado", params=uri), 406)


def test_frames_are_uncompressed_by_default(strict, client):
    wire.must_store(strict, samples.run_length("rle"))
    url = samples.path("rle") + "/frames/1"

    ((stored, _),) = wire.parts(get(client, url, "*/*"))
    ((default, _),) = wire.parts(get(strict, url, "*/*"))
    assert stored["Content-Type"].startswith("image/dicom-rle")
    assert default["Content-Type"].startswith("application/octet-stream")
    assert get(strict, url, "image/dicom-rle").status_code == 200


def test_media_types_and_character_sets_have_to_be_named(strict):
    wire.must_store(strict, samples.ct("a"))
    del strict.headers["accept"]

    wire.assert_error(strict.get(f"{wire.DICOMWEB}/studies"), 406)
    assert strict.get(f"{wire.DICOMWEB}/studies?accept=application/dicom%2Bjson").is_success
    wire.assert_error(get(strict, "/studies?charset=*", "*/*"), 400)


def test_a_single_frame_has_no_number(strict, client):
    wire.must_store(strict, samples.ct("a"))
    wire.must_store(strict, samples.multi_frame("b"))

    for study, status in (("a", 400), ("b", 200)):
        names = dict(zip(("studyUID", "seriesUID", "objectUID"),
                         samples.path(study).split("/")[2::2], strict=True))  # fmt: skip
        parameters = {"requestType": "WADO", "frameNumber": "1", **names}
        assert client.get("/wado", params=parameters).status_code == 200
        assert strict.get("/wado", params=parameters).status_code == status
