"""Presentation states as rendered resources: greys, shutters, places; PS3.4 N.2, PS3.18 8.3.5."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.helpers import samples, wire
from tests.helpers.files import softcopy
from tests.helpers.files.softcopy import area, image, item, table, window
from tests.helpers.http.store import as_json, metadata_of, send

ROWS, COLUMNS = 48, 64
WINDOW = {"SoftcopyVOILUTSequence": [window(2048, 4096)]}
PIXELS = samples.ramp(ROWS, COLUMNS, seed="presented")[0]
LINEAR = PIXELS / 4095 * 255  # what WINDOW makes of them, to a rounding
PNG = {"Accept": "image/png"}


def store(client, *, pixels=PIXELS, study="s", areas=None, photometric="MONOCHROME2", **attributes):
    """Store an image, and a state for it."""
    frames = pixels if pixels.ndim > 2 else pixels[None]
    options = {"photometric": photometric, "signed": pixels.dtype.kind == "i"}
    bits = 12 if pixels.dtype.itemsize == 2 else 8
    base = samples.with_pixels(samples.dataset(study), frames, bits_stored=bits, **options)
    areas = areas or [area(frames.shape[2], frames.shape[1])]
    wire.must_store(client, samples.encode(base), softcopy.state(study, areas, **attributes))


def get(client, query="", study="s", resource="rendered", **headers):
    path = f"{wire.DICOMWEB}{softcopy.path(study)}/{resource}{query}"
    return client.get(path, headers=PNG | headers)


def shown(client, query="", study="s", resource="rendered"):
    """The pixels of the image as the state shows it."""
    answer = get(client, query, study, resource)
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)


def assert_near(picture, expected, most=1.0):
    assert picture.shape == np.shape(expected)
    assert np.abs(picture - expected).max() <= most


def test_the_window_is_that_of_the_state_and_not_that_of_the_image(client):
    store(client, SoftcopyVOILUTSequence=[window(1000, 501)])

    assert_near(shown(client), np.clip((PIXELS - 999.5) / 500 + 0.5, 0, 1) * 255)


def test_a_state_that_only_inverts_shows_the_inverted_picture(client):
    store(client, study="as it is", **WINDOW)
    store(client, study="inverted", PresentationLUTShape="INVERSE", **WINDOW)

    assert_near(shown(client, study="inverted"), 255 - shown(client, study="as it is"))


def test_what_the_state_does_not_say_is_the_identity(client):
    store(client)

    assert_near(shown(client), LINEAR)


def test_the_photometric_interpretation_is_replaced_by_the_presentation_lut(client):
    store(client, photometric="MONOCHROME1", **WINDOW)

    assert_near(shown(client), LINEAR)


def test_signed_values_are_rescaled_before_the_window(client):
    pixels = (PIXELS.astype(np.int16) - 2048).astype(np.int16)
    rescaled = {"RescaleSlope": 0.5, "RescaleIntercept": 100, "RescaleType": "US"}
    store(client, pixels=pixels, SoftcopyVOILUTSequence=[window(100, 601)], **rescaled)

    assert_near(shown(client), np.clip((pixels / 2 + 100 - 99.5) / 600 + 0.5, 0, 1) * 255)


def test_tables_are_applied_one_after_the_other(client):
    squares = ((np.arange(4096) / 4095) ** 2 * 4095).astype(np.uint16)
    roots = (np.sqrt(np.arange(4096) / 4095) * 65535).astype(np.uint16)
    reversed_steps = (np.arange(16)[::-1] * 17).astype(np.uint16)
    store(
        client,
        ModalityLUTSequence=[item(ModalityLUTType="US", **table(squares, bits=12))],
        SoftcopyVOILUTSequence=[item(VOILUTSequence=[item(**table(roots))])],
        PresentationLUTSequence=[item(**table(reversed_steps, bits=8))],
    )

    steps = np.rint(roots[squares[PIXELS]] / 65535 * 15).astype(int)
    assert_near(shown(client), reversed_steps[steps].astype(int))


def test_a_voi_lut_begins_below_zero_where_the_rescaled_values_do(client):
    steps = np.arange(0, 4096, dtype=np.uint16)
    rescaled = {"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU"}
    # -1024 in an unsigned word.
    lut = item(**table(steps, first=65536 - 1024, bits=12))
    store(client, SoftcopyVOILUTSequence=[item(VOILUTSequence=[lut])], **rescaled)

    assert_near(shown(client), LINEAR)


def test_in_parts_a_series_of_states_shows_an_image_for_each(client):
    store(client, **WINDOW)
    wire.must_store(client, softcopy.state("s", [area(10, 10)], instance=2, **WINDOW))

    series = softcopy.path("s").rpartition("/instances/")[0]
    answer = client.get(
        f"{wire.DICOMWEB}{series}/rendered",
        headers={"Accept": 'multipart/related; type="image/png"'},
    )
    sizes = [Image.open(io.BytesIO(body)).size for _, body in wire.parts(answer)]
    assert sizes == [(COLUMNS, ROWS), (10, 10)]
    # Through a window of its own the study shows images only.
    study = f"{wire.DICOMWEB}{series.partition('/series/')[0]}/rendered?window=40,400,linear"
    answer = client.get(study, headers={"Accept": 'multipart/related; type="image/png"'})
    assert len(wire.parts(answer)) == 1


@pytest.mark.parametrize("flipped", ["N", "Y"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_the_image_is_turned_clockwise_and_then_flipped(client, rotation, flipped):
    store(client, ImageRotation=rotation, ImageHorizontalFlip=flipped, **WINDOW)

    turned = np.rot90(LINEAR, -rotation // 90)
    assert_near(shown(client), turned[:, ::-1] if flipped == "Y" else turned)


def test_only_the_displayed_area_is_shown(client):
    corners = {
        "DisplayedAreaTopLeftHandCorner": [40, 11],
        "DisplayedAreaBottomRightHandCorner": [21, 30],
    }
    store(client, areas=[area(0, 0, **corners)], ImageHorizontalFlip="Y", **WINDOW)

    assert_near(shown(client), LINEAR[10:30, 20:40][:, ::-1])


def test_where_the_displayed_area_leaves_the_image_it_is_black(client):
    corners = {
        "DisplayedAreaTopLeftHandCorner": [-9, 1],
        "DisplayedAreaBottomRightHandCorner": [COLUMNS + 5, ROWS],
    }
    store(client, areas=[area(0, 0, **corners)], **WINDOW)

    assert_near(shown(client), np.pad(LINEAR, ((0, 0), (10, 5))))


def test_pixels_that_are_higher_than_wide_make_a_higher_picture(client):
    store(client, areas=[area(COLUMNS, ROWS, PresentationPixelAspectRatio=[3, 1])], **WINDOW)

    assert shown(client).shape == (3 * ROWS, COLUMNS)


@pytest.mark.parametrize("mode", ["SCALE TO FIT", "TRUE SIZE"])
def test_the_displayed_area_fills_the_viewport(client, mode):
    spacing = {"PresentationPixelSpacing": [0.5, 0.5], "PresentationSizeMode": mode}
    store(client, areas=[area(COLUMNS, ROWS, **spacing)], ImageRotation=90, **WINDOW)

    assert shown(client, "?viewport=96,500").shape == (128, 96)
    assert shown(client, resource="thumbnail").shape == (COLUMNS, ROWS)


def test_a_magnified_area_is_cropped_by_the_viewport(client):
    store(client, pixels=np.full((ROWS, COLUMNS), 4095, np.uint16), areas=[area(
        COLUMNS, ROWS, PresentationSizeMode="MAGNIFY", PresentationPixelMagnificationRatio=3.0
    )])  # fmt: skip

    assert_near(shown(client), np.full((3 * ROWS, 3 * COLUMNS), 255))
    assert shown(client, "?viewport=100,50").shape == (50, 100)
    assert shown(client, "?viewport=50,50", resource="thumbnail").shape == (38, 50)


def test_a_rectangle_a_circle_and_a_polygon_leave_open_what_lies_in_all_of_them(client):
    row, column = np.mgrid[1 : ROWS + 1, 1 : COLUMNS + 1]
    shapes = {
        "RECTANGULAR": (row >= 5) & (row <= 40) & (column >= 20) & (column <= 60),
        "CIRCULAR": (row - 24) ** 2 + (column - 32) ** 2 <= 22**2,
        "POLYGONAL": row <= column,
    }
    places = {
        "ShutterLeftVerticalEdge": 20,
        "ShutterRightVerticalEdge": 60,
        "ShutterUpperHorizontalEdge": 5,
        "ShutterLowerHorizontalEdge": 40,
        "CenterOfCircularShutter": [24, 32],
        "RadiusOfCircularShutter": 22,
        "VerticesOfThePolygonalShutter": [1, 1, 48, 48, 48, 64, 1, 64],
        "ShutterPresentationValue": 0x8000,
    }
    for number, chosen in enumerate([*([name] for name in shapes), list(shapes)]):
        study = f"shutter {number}"
        store(client, study=study, ShutterShape=chosen, **places, **WINDOW)
        visible = np.logical_and.reduce([shapes[name] for name in chosen])
        assert_near(shown(client, study=study), np.where(visible, LINEAR, 128))


@pytest.mark.parametrize("far", [2**31 - 1, -(2**31)])
def test_a_shutter_that_lies_far_away_leaves_nothing_to_see(client, far):
    metadata = metadata_of(softcopy.state("far", [area(COLUMNS, ROWS)]))
    del metadata["7FE00010"]
    metadata |= {
        "00181600": {"vr": "CS", "Value": ["CIRCULAR"]},
        "00181610": {"vr": "IS", "Value": [far, far]},
        "00181612": {"vr": "IS", "Value": [10]},
    }
    store(client, study="far")
    metadata["00080018"]["Value"] = [samples.uid("far", far)]
    answer = send(client, as_json(metadata))
    assert answer.status_code == 200, answer.text
    (stored,) = wire.items(answer.json(), "00081199")
    picture = client.get(wire.value(stored, "00081190") + "/rendered", headers=PNG)
    assert picture.status_code == 200, picture.text
    assert Image.open(io.BytesIO(picture.content)).convert("L").getextrema() == (0, 0)


def test_a_shutter_turns_with_the_image_and_may_have_a_colour(client):
    store(
        client,
        **WINDOW,
        ImageRotation=180,
        ShutterShape="RECTANGULAR",
        ShutterLeftVerticalEdge=1,
        ShutterRightVerticalEdge=32,
        ShutterUpperHorizontalEdge=1,
        ShutterLowerHorizontalEdge=ROWS,
        ShutterPresentationValue=0,
        # The red of sRGB, in CIELab by the white of D50: 54.29, 80.81, 69.89.
        ShutterPresentationColorCIELabValue=[35579, 53663, 50858],
    )

    picture = shown(client)
    assert_near(picture[:, :32], np.broadcast_to([255, 0, 0], (ROWS, 32, 3)), 3)
    assert_near(picture[:, 32:], np.stack([LINEAR[::-1, 31::-1]] * 3, axis=2))


def test_each_frame_has_the_window_that_names_it(client):
    pixels = np.stack([PIXELS, PIXELS, PIXELS])
    of_frames = [
        window(2048, 4096, ReferencedImageSequence=[image("s", frames=[1, 3])]),
        window(9000, 100, ReferencedImageSequence=[image("s", frames=[2])]),
    ]
    store(client, pixels=pixels, images=[image("s", frames=[3, 2])],
          SoftcopyVOILUTSequence=of_frames)  # fmt: skip

    assert_near(shown(client), LINEAR)
    parts = wire.parts(get(client, Accept='multipart/related; type="image/png"'))
    pictures = [np.asarray(Image.open(io.BytesIO(body))) for _, body in parts]
    assert_near(pictures[0].astype(int), LINEAR)
    assert_near(pictures[1].astype(int), np.zeros((ROWS, COLUMNS)))
    assert all(headers["Content-Location"].endswith("/rendered") for headers, _ in parts)


def test_pseudo_colours_are_those_of_the_state_s_palette(client):
    reds = (np.arange(1024) * 64).astype(np.uint16)
    colours = {"Red": reds, "Green": reds[::-1], "Blue": np.zeros(1024, np.uint16)}
    palette = {
        f"{name}PaletteColorLookupTable{part}": value
        for name, entries in colours.items()
        for part, value in (("Descriptor", [1024, 0, 16]), ("Data", entries.tobytes()))
    }
    store(client, sop_class=softcopy.PSEUDO_COLOUR, **palette, **WINDOW)

    index = np.rint(PIXELS / 4095 * 1023).astype(int)
    expected = np.stack([colours[name][index] >> 8 for name in colours], axis=2)
    assert_near(shown(client), expected.astype(int))


def test_a_colour_state_shows_colours_as_they_are(client):
    pixels = np.stack([PIXELS % 256, 255 - PIXELS % 256, PIXELS % 7 * 30], axis=2)[None]
    store(client, pixels=pixels.astype(np.uint8), photometric="RGB", ImageRotation=90,
          sop_class=softcopy.COLOUR)  # fmt: skip

    assert np.array_equal(shown(client), np.rot90(pixels[0], -1))


REFUSED = {
    "colours": {"sop_class": softcopy.COLOUR},
    "palette": {"sop_class": softcopy.PSEUDO_COLOUR},
    "mask": {"MaskSubtractionSequence": [item(MaskOperation="AVG_SUB")]},
    "unknown shape": {"ShutterShape": "STAR"},
    "overlay": {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6000},
    "incomplete": {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [1, 1]},
    "turn": {"ImageRotation": 45},
    "Presentation LUT Shape": {"PresentationLUTShape": "LIN OD"},
    "VOI LUT": {"SoftcopyVOILUTSequence": [item(WindowCenter=1, WindowWidth=0)]},
    "Modality LUT": {"ModalityLUTSequence": [item(ModalityLUTType="US")]},
    "Presentation LUT": {"PresentationLUTSequence": [item(LUTDescriptor=[0, 0, 8])]},
    "displayed area": {"areas": [area(2**30, 1)]},
    "too large": {"areas": [area(COLUMNS, ROWS, PresentationSizeMode="MAGNIFY",
                                 PresentationPixelMagnificationRatio=1e9)]},
    "slide": {"areas": [area(COLUMNS, ROWS, PixelOriginInterpretation="VOLUME")]},
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_applied_as_a_whole_is_refused_with_the_reason(client, reason):
    store(client, **REFUSED[reason])

    answer = get(client)
    wire.assert_error(answer, 406)
    assert reason in answer.json()["detail"]
    # A list of series has a place for it all the same.
    assert get(client, resource="thumbnail").status_code == 200


@pytest.mark.parametrize("query", ["?window=40,400,linear", "?viewport=10,10,5,5,20,20"])
def test_a_window_or_a_region_beside_a_state_is_refused(client, query):
    store(client, **WINDOW)

    wire.assert_error(get(client, query), 400)


def test_a_state_without_any_of_its_images_shows_a_tile_only(client):
    wire.must_store(client, softcopy.state("s", [area(COLUMNS, ROWS)]))

    wire.assert_error(get(client), 406)
    wire.assert_error(get(client, resource="frames/1/rendered"), 406)
    assert shown(client, resource="thumbnail").shape == (200, 200)


def test_other_bytes_of_the_image_or_of_the_state_have_another_entity_tag(client):
    tags = set()
    for study, most, center in (("a", 4000, 2048), ("b", 4001, 2048), ("c", 4000, 2000)):
        pixels = np.full((8, 8), most, np.uint16)
        store(client, study=study, pixels=pixels, SoftcopyVOILUTSequence=[window(center, 4096)])
        tag = get(client, study=study).headers["etag"]
        tags.add(tag)
        assert get(client, study=study, **{"If-None-Match": tag}).status_code == 304
        assert get(client, study=study, resource="thumbnail").headers["etag"] != tag
    assert len(tags) == 3


def test_blending_states_are_not_shown(client):
    store(client, sop_class="1.2.840.10008.5.1.4.1.1.11.4")

    wire.assert_error(get(client), 406)
