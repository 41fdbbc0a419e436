"""Query parameters of rendered resources, PS3.18 8.3.5.1."""

import sys
from subprocess import run

import pytest

from lenticular.errors import InvalidRequest
from lenticular.pixels.picture_formats import JPEG, PNG
from lenticular.pixels.render_options import (
    THUMBNAIL,
    RenderOptions,
    Viewport,
    Window,
    parse_options,
    parse_thumbnail_options,
    parse_viewport,
    parse_window,
)


def test_nothing_asked_for_is_a_jpeg_of_quality_90_in_full_size():
    assert parse_options({}) == RenderOptions(JPEG, 90, None, None)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("40,400,linear", Window(40, 400, "LINEAR")),
        ("-600.5, 1.5e3 ,SIGMOID", Window(-600.5, 1500, "SIGMOID")),
        ("+.5,0.25,linear-exact", Window(0.5, 0.25, "LINEAR_EXACT")),
        ("0,1,LINEAR_EXACT", Window(0, 1, "LINEAR_EXACT")),
    ],
)
def test_windows_are_read(text, window):
    assert parse_window(text) == window


@pytest.mark.parametrize(
    "text",
    ["", "40", ",", "40,400", "40,400,", "a,b,linear", "40,400,cubic", "40,400,linear,1",
     "40,0,linear", "40,.5,linear", "40,-1,sigmoid", "nan,400,linear", "40,inf,linear",
     "1_0,400,linear", "40,400,linear,,", "1e999,4,linear"],
)  # fmt: skip
def test_malformed_windows_are_refused(text):
    with pytest.raises(InvalidRequest, match="window"):
        parse_window(text)


@pytest.mark.parametrize(
    ("text", "viewport"),
    [
        ("512,256", Viewport(512, 256)),
        ("512,256,0,0,100,50", Viewport(512, 256, 0, 0, 100, 50)),
        ("9,9,1.5,2,,", Viewport(9, 9, 1.5, 2)),
        ("9,9,,,-8,-7", Viewport(9, 9, 0, 0, 8, 7, True, True)),
    ],
)
def test_viewports_are_read(text, viewport):
    assert parse_viewport(text) == viewport


@pytest.mark.parametrize(
    "text",
    ["", "512", "0,5", "-5,5", "5.5,5", "8193,5", "9999999999,1", "a,b", "5,5,1", "5,5,1,1,1",
     "5,5,-1,0,5,5", "5,5,0,0,0,5", "5,5,0,0,.1,5", "5,5,a,0,5,5", "5,5,0,0,5,5,5"],
)  # fmt: skip
def test_malformed_viewports_are_refused(text):
    with pytest.raises(InvalidRequest, match="viewport"):
        parse_viewport(text)


@pytest.mark.parametrize("text", ["0", "101", "-1", "x", "", "9.5", "1e1"])
def test_malformed_qualities_are_refused(text):
    with pytest.raises(InvalidRequest, match="quality"):
        parse_options({"quality": text})


def test_a_thumbnail_has_a_viewport_of_its_own_unless_another_is_asked_for():
    assert parse_thumbnail_options({}, JPEG).viewport == THUMBNAIL
    asked = parse_thumbnail_options({"viewport": "256,256"}, PNG)
    assert asked == RenderOptions(PNG, 90, None, Viewport(256, 256))


def test_reading_parameters_loads_no_codec():
    code = (
        "import sys; import lenticular.web.routes.rendered;"
        "print([m for m in ('imagecodecs', 'lenticular.pixels.codecs.decode') if m in sys.modules])"
    )
    answer = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "[]", answer.stdout
