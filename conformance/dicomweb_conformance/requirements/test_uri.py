"""PS3.18 9: the URI service (WADO-URI)."""

import io

import pytest
from PIL import Image
from pydicom import dcmread

from dicomweb_conformance.client import media_type_of, ok, optional
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.sample_instances import uid

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def wado(service):
    def ask(*labels, **parameters):
        study, series, number = labels or ("A", 1, 1)
        named = {
            "requestType": "WADO",
            "studyUID": uid(study),
            "seriesUID": uid(study, series),
            "objectUID": uid(study, series, number),
        }
        return service.request("GET", service.wado_uri, params={**named, **parameters})

    if ask().status_code == 404:
        pytest.skip(f"optional, not supported: no URI service at {service.wado_uri}")
    return ask


def honoured(wado, *labels, **parameters):
    """Skip the test if the service ignores these parameters, which are optional (9.5.1)."""
    asked, plain = wado(*labels, **parameters), wado(*labels)
    if asked.status_code != 200 or asked.content == plain.content:
        pytest.skip("optional, not supported: the parameter is ignored")


def test_9_4_an_instance_is_rendered_as_jpeg_by_default(wado):
    response = ok(wado())

    assert media_type_of(response) == "image/jpeg"
    assert Image.open(io.BytesIO(response.content)).size == (16, 16)


def test_9_4_an_instance_comes_as_dicom(wado):
    response = ok(wado(contentType="application/dicom"))

    assert media_type_of(response) == "application/dicom"
    assert dcmread(io.BytesIO(response.content)).SOPInstanceUID == uid("A", 1, 1)


def test_9_4_an_instance_comes_in_the_transfer_syntax_asked_for(wado):
    syntax = "1.2.840.10008.1.2.1"
    response = ok(wado("B", 3, 1, contentType="application/dicom", transferSyntax=syntax))

    assert dcmread(io.BytesIO(response.content)).file_meta.TransferSyntaxUID == syntax


@pytest.mark.parametrize(("media_type", "form"), [("image/png", "PNG"), ("image/gif", "GIF")])
@OPTIONAL
def test_9_4_a_picture_comes_as_the_type_asked_for(wado, media_type, form):
    response = optional(wado(contentType=media_type))

    assert media_type_of(response) == media_type
    assert Image.open(io.BytesIO(response.content)).format == form


def test_9_4_rows_and_columns_bound_the_picture(wado):
    response = ok(wado(contentType="image/png", rows="8", columns="8"))

    assert Image.open(io.BytesIO(response.content)).size == (8, 8)


def test_9_4_a_region_is_cut_out(wado):
    whole = ok(wado(contentType="image/png"))
    corner = ok(wado(contentType="image/png", region="0,0,0.5,0.5"))

    assert Image.open(io.BytesIO(corner.content)).tobytes() != (
        Image.open(io.BytesIO(whole.content)).tobytes()
    )


def test_9_4_a_frame_is_chosen_by_its_number(wado):
    first, last = (ok(wado("A", 2, 1, contentType="image/png", frameNumber=n)) for n in "14")

    assert first.content != last.content


def test_9_4_a_window_needs_both_values(wado):
    ok(wado(windowCenter="40", windowWidth="400"))

    assert wado(windowCenter="40").status_code == 400


@pytest.mark.parametrize("missing", ["requestType", "studyUID", "seriesUID", "objectUID"])
def test_9_4_a_required_parameter_that_is_missing_is_400(wado, missing):
    assert wado(**{missing: ""}).status_code == 400


def test_9_4_an_unknown_instance_is_404(wado):
    assert wado("nobody", 1, 1).status_code == 404


def test_9_4_an_unknown_media_type_is_406(wado):
    assert wado(contentType="text/x-nothing").status_code == 406


def test_9_4_anonymized_objects_are_another_or_refused(wado):
    response = wado(contentType="application/dicom", anonymize="yes")
    if response.status_code != 200:
        assert 400 <= response.status_code < 502
        return
    dataset = dcmread(io.BytesIO(response.content))
    assert dataset.SOPInstanceUID != uid("A", 1, 1)
    assert "Anna" not in str(dataset.get("PatientName", ""))


@OPTIONAL
def test_9_5_2_3_an_image_is_shown_with_a_presentation_state(wado):
    state = {"presentationSeriesUID": uid("B", 5), "presentationUID": uid("B", 5, 1)}
    shown = optional(wado("B", 1, 1, contentType="image/png", **state))
    if shown.content == ok(wado("B", 1, 1, contentType="image/png")).content:
        pytest.skip("optional, not supported: the presentation state is ignored")
    picture = Image.open(io.BytesIO(shown.content)).convert("L")

    assert picture.getpixel((0, 0)) >= 254
    assert picture.getpixel((15, 15)) <= 1
    window = {"windowCenter": "40", "windowWidth": "400"}
    assert wado("B", 1, 1, contentType="image/png", **state, **window).status_code == 400


def test_9_4_an_unknown_presentation_state_is_refused(wado):
    named = {"presentationUID": "2.25.1", "presentationSeriesUID": "2.25.2"}

    assert wado(contentType="image/png", **named).status_code in (400, 404, 406)


@pytest.mark.parametrize("wrong", ["wado", "WADO-RS", "Wado"])
def test_9_1_2_1_the_request_type_is_wado_in_capitals(wado, wrong):
    assert wado(requestType=wrong).status_code == 400


@pytest.mark.parametrize("name", ["studyuid", "STUDYUID"])
def test_9_1_2_the_names_of_parameters_are_case_sensitive(wado, name):
    assert wado(studyUID="", **{name: uid("A")}).status_code == 400


@pytest.mark.parametrize("charset", ["klingon", "x-nothing"])
def test_9_1_2_2_2_an_unknown_character_set_is_400(wado, charset):
    assert wado(charset=charset).status_code == 400


@pytest.mark.parametrize(
    "content_type", ["image/jpeg;q=0.5", "image/png;q=0.1,image/jpeg", "image/*", "*/*;q=0.1"]
)
def test_9_1_2_2_1_media_types_have_weights_and_ranges(wado, content_type):
    assert media_type_of(ok(wado(contentType=content_type))) == "image/jpeg"


@pytest.mark.parametrize("number", ["0", "-1", "5", "x", "1.5", ""])
@OPTIONAL
def test_9_5_2_1_a_frame_that_does_not_exist_is_400(wado, number):
    honoured(wado, "A", 2, 1, frameNumber="4")

    assert wado("A", 2, 1, frameNumber=number).status_code == 400


HONOURED = {
    "rows": {"rows": "8"},
    "columns": {"columns": "8"},
    "region": {"region": "0,0,0.5,0.5"},
    "windowCenter": {"windowCenter": "0", "windowWidth": "2"},
    "windowWidth": {"windowCenter": "0", "windowWidth": "2"},
    "imageQuality": {"imageQuality": "5"},
}


@pytest.mark.parametrize(
    "query",
    [
        *("rows=0", "rows=x", "columns=-1", "columns=1.5"),
        *("region=0,0,1", "region=0.5,0.5,0.1,0.1", "region=0,0,2,2", "region=a,b,c,d"),
        *("windowCenter=x&windowWidth=1", "windowCenter=40&windowWidth=0", "windowWidth=400"),
        *("imageQuality=0", "imageQuality=101", "imageQuality=good"),
    ],
)
@OPTIONAL
def test_9_5_2_malformed_rendering_parameters_are_400(wado, query):
    parameters = dict(each.split("=") for each in query.split("&"))
    honoured(wado, **HONOURED[next(iter(parameters))])
    response = wado(**parameters)

    assert response.status_code == 400, response.status_code


def test_9_4_2_4_explicit_vr_little_endian_is_the_default(wado):
    response = ok(wado("B", 3, 1, contentType="application/dicom"))

    dataset = dcmread(io.BytesIO(response.content))
    assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"


@pytest.mark.parametrize("syntax", ["x", "1..2", "1.2.840.10008.1.2.1,1.2.840.10008.1.2.5", ""])
@OPTIONAL
def test_9_4_2_4_what_is_no_transfer_syntax_is_400(wado, syntax):
    converted = wado("B", 3, 1, contentType="application/dicom", transferSyntax=EXPLICIT)
    if dcmread(io.BytesIO(converted.content)).file_meta.TransferSyntaxUID != EXPLICIT:
        pytest.skip("optional, not supported: transferSyntax")
    response = wado(contentType="application/dicom", transferSyntax=syntax)

    assert response.status_code == 400, response.status_code


@OPTIONAL
def test_9_4_2_4_a_transfer_syntax_that_is_not_supported_is_406(wado):
    converted = wado("B", 3, 1, contentType="application/dicom", transferSyntax=EXPLICIT)
    if dcmread(io.BytesIO(converted.content)).file_meta.TransferSyntaxUID != EXPLICIT:
        pytest.skip("optional, not supported: transferSyntax")
    response = wado(contentType="application/dicom", transferSyntax="1.2.3.4")

    assert response.status_code == 406, response.status_code


def test_9_4_2_4_a_transfer_syntax_is_for_dicom_only(wado):
    response = wado(contentType="image/jpeg", transferSyntax="1.2.840.10008.1.2.1")

    assert response.status_code in (200, 400), response.status_code
    assert response.status_code == 400 or media_type_of(response) == "image/jpeg"


@OPTIONAL
def test_9_5_2_quality_changes_the_size(wado):
    sizes = [len(ok(wado(contentType="image/jpeg", imageQuality=q)).content) for q in ("5", "95")]
    if sizes[0] == sizes[1]:
        pytest.skip("optional, not supported: imageQuality")

    assert sizes[0] < sizes[1]


def test_9_1_2_unknown_parameters_are_ignored(wado):
    ok(wado(nothingOfThisName="x"))
