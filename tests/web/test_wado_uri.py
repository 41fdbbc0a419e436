"""The URI service over HTTP, PS3.18 9."""

import io

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.helpers import samples, wire
from tests.helpers.files import nonimage, softcopy

EXPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5"
DICOM = "application/dicom"


def wado(client, study: str = "ct", accept: str = "*/*", **parameters: str):
    """Ask for the instance of this study."""
    named = {
        "requestType": "WADO",
        "studyUID": samples.study_uid(study),
        "seriesUID": samples.series_uid(study),
        "objectUID": samples.sop_uid(study),
    }
    asked = {name: value for name, value in {**named, **parameters}.items() if value is not None}
    return client.get("/wado", params=asked, headers={"Accept": accept})


def pixels(answer) -> np.ndarray:
    """The pixels of the picture that was answered."""
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)


def instance(answer):
    """The dataset that was answered."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(DICOM)
    return dcmread(io.BytesIO(answer.content))


@pytest.fixture
def ct(client) -> bytes:
    """A stored CT image of 64 by 64."""
    file = samples.ct("ct", size=64, PatientName="Müller^Jörg")
    wire.must_store(client, file)
    return file


def test_the_parameters_say_what_those_of_rendered_resources_say(client, ct):
    rendered = f"{wire.DICOMWEB}{samples.path('ct')}/rendered?accept=image/png"
    for parameters, query in (
        ({}, ""),
        ({"windowCenter": "100", "windowWidth": "50.5"}, "&window=100,50.5,linear"),
        ({"rows": "32", "columns": "32"}, "&viewport=32,32"),
        ({"region": "0.25,0.5,0.75,1", "rows": "32"}, "&viewport=8192,32,16,32,32,32"),
        ({"annotation": "technique,patient"}, "&annotation=patient,technique"),
        ({"iccprofile": "srgb"}, "&iccprofile=srgb"),
    ):
        answer = wado(client, contentType="image/png", **parameters)
        assert np.array_equal(pixels(answer), pixels(client.get(rendered + query))), parameters
    best, worst = (wado(client, contentType="image/jpeg", imageQuality=q) for q in ("95", "5"))
    assert len(worst.content) < len(best.content)


def test_the_object_uid_alone_is_enough_as_in_orthanc(client, ct):
    alone = {"studyUID": None, "seriesUID": None}
    assert wado(client, **alone).content == wado(client).content
    assert wado(client, **alone, contentType="image/jpg").headers["content-type"] == "image/jpeg"
    assert wado(client, **alone, objectUID="1.2.3").status_code == 404
    assert wado(client, **alone, objectUID="1/2").status_code == 400


def test_an_object_uid_that_two_instances_have_does_not_name_one(client, ct):
    wire.must_store(client, samples.ct("b", SOPInstanceUID=samples.sop_uid("ct")))
    answer = wado(client, studyUID=None, seriesUID=None)
    assert answer.status_code == 404
    assert "several instances" in answer.text


def test_a_region_alone_is_not_enlarged(client, ct):
    assert pixels(wado(client, region="0,0,0.5,0.25")).shape == (16, 32)


def test_one_of_rows_and_columns_is_enough(client, ct):
    assert pixels(wado(client, columns="20")).shape == (20, 20)


def test_content_type_is_a_list_and_goes_before_the_header(client, ct):
    listed = wado(client, contentType="image/webp, image/gif;q=0.5, image/png;q=0.6")
    assert listed.headers["content-type"] == "image/png"
    assert instance(wado(client, contentType=DICOM, accept="image/jpeg"))
    assert wado(client, accept="image/gif").headers["content-type"] == "image/gif"
    wire.assert_error(wado(client, contentType="video/mp4"), 406)
    wire.assert_error(wado(client, accept="video/mp4"), 406)


def test_dicom_comes_uncompressed_or_in_the_syntax_that_is_named(client, ct):
    wire.must_store(client, samples.run_length("rle"))
    wire.must_store(client, samples.ct("implicit", transfer_syntax="1.2.840.10008.1.2"))

    assert wado(client, contentType=DICOM).content == ct
    for study, wanted, expected in (
        ("rle", None, EXPLICIT),
        ("rle", "*", RLE),
        ("rle", RLE, RLE),
        ("rle", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.90"),
        ("implicit", None, EXPLICIT),
        ("implicit", "*", EXPLICIT),
        ("implicit", "1.2.840.10008.1.2", "1.2.840.10008.1.2"),
    ):
        got = instance(wado(client, study, contentType=DICOM, transferSyntax=wanted))
        assert got.file_meta.TransferSyntaxUID == expected
    named = instance(wado(client, "rle", contentType=f"{DICOM};transfer-syntax={RLE}"))
    assert named.file_meta.TransferSyntaxUID == RLE


def test_what_cannot_be_decoded_comes_as_it_is_stored(client):
    file = samples.unknown_transfer_syntax("unknown")
    film = nonimage.video("film", b"stream")
    wire.must_store(client, file, film)

    assert wado(client, "unknown", contentType=DICOM).content == file
    assert wado(client, "film", contentType=DICOM).content == film
    wire.assert_error(wado(client, "film", contentType=DICOM, transferSyntax=EXPLICIT), 406)


def test_texts_come_in_utf_8_on_request(client):
    file = samples.ct("latin", PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100")
    wire.must_store(client, file)

    recoded = instance(wado(client, "latin", contentType=DICOM, charset="iso-8859-1, utf-8"))

    assert (recoded.SpecificCharacterSet, recoded.PatientName) == ("ISO_IR 192", "Müller^Jörg")
    assert recoded.PixelData == dcmread(io.BytesIO(file)).PixelData
    assert wado(client, "latin", contentType=DICOM, charset="*").content == file
    wire.assert_error(wado(client, "latin", contentType=DICOM, charset="koi8-r"), 400)


def test_documents_and_reports_come_as_people_read_them(client):
    wire.must_store(client, samples.pdf("paper"), nonimage.report("said"))

    assert wado(client, "paper").headers["content-type"] == "application/pdf"
    assert wado(client, "said").headers["content-type"] == "text/html; charset=utf-8"
    assert "Chest report" in wado(client, "said", contentType="text/plain").text
    assert instance(wado(client, "said", contentType=DICOM)).Modality == "SR"


def test_what_shows_nothing_comes_as_dicom(client):
    wire.must_store(client, samples.encode(samples.dataset(
        "ct", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN")))  # fmt: skip

    assert instance(wado(client)).Modality == "RTPLAN"
    wire.assert_error(wado(client, contentType="image/jpeg"), 406)


@pytest.mark.parametrize(
    "parameters",
    [
        {"requestType": None},
        {"requestType": "WADOX"},
        {"studyUID": None},
        {"objectUID": "1/2"},
        {"rows": "0"},
        {"columns": "1.5"},
        {"region": "0,0,1"},
        {"region": "0.5,0,0.5,1"},
        {"region": "0,0,2,2"},
        {"windowCenter": "40"},
        {"windowWidth": "40"},
        {"windowCenter": "40", "windowWidth": "0"},
        {"imageQuality": "0"},
        {"annotation": ","},
        {"frameNumber": "0"},
        {"frameNumber": "2"},
        {"frameNumber": "x"},
        {"anonymize": "no"},
        {"presentationUID": "1.2.3"},
        {"transferSyntax": EXPLICIT},
        {"contentType": DICOM, "transferSyntax": "explicit"},
        {"contentType": DICOM, "rows": "10"},
        {"contentType": DICOM, "frameNumber": "1"},
        {"contentType": "no media type"},
    ],
    ids=lambda parameters: "&".join(f"{name}={value}" for name, value in parameters.items()),
)
def test_nonsense_is_refused(client, ct, parameters):
    wire.assert_error(wado(client, **parameters), 400)


def test_nothing_is_called_anonymous_that_is_not(client, ct):
    wire.assert_error(wado(client, contentType=DICOM, anonymize="yes"), 406)


def state_of(study: str, instance: int = 1) -> dict[str, str]:
    """The parameters that name a presentation state of the study."""
    return {
        "presentationSeriesUID": samples.series_uid(study, softcopy.SERIES),
        "presentationUID": samples.sop_uid(study, softcopy.SERIES, instance),
    }


@pytest.fixture
def presented(client, ct) -> dict[str, str]:
    """The parameters that name a stored state for the CT: its left half inverted."""
    corner = {"DisplayedAreaBottomRightHandCorner": [32, 64]}
    window = softcopy.window(2048, 4096)
    wire.must_store(client, softcopy.state(
        "ct", [softcopy.area(64, 64, **corner)],
        SoftcopyVOILUTSequence=[window], PresentationLUTShape="INVERSE",
    ))  # fmt: skip
    return state_of("ct")


def test_an_image_is_shown_as_a_presentation_state_shows_it(client, presented):
    stored = samples.ramp(64, 64, seed="ct11")[0][:, :32]

    shown = wado(client, contentType="image/png", **presented)
    assert np.abs(pixels(shown) - (255 - stored / 4095 * 255)).max() <= 1
    assert shown.headers["etag"] != wado(client, contentType="image/png").headers["etag"]
    rendered = f"{wire.DICOMWEB}{softcopy.path('ct')}/rendered?accept=image/png"
    assert np.array_equal(pixels(client.get(rendered)), pixels(shown))


def test_rows_and_columns_bound_what_a_presentation_state_shows(client, presented):
    assert pixels(wado(client, rows="128", **presented)).shape == (128, 64)
    assert pixels(wado(client, rows="128", columns="16", **presented)).shape == (32, 16)


def test_a_presentation_state_itself_is_shown_with_its_image(client, presented):
    itself = {"seriesUID": presented["presentationSeriesUID"],
              "objectUID": presented["presentationUID"]}  # fmt: skip

    shown = wado(client, contentType="image/png", **itself)
    assert shown.content == wado(client, contentType="image/png", **presented).content
    wire.assert_error(wado(client, **itself, windowCenter="40", windowWidth="400"), 400)
    wire.assert_error(wado(client, **itself, region="0,0,0.5,1"), 400)


@pytest.mark.parametrize("parameters", [
    {"windowCenter": "40", "windowWidth": "400"}, {"region": "0,0,0.5,1"}, {"frameNumber": "1"},
    {"contentType": DICOM}, {"presentationUID": "1.2.3"}, {"presentationSeriesUID": "1.2.3"},
    {"presentationUID": samples.sop_uid("ct"), "presentationSeriesUID": samples.series_uid("ct")},
], ids=lambda parameters: next(iter(parameters)))  # fmt: skip
def test_what_contradicts_a_presentation_state_is_refused(client, presented, parameters):
    wire.assert_error(wado(client, **{**presented, **parameters}), 400)


def test_a_presentation_state_of_other_images_is_refused(client, ct):
    others = [softcopy.image("ct", instance=9)]
    wire.must_store(client, softcopy.state("ct", [softcopy.area(64, 64)], images=others))

    wire.assert_error(wado(client, **state_of("ct")), 400)


def test_a_presentation_state_that_cannot_be_applied_is_refused(client, ct):
    kinds = {1: {"sop_class": softcopy.COLOUR}, 2: {"sop_class": "1.2.840.10008.5.1.4.1.1.11.4"}}
    for number, kind in kinds.items():
        area = softcopy.area(64, 64)
        wire.must_store(client, softcopy.state("ct", [area], instance=number, **kind))
        wire.assert_error(wado(client, **state_of("ct", number)), 406)


def test_a_presentation_state_is_for_images(client):
    wire.must_store(client, samples.pdf("pdf"), softcopy.state("pdf", [softcopy.area(1, 1)]))

    wire.assert_error(wado(client, "pdf", accept="*/*", **state_of("pdf")), 406)


@pytest.mark.parametrize("level", ["studyUID", "seriesUID", "objectUID"])
def test_an_unknown_uid_is_not_found(client, ct, level):
    wire.assert_error(wado(client, **{level: "1.2.3"}), 404)


def test_head_and_a_known_etag_cost_nothing(client, ct):
    parameters = dict(wado(client, contentType=DICOM).request.url.params)
    full = client.get("/wado", params=parameters)
    head = client.head("/wado", params=parameters)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"] == full.headers["etag"]
    known = client.get("/wado", params=parameters, headers={"If-None-Match": full.headers["etag"]})
    assert known.status_code == 304
    part = client.get("/wado", params=parameters, headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
