"""A presentation state with something of everything, for the fuzzer to spoil."""

from functools import cache

import numpy as np

from tests.helpers import samples
from tests.helpers.files import softcopy
from tests.helpers.files.softcopy import area, item, table, window

SIDE = 16


def _shape(kind: str, *data: float, filled: str = "Y"):
    return item(
        GraphicAnnotationUnits="PIXEL", GraphicDimensions=2, NumberOfGraphicPoints=len(data) // 2,
        GraphicData=[float(number) for number in data], GraphicType=kind, GraphicFilled=filled,
    )  # fmt: skip


def _text(words: str):
    return item(
        UnformattedTextValue=words, BoundingBoxAnnotationUnits="DISPLAY",
        BoundingBoxTopLeftHandCorner=[0.1, 0.1], BoundingBoxBottomRightHandCorner=[0.9, 0.5],
        BoundingBoxTextHorizontalJustification="CENTER", AnchorPointAnnotationUnits="PIXEL",
        AnchorPoint=[8.0, 8.0], AnchorPointVisibility="Y",
    )  # fmt: skip


@cache
def busy_state(study: samples.Label) -> bytes:
    """A greyscale state for the image of a study: tables, shutters, shapes, texts and a turn."""
    shapes = [
        _shape("CIRCLE", 8, 8, 12, 8),
        _shape("ELLIPSE", 2, 8, 14, 8, 8, 4, 8, 12, filled="N"),
        _shape("POLYLINE", 1, 1, 5, 1, 5, 5, 1, 1),
        _shape("INTERPOLATED", 1, 12, 5, 9, 9, 14, 14, 10, filled="N"),
        _shape("POINT", 3, 3),
    ]
    return softcopy.state(
        study,
        [area(SIDE, SIDE)],
        ModalityLUTSequence=[item(**table(np.arange(4096, dtype=np.uint16)), ModalityLUTType="US")],
        SoftcopyVOILUTSequence=[window(1000, 2000, VOILUTFunction="SIGMOID")],
        PresentationLUTSequence=[item(**table(np.arange(256, dtype=np.uint16) * 257))],
        ShutterShape=["RECTANGULAR", "CIRCULAR", "POLYGONAL"],
        ShutterLeftVerticalEdge=1, ShutterRightVerticalEdge=15,
        ShutterUpperHorizontalEdge=1, ShutterLowerHorizontalEdge=15,
        CenterOfCircularShutter=[8, 8], RadiusOfCircularShutter=7,
        VerticesOfThePolygonalShutter=[1, 1, 1, 15, 15, 8], ShutterPresentationValue=9000,
        GraphicLayerSequence=[item(
            GraphicLayer="L", GraphicLayerOrder=1,
            GraphicLayerRecommendedDisplayGrayscaleValue=60000,
        )],
        GraphicAnnotationSequence=[item(
            GraphicLayer="L", GraphicObjectSequence=shapes,
            TextObjectSequence=[_text("Heart\r\nand lungs")],
        )],
        ImageRotation=90, ImageHorizontalFlip="Y",
    )  # fmt: skip
