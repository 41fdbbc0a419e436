"""PS3.18 10.4.1.1.3 and 10.4.1.1.4: rendered resources and thumbnails; 8.3.5 their parameters."""

import io
import math

import pytest
from PIL import Image

from dicomweb_conformance.client import media_type_of, ok, optional, parts
from dicomweb_conformance.levels import OPTIONAL
from dicomweb_conformance.requirements.test_retrieve import (
    DOCUMENT,
    FRAMES,
    INSTANCE,
    SERIES,
    STATE,
    STUDY,
    path,
)
from dicomweb_conformance.sample_instances import SIDE, encoded, report, uid


def picture(response) -> Image.Image:
    if media_type_of(response) == "multipart/related":
        return Image.open(io.BytesIO(parts(response)[0][1]))
    return Image.open(io.BytesIO(response.content))


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE, FRAMES + "/frames/2"])
def test_10_4_1_1_3_every_level_has_a_rendered_resource(service, resource):
    response = ok(service.get(path(resource) + "/rendered", "image/jpeg"))

    assert picture(response).format == "JPEG"


@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE, FRAMES + "/frames/2"])
@OPTIONAL
def test_10_4_1_1_4_every_level_has_a_thumbnail(service, resource):
    response = optional(service.get(path(resource) + "/thumbnail", "image/jpeg"))

    assert picture(response).format == "JPEG"
    assert media_type_of(response) == "image/jpeg"


@OPTIONAL
@pytest.mark.parametrize("resource", [STUDY, SERIES, INSTANCE])
def test_10_4_1_1_4_a_thumbnail_has_the_size_asked_for(service, resource):
    response = optional(
        service.get(path(resource) + "/thumbnail", "image/png", params={"viewport": "32,32"})
    )

    assert picture(response).size == (32, 32)


@OPTIONAL
def test_10_4_1_1_4_a_thumbnail_shows_nothing_of_the_patient(service):
    """A thumbnail shall not contain any patient identifying information."""
    size = {"viewport": "128,128"}
    plain = optional(service.get(path(INSTANCE) + "/thumbnail", "image/png", params=size))
    asked = service.get(
        path(INSTANCE) + "/thumbnail", "image/png", params={**size, "annotation": "patient"}
    )

    assert asked.status_code == 400 or picture(asked).tobytes() == picture(plain).tobytes()


@OPTIONAL
def test_8_3_5_2_a_thumbnail_s_viewport_has_two_values(service):
    optional(service.get(path(INSTANCE) + "/thumbnail", "image/jpeg"))
    region = {"viewport": "8,8,0,0,4,4"}

    assert service.get(path(INSTANCE) + "/thumbnail", params=region).status_code == 400


@OPTIONAL
def test_10_4_1_1_4_several_frames_have_one_thumbnail(service):
    response = optional(service.get(path(FRAMES) + "/frames/1,2/thumbnail", "image/jpeg"))

    assert media_type_of(response) == "image/jpeg"
    assert picture(response).format == "JPEG"


@pytest.mark.parametrize(
    ("media_type", "name"), [("image/jpeg", "JPEG"), ("image/png", "PNG"), ("image/gif", "GIF")]
)
@OPTIONAL
def test_8_7_4_the_rendered_media_types_are_to_be_had(service, media_type, name):
    assert picture(optional(service.get(path(INSTANCE) + "/rendered", media_type))).format == name


def test_8_7_4_jpeg_is_the_default(service):
    assert media_type_of(ok(service.get(path(INSTANCE) + "/rendered", "*/*"))) == "image/jpeg"


@OPTIONAL
def test_8_7_4_an_animated_gif_shows_every_frame(service):
    response = optional(service.get(path(FRAMES) + "/rendered", "image/gif"))

    assert picture(response).n_frames == 4


@OPTIONAL
def test_8_7_4_a_document_is_passed_through(service):
    response = optional(service.get(path(DOCUMENT) + "/rendered", "application/pdf"))

    assert response.content.startswith(b"%PDF")


@pytest.mark.parametrize("media_type", ["text/html", "text/plain"])
@OPTIONAL
def test_8_7_4_a_report_is_rendered_as_text(service, media_type):
    ok(service.store(encoded(report())))
    url = f"/studies/{uid('R')}/series/{uid('R', 1)}/instances/{uid('R', 1, 1)}/rendered"
    response = optional(service.get(url, media_type))

    assert "Conformance finding" in response.text


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
    response = ok(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"viewport": "8,8"})
    )

    assert picture(response).size == (8, 8)


def test_8_3_5_1_3_a_viewport_shows_a_region(service):
    parameters = {"viewport": "16,16,0,0,8,8"}
    response = ok(service.get(path(INSTANCE) + "/rendered", "image/png", params=parameters))

    assert picture(response).size == (16, 16)


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
def test_8_3_5_1_4_a_window_is_applied_by_the_formula_of_its_function(service, function):
    """The formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3, on values after rescale."""
    center, width = 100, 200
    parameters = {"window": f"{center},{width},{function}"}
    shown = picture(
        ok(service.get(path(INSTANCE) + "/rendered", "image/png", params=parameters))
    ).convert("L")

    stored = [(1000 + index) % 4096 - 1024 for index in range(SIDE * SIDE)]
    expected = [FORMULAS[function](value, center, width) for value in stored]
    assert all(
        abs(level - wanted) <= 2 for level, wanted in zip(shown.tobytes(), expected, strict=True)
    )


def _linear(value: float, center: float, width: float) -> float:
    level = ((value - (center - 0.5)) / (width - 1) + 0.5) * 255
    return min(max(level, 0), 255)


def _linear_exact(value: float, center: float, width: float) -> float:
    return min(max(((value - center) / width + 0.5) * 255, 0), 255)


def _sigmoid(value: float, center: float, width: float) -> float:
    return 255 / (1 + math.exp(-4 * (value - center) / width))


FORMULAS = {"linear": _linear, "linear-exact": _linear_exact, "sigmoid": _sigmoid}


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": "x,1,linear"},
        {"window": "40"},
        {"window": "40,400"},
        {"window": "40,0,linear"},
        {"window": "40,400,quadratic"},
        {"viewport": "8"},
        {"viewport": "8,8,1,1"},
        {"viewport": "a,b"},
        {"quality": "0"},
        {"annotation": ""},
        {"iccprofile": "nothing"},
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
    response = optional(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"iccprofile": space})
    )

    if "icc_profile" not in picture(response).info:
        pytest.skip("optional, not supported: iccprofile")


@OPTIONAL
def test_8_3_5_1_1_unknown_annotations_are_ignored_with_a_warning(service):
    both = {"annotation": "patient,weather"}
    response = optional(service.get(path(INSTANCE) + "/rendered", "image/png", params=both))

    assert "Warning" in response.headers


@pytest.mark.parametrize("charset", ["klingon", "x-nothing"])
def test_8_3_3_2_an_unknown_character_set_is_400(service, charset):
    response = service.get(path(INSTANCE) + "/rendered", params={"charset": charset})

    assert response.status_code == 400, response.status_code


def test_8_7_4_jpeg_has_the_file_s_own_window_by_default(service):
    """Without a window parameter the VOI LUT of the instance is applied (PS3.4 N.2)."""
    shown = picture(ok(service.get(path(INSTANCE) + "/rendered", "image/png"))).convert("L")
    expected = [_linear((1000 + index) % 4096 - 1024, 40, 400) for index in range(SIDE * SIDE)]

    assert all(abs(a - b) <= 2 for a, b in zip(shown.tobytes(), expected, strict=True))


@pytest.mark.parametrize("quality", ["1", "50", "100"])
def test_8_3_5_1_2_quality_is_from_1_to_100(service, quality):
    ok(service.get(path(INSTANCE) + "/rendered", "image/jpeg", params={"quality": quality}))


def test_8_3_5_1_3_a_viewport_keeps_the_aspect_ratio(service):
    response = ok(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"viewport": "64,32"})
    )

    assert picture(response).size in ((32, 32), (64, 32))


def test_8_3_5_1_3_a_region_is_cut_out_of_the_source(service):
    """Pixels count upwards by rows, so the lower right quarter is brighter than the upper left."""
    window = {"window": "104,256,linear"}
    quarters = [
        picture(
            ok(
                service.get(
                    path(INSTANCE) + "/rendered",
                    "image/png",
                    params={**window, "viewport": f"8,8,{at},{at},8,8"},
                )
            )
        ).convert("L")
        for at in (0, 8)
    ]

    assert quarters[0].tobytes()[0] < quarters[1].tobytes()[0]


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/gif"])
def test_8_3_3_1_the_accept_parameter_chooses_the_rendered_type(service, media_type):
    response = service.get(path(INSTANCE) + "/rendered", "*/*", params={"accept": media_type})

    assert (
        media_type_of(optional(response) if media_type != "image/jpeg" else ok(response))
        == media_type
    )


def test_8_3_3_1_dicom_and_rendered_types_do_not_mix(service):
    response = service.get(
        path(INSTANCE) + "/rendered", "*/*", params={"accept": "image/jpeg,application/dicom"}
    )

    assert response.status_code in (200, 400, 406)
    assert media_type_of(response) != "application/dicom"


@pytest.mark.parametrize("number", ["0", "5", "x"])
def test_10_4_1_1_3_a_rendered_frame_that_does_not_exist_is_refused(service, number):
    response = service.get(path(FRAMES) + f"/frames/{number}/rendered")

    assert response.status_code in (400, 404), response.status_code


def test_10_4_1_1_3_each_frame_is_rendered_by_itself(service):
    levels = [
        picture(ok(service.get(path(FRAMES) + f"/frames/{number}/rendered", "image/png")))
        .convert("RGB")
        .getpixel((0, 0))[0]
        for number in (1, 2, 3, 4)
    ]

    assert levels == [1, 2, 3, 4]


def test_8_3_5_1_5_no_icc_profile_is_embedded_where_none_is_wanted(service):
    response = ok(
        service.get(path(INSTANCE) + "/rendered", "image/png", params={"iccprofile": "no"})
    )

    assert "icc_profile" not in picture(response).info


@OPTIONAL
def test_10_4_1_1_3_a_series_in_parts_shows_its_instances(service):
    response = optional(
        service.get(path(SERIES) + "/rendered", 'multipart/related; type="image/png"')
    )

    assert all(headers["content-type"] == "image/png" for headers, _ in parts(response))


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
