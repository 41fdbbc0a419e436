"""What presentation states draw on images: shapes, texts and their layers, PS3.3 C.10.5."""

import io
from itertools import count
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from tests.helpers import samples, wire
from tests.helpers.files import softcopy
from tests.helpers.files.softcopy import area, item, window

ROWS, COLUMNS = 120, 160
DARK = np.zeros((1, ROWS, COLUMNS), np.uint16)
INK = 200


def graphic(kind: str, *data: float, units: str = "PIXEL", filled: str = "N", **more: Any):
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(data) // 2,
        GraphicData=[float(number) for number in data],
        GraphicType=kind,
        GraphicFilled=filled,
        **more,
    )


def text(words: str, *box: float, units: str = "PIXEL", justified: str = "LEFT", **anchor: Any):
    boxed = {} if not box else {
        "BoundingBoxAnnotationUnits": units,
        "BoundingBoxTopLeftHandCorner": list(box[:2]),
        "BoundingBoxBottomRightHandCorner": list(box[2:]),
        "BoundingBoxTextHorizontalJustification": justified,
    }  # fmt: skip
    return item(UnformattedTextValue=words, **boxed, **anchor)


def anchored(words: str, x: float, y: float, *box: float, visible: str = "Y"):
    anchor = {"AnchorPointAnnotationUnits": "PIXEL", "AnchorPoint": [x, y]}
    return text(words, *box, **anchor, AnchorPointVisibility=visible)


def annotation(*objects, layer: str = "L", **more: Any):
    texts = [each for each in objects if "UnformattedTextValue" in each]
    graphics = [each for each in objects if "GraphicType" in each]
    sequences = {"TextObjectSequence": texts, "GraphicObjectSequence": graphics}
    kept = {name: items for name, items in sequences.items() if items}
    return item(GraphicLayer=layer, **kept, **more)


def layer(name: str, order: int, **colour: Any):
    return item(GraphicLayer=name, GraphicLayerOrder=order, **colour)


@pytest.fixture
def draw(client):
    """The pixels of a dark image with these annotations."""
    numbers = count(1)

    def draw(*annotations, query: str = "", status: int = 200, **attributes: Any):
        base = samples.with_pixels(samples.dataset("s"), DARK, bits_stored=12)
        areas = attributes.pop("areas", [area(COLUMNS, ROWS)])
        attributes.setdefault(
            "GraphicLayerSequence",
            [layer("L", 1, GraphicLayerRecommendedDisplayGrayscaleValue=INK << 8)],
        )
        attributes.setdefault("SoftcopyVOILUTSequence", [window(2048, 4096)])
        attributes |= {"GraphicAnnotationSequence": list(annotations), "instance": next(numbers)}
        state = softcopy.state("s", areas, **attributes)
        wire.must_store(client, samples.encode(base), state)
        answer = client.get(
            f"{wire.DICOMWEB}{softcopy.path('s', attributes['instance'])}/rendered{query}",
            headers={"Accept": "image/png"},
        )
        assert answer.status_code == status, answer.text
        if status != 200:
            return answer.json()["detail"]
        return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)

    return draw


def distances(picture, x: float, y: float):
    """How far the middle of each inked pixel is from a point that counts from the corner."""
    row, column = np.nonzero(picture == INK)
    return np.hypot(column + 0.5 - x, row + 0.5 - y)


def inked(picture) -> tuple[int, int, int, int]:
    """The least and the greatest column and row with ink."""
    row, column = np.nonzero(picture)
    return column.min(), column.max(), row.min(), row.max()


def test_a_circle_lies_where_it_should(draw):
    away = distances(draw(annotation(graphic("CIRCLE", 80, 60, 120, 60))), 80, 60)

    assert np.abs(away - 40).max() < 1
    assert len(away) > 2 * 40 * 2


def test_an_ellipse_has_the_axes_that_it_names(draw):
    picture = draw(annotation(graphic("ELLIPSE", 30, 60, 130, 60, 80, 40, 80, 80)))

    row, column = np.nonzero(picture)
    sums = ((column + 0.5 - 80) / 50) ** 2 + ((row + 0.5 - 60) / 20) ** 2
    assert np.abs(sums - 1).max() < 0.12
    assert np.abs(np.subtract(inked(picture), (30, 130, 40, 80))).max() <= 1


def test_a_filled_figure_is_filled(draw):
    corners = (20, 10, 60, 10, 60, 50, 20, 50, 20, 10)
    hollow, filled = (draw(annotation(graphic("POLYLINE", *corners, filled=each))) for each in "NY")

    assert (filled[11:49, 21:59] == INK).all()
    assert not hollow[12:48, 22:58].any()
    assert np.abs(np.subtract(inked(filled), (20, 60, 10, 50))).max() <= 1


def test_a_curve_goes_through_all_of_its_points(draw):
    points = [(20, 100), (60, 20), (100, 90), (140, 30)]
    picture = draw(annotation(graphic("INTERPOLATED", *(part for each in points for part in each))))

    for point in points:
        assert distances(picture, *point).min() < 1
    # Smooth is longer than straight.
    straight = draw(annotation(graphic("POLYLINE", *(part for each in points for part in each))))
    assert distances(straight, 60, 20).min() < 1
    assert not np.array_equal(picture, straight)


def test_a_point_is_marked(draw):
    away = distances(draw(annotation(graphic("POINT", 80.5, 60.5))), 80.5, 60.5)

    assert away.min() == 0
    assert away.max() <= 4


def test_annotations_of_the_image_turn_and_grow_with_it(draw):
    point = annotation(graphic("POINT", 40.5, 20.5))
    turned = draw(point, ImageRotation=90, ImageHorizontalFlip="Y", query="?viewport=240,1000")

    # Clockwise it is at (ROWS - 20.5, 40.5), and flipped at (20.5, 40.5); all of it twice as large.
    assert turned.shape == (2 * COLUMNS, 2 * ROWS)
    assert distances(turned, 41, 81).min() < 1


def test_annotations_of_the_image_keep_their_place_in_a_displayed_area(draw):
    corners = {
        "DisplayedAreaTopLeftHandCorner": [31, 11],
        "DisplayedAreaBottomRightHandCorner": [110, 90],
    }
    picture = draw(annotation(graphic("POINT", 40.5, 20.5)), areas=[area(0, 0, **corners)])

    assert distances(picture, 10.5, 10.5).min() == 0


def test_annotations_of_the_display_stay_where_they_are(draw):
    line = annotation(graphic("POLYLINE", 0.25, 0.75, 0.75, 0.75, units="DISPLAY"))
    for rotation in (0, 90):
        picture = draw(line, ImageRotation=rotation)
        rows, columns = picture.shape
        left, right, upper, lower = inked(picture)
        assert abs(upper - rows * 0.75) <= 1 >= lower - upper
        assert abs(left - columns * 0.25) <= 1 >= abs(right - columns * 0.75)


@pytest.mark.parametrize("justified", ["LEFT", "CENTER", "RIGHT"])
def test_a_text_fills_its_box(draw, justified):
    picture = draw(annotation(text("Cyst", 20, 30, 140, 60, justified=justified)))

    left, right, upper, lower = inked(picture)
    assert 18 <= left <= right <= 141
    assert 29 <= upper <= lower <= 61
    middle = {"LEFT": left < 25, "RIGHT": right > 135, "CENTER": abs(left + right - 160) < 8}
    assert middle[justified]


def test_lines_of_a_text_are_below_one_another_and_upright_in_a_turned_image(draw):
    words = text("one\r\ntwo", 0.1, 0.1, 0.9, 0.5, units="DISPLAY")
    straight, turned = draw(annotation(words)), draw(annotation(words), ImageRotation=180)

    assert np.array_equal(straight, turned)
    in_row = straight.any(axis=1)
    assert (np.diff(in_row.astype(int)) == 1).sum() == 2


def test_a_text_without_a_box_stands_by_its_anchor(draw):
    away = distances(draw(annotation(anchored("near", 60, 60))), 60, 60)
    assert away.min() < 1
    assert away.max() < 60


@pytest.mark.parametrize(("visible", "is_drawn"), [("Y", True), ("N", False)])
def test_the_line_to_an_anchor_is_drawn_where_it_is_visible(draw, visible, is_drawn):
    picture = draw(annotation(anchored("far", 20, 100, 90, 10, 150, 30, visible=visible)))

    assert (distances(picture, 20, 100).min() < 1) == is_drawn


def test_a_text_at_the_edge_stays_in_the_picture(draw):
    lower_right = draw(annotation(anchored("corner", 159, 119, visible="N")))
    amid = draw(annotation(anchored("corner", 60, 60, visible="N")))

    assert (lower_right > 0).sum() == pytest.approx((amid > 0).sum(), rel=0.2)


def test_a_text_outside_of_the_displayed_area_is_not_moved_into_it(draw):
    corners = {"DisplayedAreaTopLeftHandCorner": [81, 61]}
    words = [text("out", 5, 5, 60, 20), anchored("out", 20, 100, visible="N")]

    assert not draw(annotation(*words), areas=[area(COLUMNS, ROWS, **corners)]).any()


def test_layers_are_drawn_in_their_order_and_in_their_colours(draw):
    box = (20, 10, 60, 10, 60, 50, 20, 50, 20, 10)
    picture = draw(
        annotation(graphic("POLYLINE", *box, filled="Y"), layer="UPPER"),
        annotation(graphic("POLYLINE", *(each + 10 for each in box), filled="Y"), layer="LOWER"),
        GraphicLayerSequence=[
            # The green of sRGB in CIELab by the white of D50: 87.82, -79.27, 80.99.
            layer("UPPER", 2, GraphicLayerRecommendedDisplayCIELabValue=[57553, 12525, 53711]),
            layer("LOWER", 1, GraphicLayerRecommendedDisplayGrayscaleValue=0x8000),
        ],
    )

    assert np.abs(picture[30, 40] - [0, 255, 0]).max() <= 3
    assert picture[57, 67].tolist() == [128, 128, 128]
    assert picture[100, 100].tolist() == [0, 0, 0]


def test_an_annotation_of_another_image_is_not_drawn(draw):
    other = softcopy.image("s", instance=2)
    named = {"ReferencedImageSequence": [other]}

    assert not draw(annotation(graphic("POINT", 80, 60), **named)).any()


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        (graphic("SPLINE", 1, 1, 2, 2), "unknown type"),
        (graphic("CIRCLE", 1, 1), "circle"),
        (graphic("ELLIPSE", 1, 1, 2, 2), "ellipse"),
        (graphic("POLYLINE", 1, 1, 2, 2, units="MATRIX"), "unknown units"),
        (graphic("POLYLINE", 1, 1, 2), "position"),
        (graphic("POINT", 1, 1, LineStyleSequence=[item(LineThickness=9.0)]), "line style"),
        (text("nowhere"), "position"),
        (text("\U0001f600", 1, 1, 90, 90), "letters"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused_with_the_reason(draw, drawn, reason):
    assert reason in draw(annotation(drawn), status=406)


def test_more_than_can_be_drawn_in_time_is_refused(draw):
    scribble = graphic("POLYLINE", *[1.0, 2.0] * 8_000)

    assert "more annotations" in draw(annotation(*[scribble] * 3), status=406)


def test_compound_graphics_are_refused(draw):
    compound = item(CompoundGraphicInstanceID=1)

    assert "compound" in draw(annotation(CompoundGraphicSequence=[compound]), status=406)


ROW, COLUMN = np.mgrid[0:ROWS, 0:COLUMNS]
PLANE = (ROW // 8 + COLUMN // 8) % 2 > 0


def overlaid(base: pydicom.Dataset, origin=(1, 1), frames: int = 1, cut: int = 0):
    """The dataset with a chequered overlay."""
    data = np.packbits(PLANE.ravel(), bitorder="little").tobytes()[: ROWS * COLUMNS // 8 - cut]
    elements = {
        0x60000010: ("US", ROWS), 0x60000011: ("US", COLUMNS), 0x60000040: ("CS", "G"),
        0x60000015: ("IS", frames), 0x60000050: ("SS", list(origin)), 0x60000100: ("US", 1),
        0x60000102: ("US", 0), 0x60003000: ("OW", data),
    }  # fmt: skip
    for tag, (vr, value) in elements.items():
        base.add_new(tag, vr, value)
    return base


def shown_with_overlay(
    client, of_state: dict | None = None, layer_name="L", /, activated=0x60001001, **of_image
):
    """The answer for a dark image with an overlay, or a state with one."""
    base = samples.with_pixels(samples.dataset("s"), DARK, bits_stored=12)
    if of_state is None:
        overlaid(base, **of_image)
    ink = [layer("L", 1, GraphicLayerRecommendedDisplayGrayscaleValue=INK << 8)]
    file = softcopy.state("s", [area(COLUMNS, ROWS)], GraphicLayerSequence=ink)
    state = pydicom.dcmread(io.BytesIO(file))
    if of_state is not None:
        overlaid(state).update(softcopy.item(**of_state))
    state.add_new(activated, "CS", layer_name)
    wire.must_store(client, samples.encode(base), samples.encode(state))
    path = f"{wire.DICOMWEB}{softcopy.path('s')}/rendered"
    return client.get(path, headers={"Accept": "image/png"})


def pixels(answer):
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content))).astype(int)


def test_an_overlay_of_the_image_is_seen_where_its_layer_is_named(client):
    assert np.array_equal(pixels(shown_with_overlay(client)), PLANE * INK)


def test_an_overlay_without_a_layer_is_not_seen(client):
    assert not pixels(shown_with_overlay(client, None, "")).any()


def test_an_overlay_that_neither_the_image_nor_the_state_has_is_none(client):
    assert not pixels(shown_with_overlay(client, activated=0x60021001)).any()


def test_an_overlay_lies_at_its_origin(client):
    moved = np.zeros((ROWS, COLUMNS), bool)
    moved[:-10, 5:] = PLANE[10:, :-5]

    assert np.array_equal(pixels(shown_with_overlay(client, origin=(-9, 6))), moved * INK)


def test_an_overlay_of_the_state_is_seen_and_turned_with_the_image(client):
    answer = shown_with_overlay(client, {"ImageRotation": 180})

    assert np.array_equal(pixels(answer), PLANE[::-1, ::-1] * INK)


def test_an_overlay_of_the_state_may_be_the_shutter(client):
    shutter = {"ShutterShape": "BITMAP", "ShutterOverlayGroup": 0x6000,
               "ShutterPresentationValue": 0x6000}  # fmt: skip

    assert np.array_equal(pixels(shown_with_overlay(client, shutter, "")), PLANE * 0x60)


@pytest.mark.parametrize("broken", [{"cut": 2}, {"frames": 2}, {"origin": (1, 1, 1)}], ids=str)
def test_an_overlay_that_cannot_be_read_is_refused(client, broken):
    answer = shown_with_overlay(client, **broken)

    wire.assert_error(answer, 406)
    assert "overlay" in answer.json()["detail"]
