"""A factory of presentation states for the tests, PS3.3 A.33: neutral but for what is given."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.helpers import samples

GREYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOUR = "1.2.840.10008.5.1.4.1.1.11.3"
SERIES = "states"


def item(**attributes: Any) -> Dataset:
    """An item of a sequence; lists of items become sequences."""
    made = Dataset()
    for keyword, value in attributes.items():
        is_items = isinstance(value, list) and value and isinstance(value[0], Dataset)
        setattr(made, keyword, Sequence(value) if is_items else value)
    return made


def image(study: samples.Label, instance: samples.Label = 1, frames: Iterable[int] = ()) -> Dataset:
    """A reference to an image of the first series of a study."""
    made = item(
        ReferencedSOPClassUID=samples.CT_IMAGE_STORAGE,
        ReferencedSOPInstanceUID=samples.sop_uid(study, 1, instance),
    )
    if frames := list(frames):
        made.ReferencedFrameNumber = frames
    return made


def area(columns: int, rows: int, **attributes: Any) -> Dataset:
    """A displayed area: all of an image of this size, unless said otherwise."""
    return item(**{
        "DisplayedAreaTopLeftHandCorner": [1, 1],
        "DisplayedAreaBottomRightHandCorner": [columns, rows],
        "PresentationSizeMode": "SCALE TO FIT",
        "PresentationPixelAspectRatio": [1, 1],
        **attributes,
    })  # fmt: skip


def window(center: float, width: float, **attributes: Any) -> Dataset:
    """An item of a Softcopy VOI LUT Sequence."""
    return item(WindowCenter=center, WindowWidth=width, **attributes)


def table(entries: NDArray[np.uint16], first: int = 0, bits: int = 16) -> dict[str, Any]:
    """The attributes of a lookup table."""
    return {
        "LUTDescriptor": [len(entries) % 65536, first, bits],
        "LUTData": entries.astype("<u2").tobytes(),
    }


def state(
    study: samples.Label,
    areas: list[Dataset],
    *,
    instance: samples.Label = 1,
    images: list[Dataset] | None = None,
    sop_class: str = GREYSCALE,
    **attributes: Any,
) -> bytes:
    """A presentation state for images of the first series of a study: nothing but their pixels."""
    base = samples.dataset(
        study, SERIES, instance, SOPClassUID=sop_class, Modality="PR", RescaleIntercept=None,
        RescaleSlope=None, WindowCenter=None, WindowWidth=None, ImagePositionPatient=None,
        ImageOrientationPatient=None, ContentLabel="TEST", ContentDescription="",
        ContentCreatorName="", PresentationCreationDate="20240229",
        PresentationCreationTime="101112",
    )  # fmt: skip
    base.ReferencedSeriesSequence = Sequence([item(
        SeriesInstanceUID=samples.series_uid(study),
        ReferencedImageSequence=images or [image(study)],
    )])  # fmt: skip
    base.DisplayedAreaSelectionSequence = Sequence(areas)
    if sop_class == GREYSCALE and "PresentationLUTSequence" not in attributes:
        attributes = {"PresentationLUTShape": "IDENTITY", **attributes}
    for keyword, value in item(**attributes).items():
        base[keyword] = value
    return samples.encode(base)


def path(study: samples.Label, instance: samples.Label = 1) -> str:
    """The DICOMweb path of a state below the base URL."""
    return samples.path(study, SERIES, instance)
