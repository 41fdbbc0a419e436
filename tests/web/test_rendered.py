"""Rendered resources and thumbnails over HTTP, PS3.18 10.4.1.1.3 and 10.4.1.1.4."""

import io

import numpy as np
import pytest
from PIL import Image

from lenticular.transactions.render import cached_render
from tests.helpers import samples, wire

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def get(client, path: str, accept: str | None = None, **headers: str):
    """GET below the DICOMweb root."""
    return client.get(
        wire.DICOMWEB + path, headers=headers | ({"Accept": accept} if accept else {})
    )


def picture(answer) -> np.ndarray:
    """The pixels of a picture that was answered."""
    assert answer.status_code == 200, answer.text
    opened = Image.open(io.BytesIO(answer.content))
    assert answer.headers["content-type"] == f"image/{opened.format.lower()}"
    return np.asarray(opened).astype(int)


@pytest.fixture
def ct(client) -> str:
    """The path of a stored CT image of 64 by 64."""
    wire.must_store(client, samples.ct("ct", size=64))
    return samples.path("ct")


def test_a_jpeg_is_answered_by_default_and_a_png_on_request(client, ct):
    exact = picture(get(client, ct + "/rendered", "image/png"))

    for accept in (None, "*/*", "image/*", "image/jpeg", BROWSER, "image/webp, image/jpeg;q=0.5"):
        answer = get(client, ct + "/rendered", accept)
        assert answer.headers["content-type"] == "image/jpeg"
        assert np.abs(picture(answer) - exact).mean() < 4


def test_the_file_s_own_window_is_applied(client, ct):
    stored = samples.ramp(64, 64, seed="ct11")[0].astype(float) - 1024

    shown = picture(get(client, ct + "/rendered", "image/png"))

    assert np.abs(shown - np.clip((stored - 39.5) / 399 + 0.5, 0, 1) * 255).max() <= 1


@pytest.mark.parametrize("comma", [",", "%2C"])
def test_a_window_is_requested_with_commas_plain_or_encoded(client, ct, comma):
    stored = samples.ramp(64, 64, seed="ct11")[0].astype(float) - 1024
    window = comma.join(("1000", "2000", "linear-exact"))

    shown = picture(get(client, f"{ct}/rendered?window={window}", "image/png"))

    assert np.abs(shown - np.clip((stored - 1000) / 2000 + 0.5, 0, 1) * 255).max() <= 1


def test_the_accept_parameter_stands_in_place_of_the_header(client, ct):
    assert picture(get(client, ct + "/rendered?accept=image/png", "image/jpeg")).shape == (64, 64)
    answer = get(client, ct + "/thumbnail?viewport=32,32&accept=image/jpeg", "text/plain")
    assert picture(answer).shape == (32, 32)


@pytest.mark.parametrize("accept", ["image/webp", "application/json", "video/mp4", "text/html"])
def test_other_media_types_are_not_acceptable(client, ct, accept):
    wire.assert_error(get(client, ct + "/rendered", accept), 406)


@pytest.mark.parametrize(
    "query",
    ["window=40", "window=a,b,linear", "window=40,0,linear", "viewport=0,0", "viewport=1e5,1e5",
     "viewport=100000,1", "viewport=9,9,99,99,9,9", "quality=0", "quality=101", "quality=best"],
)  # fmt: skip
def test_malformed_parameters_are_refused(client, ct, query):
    wire.assert_error(get(client, f"{ct}/rendered?{query}"), 400)


def test_a_viewport_keeps_the_proportions(client):
    wire.must_store(client, samples.encode(samples.with_pixels(
        samples.dataset("wide"), samples.ramp(20, 80), bits_stored=12)))  # fmt: skip

    assert picture(get(client, samples.path("wide") + "/rendered?viewport=40,40")).shape == (10, 40)
    assert picture(get(client, samples.path("wide") + "/thumbnail")).shape == (20, 80)


def test_the_quality_decides_the_size(client, ct):
    sizes = [
        len(get(client, f"{ct}/rendered?quality={quality}").content) for quality in (5, 50, 99)
    ]

    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_every_level_has_a_picture(client, resource):
    wire.must_store(client, *samples.ct_series("levels", 3, size=300))
    path = samples.path("levels", instance=2)
    series, study = path.rpartition("/instances/")[0], path.partition("/series/")[0]

    shown = [
        picture(get(client, f"{place}/{resource}"))
        for place in (study, series, path, path + "/frames/1")
    ]

    side = 200 if resource == "thumbnail" else 300
    assert all(each.shape == (side, side) for each in shown)
    # The middle instance stands for its series, and the series for its study.
    assert all(np.array_equal(each, shown[2]) for each in shown)


def test_the_pictures_of_frames_differ_and_the_first_stands_for_all(client):
    wire.must_store(client, samples.multi_frame("frames", frames=3))
    path = samples.path("frames")

    first, last = (picture(get(client, f"{path}/frames/{number}/rendered")) for number in (1, 3))

    assert not np.array_equal(first, last)
    assert np.array_equal(first, picture(get(client, path + "/rendered")))


def test_the_representative_frame_stands_for_all_where_one_is_named(client):
    wire.must_store(client, samples.multi_frame("named", 4, RepresentativeFrameNumber=3))
    path = samples.path("named")

    third = picture(get(client, path + "/frames/3/rendered"))

    assert np.array_equal(third, picture(get(client, path + "/rendered")))
    assert np.array_equal(third, picture(get(client, path + "/thumbnail")))


def test_several_frames_come_in_parts(client):
    wire.must_store(client, samples.multi_frame("parts", frames=3))
    path = samples.path("parts")

    answer = get(client, path + "/frames/3,1/rendered", 'multipart/related; type="image/png"')
    parts = wire.parts(answer)

    for (headers, body), number in zip(parts, (3, 1), strict=True):
        assert headers["Content-Type"] == "image/png"
        alone = get(client, f"{path}/frames/{number}/rendered", "image/png")
        assert (body, headers["Content-Location"]) == (alone.content, str(alone.url))
    wire.assert_error(get(client, path + "/frames/3,1/rendered", "image/png"), 406)


@pytest.mark.parametrize(
    ("frames", "status"),
    [("0", 400), ("x", 400), ("1,,2", 400), ("-1", 400), ("4", 404), ("1,4", 404),
     ("99999999999999999999", 400), (",".join(["1"] * 101), 413)],
)  # fmt: skip
def test_frames_that_are_not_there_are_refused(client, frames, status):
    wire.must_store(client, samples.multi_frame("few", frames=3))

    answer = get(client, f"{samples.path('few')}/frames/{frames}/rendered")

    wire.assert_error(answer, status)


def test_an_enhanced_object_is_shown_with_the_window_of_its_frame(client):
    wire.must_store(client, samples.enhanced("windows"))
    stored = samples.ramp(frames=4, seed="windows")[2].astype(float) - 1024

    shown = picture(get(client, samples.path("windows") + "/frames/3/rendered", "image/png"))

    assert np.abs(shown - np.clip((stored - 41.5) / 399 + 0.5, 0, 1) * 255).max() <= 1


def test_what_is_unknown_is_not_found(client, ct):
    for path in (
        samples.path("nobody"),
        samples.path("ct", instance=9),
        samples.path("nobody").partition("/series/")[0],
        samples.path("ct", series=9).rpartition("/instances/")[0],
    ):
        wire.assert_error(get(client, path + "/rendered"), 404)
        wire.assert_error(get(client, path + "/thumbnail"), 404)


def test_what_shows_nothing_is_refused_but_has_a_tile(client):
    wire.must_store(client, samples.encode(samples.dataset(
        "plan", SOPClassUID="1.2.840.10008.5.1.4.1.1.481.5", Modality="RTPLAN")))  # fmt: skip
    path = samples.path("plan")

    for place in (path, path.partition("/series/")[0]):
        wire.assert_error(get(client, place + "/rendered"), 406)
        assert picture(get(client, place + "/thumbnail")).shape == (200, 200)
    wire.assert_error(get(client, path + "/frames/1/rendered"), 406)


@pytest.mark.not_on_stack("takes the drawing away in the server's own memory")
def test_a_picture_that_the_client_has_is_not_drawn_again(client, ct, monkeypatch):
    first = get(client, ct + "/rendered?window=40,400,linear")
    other = get(client, ct + "/rendered?window=40,401,linear")
    monkeypatch.delattr(cached_render, "_draw")

    same = {"If-None-Match": first.headers["etag"]}
    again = get(client, ct + "/rendered?window=40,400,linear", **same)

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["etag"] != other.headers["etag"]
    assert not first.headers["etag"].startswith("W/")


@pytest.mark.not_on_stack("takes the drawing away in the server's own memory")
def test_a_thumbnail_is_drawn_once_and_gone_with_its_instance(client, ct, monkeypatch):
    first = get(client, ct + "/thumbnail")
    monkeypatch.delattr(cached_render, "_draw")

    assert get(client, ct + "/thumbnail").content == first.content
    assert client.delete(wire.DICOMWEB + ct).status_code in (200, 204)
    wire.assert_error(get(client, ct + "/thumbnail"), 410)


@pytest.mark.parametrize("resource", ["/rendered", "/thumbnail", "/frames/1/rendered"])
def test_the_headers_come_without_the_picture_too(client, ct, resource):
    full = get(client, ct + resource)
    head = client.head(wire.DICOMWEB + ct + resource)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-type", "etag"):
        assert head.headers[name] == full.headers[name]
    wire.assert_length(head, len(full.content))


def test_single_bits_are_black_and_white(client):
    wire.must_store(client, samples.bilevel("bits"))
    path = samples.path("bits") + "/frames/2/rendered?window=-1023.5,1,linear-exact"

    shown = picture(get(client, path, "image/png"))

    bits = samples.ramp(7, 9, 3)[1] // 3 % 2
    assert np.array_equal(shown, bits * 255)


# The window of the one-bit object lies far from its values.
@pytest.mark.parametrize(
    "name", [name for name in samples.gallery() if name not in ("pdf", "one bit")]
)
def test_an_object_of_this_kind_is_shown(client, name):
    answer = wire.store(client, samples.gallery()[name])
    (reference,) = wire.items(answer.json(), "00081199")
    url = wire.value(reference, "00081190")

    shown = picture(client.get(url + "/rendered", headers={"Accept": "image/png"}))

    assert shown.min() < shown.max()
    assert picture(client.get(url + "/thumbnail")).size


@pytest.mark.parametrize(
    "query",
    ["annotation=patient", "annotation=technique", "quality=50", "window=40,400,linear",
     "iccprofile=srgb", "viewport=8,8,0,0,4,4", "viewport=8,8,,,-4,-4"],
)  # fmt: skip
def test_a_thumbnail_takes_nothing_but_the_size_of_its_box(client, ct, query):
    for place in (ct, ct + "/frames/1", ct.partition("/instances")[0], ct.partition("/series")[0]):
        answer = get(client, f"{place}/thumbnail?{query}")
        wire.assert_error(answer, 400)
        assert query.partition("=")[0] in answer.json()["detail"]


def test_the_thumbnail_of_several_frames_is_one_picture_of_the_first(client):
    wire.must_store(client, samples.multi_frame("three", 3))
    url = samples.path("three") + "/frames"

    shown = picture(get(client, f"{url}/3,1/thumbnail", "image/png"))

    assert np.array_equal(shown, picture(get(client, f"{url}/3/thumbnail", "image/png")))
    assert not np.array_equal(shown, picture(get(client, f"{url}/1/thumbnail", "image/png")))
    wire.assert_error(get(client, f"{url}/4,1/thumbnail"), 404)


@pytest.mark.parametrize(
    ("dtype", "value", "grey"),
    [
        (np.uint16, 0, 0),
        (np.uint16, 0x8000, 128),
        (np.uint16, 0xFFFF, 255),
        (np.int16, -0x8000, 0),
        (np.int16, 0, 128),
    ],
)
def test_an_image_of_one_value_without_a_window_has_its_grey(client, dtype, value, grey):
    base = samples.dataset("flat", WindowCenter=None, WindowWidth=None, RescaleIntercept=0)
    pixels = np.full((1, 16, 16), value, dtype)
    signed = np.issubdtype(dtype, np.signedinteger)
    wire.must_store(client, samples.encode(samples.with_pixels(base, pixels, signed=signed)))
    url = f"{wire.DICOMWEB}{samples.path('flat')}/rendered?accept=image/png"
    picture = np.asarray(Image.open(io.BytesIO(client.get(url).content)))
    assert (np.abs(picture.astype(int) - grey) <= 1).all(), picture.max()
