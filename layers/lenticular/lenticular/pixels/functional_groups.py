"""Attributes of one frame of an enhanced multi-frame object, PS3.3 C.7.6.16."""

from lenticular.dicom.model import Dataset
from lenticular.pixels.attributes import item, values

SHARED = "52009229"
PER_FRAME = "52009230"

# The macros that decide how a frame looks: Pixel Value Transformation, Frame VOI LUT.
_MACROS = ("00289145", "00289132")


def frame_attributes(dataset: Dataset, frame_index: int) -> Dataset:
    """The dataset, overlaid with what functional groups say of this frame (from 0)."""
    groups = [item(dataset, SHARED), *values(dataset, PER_FRAME)[frame_index : frame_index + 1]]
    attributes = dataset
    for group in groups:
        for macro in _MACROS if isinstance(group, dict) else ():
            attributes = {**attributes, **(item(group, macro) or {})}
    return attributes
