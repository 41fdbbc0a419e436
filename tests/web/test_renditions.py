"""What is not a still picture, and what is written and told on pictures, PS3.18 8.3.5 and 8.7.4."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom.sequence import Sequence

from tests.helpers import samples, wire
from tests.helpers.files import nonimage

RENDERED = ("image/jpeg", "image/png", "image/gif")


def get(client, path: str, accept: str = "*/*", **headers: str):
    """GET below the DICOMweb root, which has to succeed."""
    answer = client.get(wire.DICOMWEB + path, headers={"Accept": accept, **headers})
    assert answer.status_code in (200, 206, 304), answer.text
    return answer


def picture(answer) -> Image.Image:
    """The picture that was answered."""
    return Image.open(io.BytesIO(answer.content))


def pixels(answer) -> np.ndarray:
    """The pixels of the picture that was answered."""
    return np.asarray(picture(answer).convert("RGB")).astype(int)


@pytest.fixture
def us(client) -> str:
    """The path of a stored colour image."""
    wire.must_store(client, samples.colour("colour"))
    return samples.path("colour")


def test_an_animation_has_every_frame_at_its_pace(client):
    wire.must_store(client, samples.multi_frame("cine", frames=4, FrameTime=40))
    path = samples.path("cine") + "/rendered"

    moving = picture(get(client, path, "image/gif"))

    assert (moving.n_frames, moving.info["duration"], moving.info["loop"]) == (4, 40, 0)
    for index in range(4):
        still = get(client, samples.path("cine") + f"/frames/{index + 1}/rendered", "image/png")
        moving.seek(index)
        assert np.array_equal(np.asarray(moving.convert("RGB")), pixels(still))


def test_a_frame_or_a_thumbnail_as_gif_does_not_move(client):
    wire.must_store(client, samples.multi_frame("still", frames=3))
    path = samples.path("still")

    for place in ("/frames/2/rendered", "/thumbnail"):
        assert picture(get(client, path + place, "image/gif")).n_frames == 1


def test_in_parts_a_series_shows_every_instance(client):
    damaged = samples.encode(samples.dataset("many", 1, 9, Rows=8, Columns=8))
    wire.must_store(client, *samples.ct_series("many", 3), damaged, samples.ct("many", series=2))
    path = samples.path("many", instance=2)
    series, study = path.rpartition("/instances/")[0], path.partition("/series/")[0]

    for place, count in ((series, 3), (study, 4)):
        answer = get(client, place + "/rendered", 'multipart/related; type="image/png"')
        parts = wire.parts(answer)
        assert len(parts) == count
        for headers, body in parts:
            alone = client.get(headers["Content-Location"], headers={"Accept": "image/png"})
            assert alone.content == body
        known = {"If-None-Match": answer.headers["etag"]}
        again = get(client, place + "/rendered", "multipart/related; type=image/png", **known)
        assert again.status_code == 304


def test_a_gif_shows_greys_exactly_and_colours_nearly(client, us):
    wire.must_store(client, samples.ct("grey"))
    for path, most in ((samples.path("grey"), 0), (us, 12)):
        exact, seen = (pixels(get(client, f"{path}/rendered", f"image/{kind}"))
                       for kind in ("png", "gif"))  # fmt: skip
        assert np.abs(exact - seen).mean() <= most


@pytest.mark.parametrize("study", ["latin", "日本"])
def test_the_patient_is_written_above_and_the_technique_below(client, study):
    names = {"latin": "Müller^Jürgen", "日本": "Yamada^Tarou=山田^太郎"}
    wire.must_store(client, samples.ct(study, size=256, PatientName=names[study]))
    path = samples.path(study) + "/rendered"
    plain = pixels(get(client, path, "image/png"))

    for annotation, rows in (("patient", slice(0, 128)), ("technique", slice(128, None))):
        drawn = pixels(get(client, f"{path}?annotation={annotation}", "image/png"))
        changed = (drawn != plain).any(axis=2)
        assert changed[rows].any()
        assert changed.sum() == changed[rows].sum()


def test_annotations_fit_into_the_smallest_picture(client, us):
    drawn = get(client, us + "/rendered?annotation=technique,patient&viewport=3,2", "image/png")

    assert max(picture(drawn).size) <= 3


@pytest.mark.parametrize("query", ["annotation=,", "iccprofile=cmyk"])
def test_what_is_no_annotation_and_no_profile_is_refused(client, us, query):
    answer = client.get(f"{wire.DICOMWEB}{us}/rendered?{query}")

    wire.assert_error(answer, 400)


@pytest.mark.parametrize("space", ["yes", "srgb", "adobergb", "rommrgb", "displayp3"])
def test_colours_come_with_the_profile_that_is_asked_for(client, us, space):
    plain = get(client, us + "/rendered", "image/png")

    shown_to_people = picture(get(client, f"{us}/rendered?iccprofile={space}", "image/png"))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(shown_to_people.info["icc_profile"]))
    assert "icc_profile" not in picture(plain).info
    back = ImageCms.profileToProfile(shown_to_people, profile, ImageCms.createProfile("sRGB"))
    # 8 bits of a large space are coarse.
    assert np.abs(np.asarray(back).astype(int) - pixels(plain)).mean() < 3


def test_a_jpeg_holds_a_profile_and_the_same_pixels(client, us):
    plain, with_profile = (
        get(client, f"{us}/rendered?iccprofile={wanted}", "image/jpeg") for wanted in ("no", "yes")
    )

    opened = picture(with_profile)
    assert ImageCms.ImageCmsProfile(io.BytesIO(opened.info["icc_profile"]))
    assert np.array_equal(pixels(plain), pixels(with_profile))
    assert with_profile.content[6:10] == plain.content[6:10] == b"JFIF"


def test_the_file_s_own_profile_is_handed_on(client):
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    base = samples.with_pixels(
        samples.dataset("profiled"), np.full((1, 8, 8, 3), 90, np.uint8), photometric="RGB"
    )
    base.ICCProfile = own + b"\0" * (len(own) % 2)
    wire.must_store(client, samples.encode(base))

    answer = get(client, samples.path("profiled") + "/rendered?iccprofile=yes", "image/png")

    assert picture(answer).info["icc_profile"].startswith(own)


@pytest.mark.parametrize("size", [10, 5000])
def test_a_document_goes_out_as_it_is(client, size):
    content = b"%PDF-1.4\n" + b"x" * size
    wire.must_store(client, samples.pdf("paper", content))
    path = samples.path("paper")

    answer = get(client, path + "/rendered")

    assert (answer.headers["content-type"], answer.content) == ("application/pdf", content)
    part = get(client, path + "/rendered", "application/pdf", Range="bytes=0-3")
    assert (part.status_code, part.content) == (206, b"%PDF")
    assert get(client, path.partition("/series/")[0] + "/rendered").content == content
    wire.assert_error(
        client.get(wire.DICOMWEB + path + "/rendered", headers={"Accept": "image/png"}), 406
    )
    wire.assert_error(client.get(wire.DICOMWEB + path + "/frames/1/rendered"), 406)


def test_a_video_goes_out_as_it_is(client):
    stream = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
    wire.must_store(client, nonimage.video("film", stream))

    answer = get(client, samples.path("film") + "/rendered", "video/*")

    assert (answer.headers["content-type"], answer.content) == ("video/mp4", stream)
    assert answer.headers["accept-ranges"] == "bytes"


def test_documents_reports_and_videos_have_a_small_tile(client):
    files = {"paper": samples.pdf("paper"), "said": nonimage.report("said"),
             "film": nonimage.video("film", b"stream")}  # fmt: skip
    wire.must_store(client, *files.values())

    tiles = [get(client, samples.path(study) + "/thumbnail") for study in files]

    assert all(picture(tile).size == (200, 200) for tile in tiles)
    assert all(len(tile.content) < 5000 for tile in tiles)
    assert len({tile.content for tile in tiles}) == 3
    small = get(client, samples.path("said") + "/thumbnail?viewport=64,64", "image/png")
    assert picture(small).size == (64, 64)


def test_a_report_is_a_page_whose_every_word_is_escaped(client):
    words = '<script>alert("1 & 2")</script>'
    reference = nonimage.item(ReferencedSOPClassUID=samples.CT_IMAGE_STORAGE,
                           ReferencedSOPInstanceUID=samples.sop_uid("shown"))  # fmt: skip
    measured = nonimage.item(
        NumericValue="12.5", MeasurementUnitsCodeSequence=nonimage.code("mm", "mm")
    )
    sources = Sequence([reference])
    findings = nonimage.content("CONTAINS", "CONTAINER", "Findings", ContinuityOfContent="SEPARATE")
    findings.ContentSequence = Sequence([
        nonimage.content("CONTAINS", "TEXT", words, TextValue=words),
        nonimage.content("CONTAINS", "NUM", "Diameter", MeasuredValueSequence=Sequence([measured])),
        nonimage.content("CONTAINS", "IMAGE", "Source", ReferencedSOPSequence=sources),
        nonimage.item(RelationshipType="CONTAINS", ReferencedContentItemIdentifier=[1, 1, 2]),
    ])  # fmt: skip
    wire.must_store(client, nonimage.report("said", findings))
    path = samples.path("said") + "/rendered"

    page = get(client, path)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert "&lt;script&gt;alert(&quot;1 &amp; 2&quot;)" in page.text
    assert "<h1>Chest report</h1>" in page.text
    assert "Jane Doe" in page.text
    assert "12.5 mm" in page.text
    assert '<a href="#item-1.1.2">' in page.text
    assert f'{samples.path("shown")}/rendered">CT Image</a>' in page.text
    plain = get(client, path, "text/plain")
    assert "    Diameter: 12.5 mm\n" in plain.text.replace("  Diameter", "    Diameter")
    assert get(client, path, **{"If-None-Match": page.headers["etag"]}).status_code == 304


def test_a_report_without_anything_in_it_is_a_page_too(client):
    wire.must_store(client, nonimage.report("empty"))

    assert "Chest report" in get(client, samples.path("empty") + "/rendered").text


@pytest.mark.parametrize("unit", ["uV", "mmHg"])
def test_a_waveform_is_drawn_on_paper(client, unit):
    times = np.arange(1000)
    curves = np.stack([1000 * np.sin(times / 20), np.where(times % 100 < 5, 1200, 0)], axis=1)
    wire.must_store(client, nonimage.waveform("heart", curves, unit=unit))
    path = samples.path("heart")

    for media_type in RENDERED:
        page = get(client, path + "/rendered", media_type)
        assert page.headers["content-type"] == media_type
        # Ten seconds at 25 mm, and four pixels a millimetre.
        assert 1000 < picture(page).size[0] < 1100
    ink = pixels(get(client, path + "/rendered", "image/png")).sum(axis=2) < 200
    assert ink[:, 60:1040].any(axis=0).mean() > 0.99
    assert max(picture(get(client, path + "/thumbnail")).size) == 200
    wire.assert_error(client.get(f"{wire.DICOMWEB}{path}/frames/1/rendered"), 406)


def test_of_a_recording_of_hours_ten_seconds_are_drawn(client):
    hours = np.zeros((200_000, 1))
    hours[:, 0] = np.arange(200_000) % 997
    wire.must_store(client, nonimage.waveform("holter", hours, frequency=100))

    assert picture(get(client, samples.path("holter") + "/rendered")).size[0] < 1100


def test_a_waveform_that_holds_none_is_refused(client):
    wire.must_store(client, nonimage.waveform("flat", np.zeros((0, 1))))

    wire.assert_error(client.get(f"{wire.DICOMWEB}{samples.path('flat')}/rendered"), 406)
