"""Attributes of one frame of an enhanced multi-frame object, PS3.3 C.7.6.16."""

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.pixels.dataset_values import item, values

# The macros that decide how a frame looks: Pixel Value Transformation, Frame VOI LUT.
_MACROS = (tags.PIXEL_VALUE_TRANSFORMATION_SEQUENCE, tags.FRAME_VOI_LUT_SEQUENCE)


def frame_attributes(dataset: Dataset, frame_index: int) -> Dataset:
    """Return the dataset, overlaid with the functional groups of this frame (from 0)."""
    groups = [
        item(dataset, tags.SHARED_FUNCTIONAL_GROUPS_SEQUENCE),
        *values(dataset, tags.PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE)[frame_index : frame_index + 1],
    ]
    attributes = dataset
    for group in groups:
        for macro in _MACROS if isinstance(group, dict) else ():
            attributes = {**attributes, **(item(group, macro) or {})}
    return attributes
