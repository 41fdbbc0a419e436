"""PS3.18 10.4.1.1.3 and 10.4.1.1.4: rendered resources and thumbnails; 8.3.5 their parameters."""

import io

import pytest
from PIL import Image

from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.material import encoded, report, uid
from dicomweb_conformance.requirements.test_retrieve import (
    DOCUMENT,
    FRAMES,
    INSTANCE,
    SERIES,
    STATE,
    STUDY,
    path,
)
from dicomweb_conformance.service import kind, ok, optional, parts


def picture(answer) -> Image.Image:
    if kind(answer) == "multipart/related":
        return Image.open(io.BytesIO(parts(answer)[0][1]))
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE, FRAMES + "/frames/2"])
def test_10_4_1_1_3_every_level_has_a_rendered_resource(service, resource):
    answer = ok(service.get(path(resource) + "/rendered", "image/jpeg"))

    assert picture(answer).format == "JPEG"


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE, FRAMES + "/frames/2"])
@OPTIONAL
def test_10_4_1_1_4_every_level_has_a_thumbnail(service, resource):
    answer = optional(service.get(path(resource) + "/thumbnail", "image/jpeg"))

    assert picture(answer).format == "JPEG"


@pytest.mark.parametrize(
    ("media_type", "form"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")]
)
@OPTIONAL
def test_8_7_4_the_rendered_media_types_are_to_be_had(service, media_type, form):
    assert picture(optional(service.get(path(INSTANCE) + "/rendered", media_type))).format == form


def test_8_7_4_jpeg_is_the_default(service):
    assert kind(ok(service.get(path(INSTANCE) + "/rendered", "*/*"))) == "image/jpeg"


@OPTIONAL
def test_8_7_4_an_animated_gif_shows_every_frame(service):
    answer = optional(service.get(path(FRAMES) + "/rendered", "image/gif"))

    assert picture(answer).n_frames == 4


@OPTIONAL
def test_8_7_4_a_document_is_passed_through(service):
    answer = optional(service.get(path(DOCUMENT) + "/rendered", "application/pdf"))

    assert answer.content.startswith(b"%PDF")


@pytest.mark.parametrize("media_type", ["text/html", "text/plain"])
@OPTIONAL
def test_8_7_4_a_report_is_rendered_as_text(service, media_type):
    ok(service.store(encoded(report())))
    url = f"/studies/{uid('R')}/series/{uid('R', 1)}/instances/{uid('R', 1, 1)}/rendered"
    answer = optional(service.get(url, media_type))

    assert "Conformance finding" in answer.text


def test_8_3_5_1_2_quality_changes_the_size(service):
    sizes = [
        len(
            ok(
                service.get(path(INSTANCE) + "/rendered", "image/jpeg", params={"quality": q})
            ).content
        )
        for q in (5, 95)
    ]

    assert sizes[0] < sizes[1]


def test_8_3_5_1_3_a_viewport_is_the_size_to_fit_into(service):
    answer = ok(service.get(path(INSTANCE) + "/rendered", "image/png", params={"viewport": "8,8"}))

    assert picture(answer).size == (8, 8)


def test_8_3_5_1_3_a_viewport_shows_a_region(service):
    parameters = {"viewport": "16,16,0,0,8,8"}
    answer = ok(service.get(path(INSTANCE) + "/rendered", "image/png", params=parameters))

    assert picture(answer).size == (16, 16)


def test_8_3_5_1_3_negative_sides_flip_the_picture(service):
    turned = {False: "16,16,0,0,16,16", True: "16,16,0,0,-16,-16"}
    plain, flipped = (
        picture(
            ok(service.get(path(INSTANCE) + "/rendered", "image/png", params={"viewport": box}))
        ).convert("L")
        for box in turned.values()
    )

    assert flipped.tobytes() == plain.transpose(Image.Transpose.ROTATE_180).tobytes()


@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
def test_8_3_5_1_4_a_window_has_each_function(service, function):
    windows = (f"-1000,50,{function}", f"3000,50,{function}")
    low, high = (
        picture(
            ok(service.get(path(INSTANCE) + "/rendered", "image/png", params={"window": window}))
        )
        for window in windows
    )

    assert low.convert("L").getextrema()[1] > high.convert("L").getextrema()[1]


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": "x,1,linear"},
        {"window": "40"},
        {"viewport": "0,0"},
        {"quality": "101"},
        {"quality": "high"},
    ],
)
def test_10_4_3_1_malformed_parameters_are_400(service, parameters):
    assert service.get(path(INSTANCE) + "/rendered", params=parameters).status_code == 400


def test_8_7_5_a_picture_that_cannot_be_made_is_406(service):
    assert service.get(path(INSTANCE) + "/rendered", "image/x-nothing").status_code == 406


@OPTIONAL
def test_8_3_5_1_1_annotations_are_drawn(service):
    plain = ok(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"viewport": "200,200"})
    )
    parameters = {"viewport": "200,200", "annotation": "patient,technique"}
    drawn = optional(service.get(path(INSTANCE) + "/rendered", "image/png", params=parameters))

    if picture(drawn).tobytes() == picture(plain).tobytes():
        pytest.skip("optional, not supported: annotation")


@pytest.mark.parametrize("space", ["yes", "srgb", "adobergb", "rommrgb"])
@OPTIONAL
def test_8_3_5_1_5_an_icc_profile_is_embedded_where_one_is_asked_for(service, space):
    answer = optional(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"iccprofile": space})
    )

    if "icc_profile" not in picture(answer).info:
        pytest.skip("optional, not supported: iccprofile")


def test_8_3_5_1_5_no_icc_profile_is_embedded_where_none_is_wanted(service):
    answer = ok(service.get(path(INSTANCE) + "/rendered", "image/png", params={"iccprofile": "no"}))

    assert "icc_profile" not in picture(answer).info


@OPTIONAL
def test_10_4_1_1_3_a_series_in_parts_shows_its_instances(service):
    answer = optional(
        service.get(path(SERIES) + "/rendered", 'multipart/related; type="image/png"')
    )

    assert all(headers["content-type"] == "image/png" for headers, _ in parts(answer))


@OPTIONAL
def test_10_4_1_1_3_a_presentation_state_shows_its_image(service):
    shown = picture(optional(service.get(path(STATE) + "/rendered", "image/png")))
    values = shown.convert("L").tobytes()

    # The pixels count upwards from 1000, and the window is just as wide as they are many.
    assert shown.size == (16, 16)
    assert all(abs(255 - place - value) <= 1 for place, value in enumerate(values))


@pytest.mark.parametrize(
    ("name", "value"), [("window", "40,400,linear"), ("viewport", "16,16,0,0,8,8")]
)
@OPTIONAL
def test_8_3_5_1_a_presentation_state_has_its_own_window_and_region(service, name, value):
    optional(service.get(path(STATE) + "/rendered", "image/png"))

    assert service.get(path(STATE) + "/rendered", params={name: value}).status_code == 400
