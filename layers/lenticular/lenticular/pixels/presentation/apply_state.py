"""Apply a softcopy presentation state to an image, PS3.4 N.2: greys, shutter, area, annotations.

A stage that the state leaves out is the identity; the image's own windows and tables are not used
(PS3.4 N.2.1), except for the palette of an image whose values have no other colours.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.dataset_values import BulkReader, code, item, values
from lenticular.pixels.presentation.displayed_area import placed, read_displayed_area
from lenticular.pixels.presentation.graphics import annotated
from lenticular.pixels.presentation.grey import (
    GreyTransformation,
    apply,
    grey_transformation,
    modality_output,
    present,
    read_voi,
)
from lenticular.pixels.presentation.luts import Lut, read_lut, read_palette
from lenticular.pixels.presentation.overlay import read_overlay
from lenticular.pixels.presentation.shutter import covered
from lenticular.pixels.presentation.softcopy_state import (
    COLOUR,
    PSEUDO_COLOUR,
    activated_overlays,
    applying,
    refuse_what_is_not_shown,
)
from lenticular.pixels.render_options import Viewport, Window

Array = NDArray[Any]

_MODALITY_LUT = (tags.MODALITY_LUT_SEQUENCE, tags.RESCALE_INTERCEPT, tags.RESCALE_SLOPE)
_MODALITY_LUTS, _VOI_LUTS, _PRESENTATION_LUTS = (
    tags.MODALITY_LUT_SEQUENCE,
    tags.SOFTCOPY_VOI_LUT_SEQUENCE,
    tags.PRESENTATION_LUT_SEQUENCE,
)


@dataclass(frozen=True, slots=True)
class AppliedState:
    """A presentation state, and the frame that it is applied to."""

    dataset: Dataset
    bulk: BulkReader
    image: Dataset
    image_bulk: BulkReader
    image_uid: str
    frame_number: int

    def applying(self, tag: str) -> list[Dataset]:
        """Return the items of a sequence that are for this frame."""
        return list(applying(self.dataset, tag, self.image_uid, self.frame_number))


def apply_presentation_state(
    frame: DecodedFrame, state: AppliedState, viewport: Viewport | None, *, thumbnail: bool = False
) -> Array:
    """Return the picture of a frame as the state shows it, in a viewport (PS3.18 9.5.2.3)."""
    refuse_what_is_not_shown(state.dataset)
    is_colour_state = code(state.dataset, tags.SOP_CLASS_UID) == COLOUR
    if is_colour_state == frame.colour_space.startswith("MONOCHROME"):
        values = "colours" if is_colour_state else "greys"
        raise NotRenderable(f"The presentation state is one for {values}, and the image has none.")
    if is_colour_state:
        picture = present(frame, state.image, state.image_bulk)
    else:
        picture = _of_greys(frame, state)
    overlays = list(_overlays(state, *picture.shape[:2]))
    picture = covered(picture, state.dataset, state.bulk)
    area = next(iter(state.applying(tags.DISPLAYED_AREA_SELECTION_SEQUENCE)), {})
    placing = read_displayed_area(picture, state.dataset, area)
    # A thumbnail shows all of it.
    is_cropped = placing.magnification is not None and not thumbnail
    if placing.magnification is not None and is_cropped:
        placing = placing.scaled(placing.magnification)
    elif viewport is not None:
        placing = placing.within(viewport)
    masks = [(layer, placed(mask, placing)) for layer, mask in overlays]
    notes = [
        (code(each, tags.GRAPHIC_LAYER), each)
        for each in state.applying(tags.GRAPHIC_ANNOTATION_SEQUENCE)
    ]
    picture = annotated(placed(picture, placing), state.dataset, [*masks, *notes], placing)
    if is_cropped and viewport is not None:
        return picture[: viewport.height, : viewport.width]
    return picture


def _overlays(state: AppliedState, rows: int, columns: int) -> Iterator[tuple[str, Array]]:
    """Yield layer and pixels of each overlay of the state or of the image that is shown."""
    for group, layer in activated_overlays(state.dataset):
        for dataset, bulk in ((state.dataset, state.bulk), (state.image, state.image_bulk)):
            if group + "0010" in dataset:
                mask = read_overlay(dataset, group, bulk, (rows, columns))
                yield layer, mask.astype(np.uint8) * 255
                break


def _of_greys(frame: DecodedFrame, state: AppliedState) -> Array:
    """Return the greys through Modality LUT, VOI LUT, Presentation LUT, and a state's palette."""
    transformation = _transformation(frame, state)
    if code(state.dataset, tags.SOP_CLASS_UID) != PSEUDO_COLOUR:
        return apply(transformation, frame.samples)
    palette = read_palette(state.dataset, state.bulk, signed=False)
    if palette is None:
        raise NotRenderable("The palette of the presentation state is missing or incomplete.")
    index = apply(replace(transformation, levels=len(palette.colours)), frame.samples)
    return np.take(palette.colours, index, axis=0)


def _transformation(frame: DecodedFrame, state: AppliedState) -> GreyTransformation:
    """Return the grey transformation of the state; the identity for stages it does not have."""
    dataset = state.dataset
    if frame.samples.dtype.kind == "f":
        raise NotRenderable("Presentation states of floating point images are not applied here.")
    shape = code(dataset, tags.PRESENTATION_LUT_SHAPE)
    if shape not in ("", "IDENTITY", "INVERSE"):
        raise NotRenderable("The Presentation LUT Shape of the presentation state is unknown.")
    wanted = (*_MODALITY_LUT, tags.PRESENTATION_LUT_SHAPE)
    own = {tag: dataset[tag] for tag in wanted if tag in dataset}
    found = grey_transformation(frame, own, state.bulk)
    _require(found.modality, bool(values(dataset, _MODALITY_LUTS)), "Modality LUT")
    low, high = modality_output(frame, found)
    voi: Window | Lut | None = Window((low + high) / 2, high - low, "LINEAR_EXACT")
    for wanted_voi in state.applying(_VOI_LUTS)[:1]:
        voi = read_voi(wanted_voi, state.bulk, signed=low < 0)
    _require(voi, True, "VOI LUT")
    table = item(dataset, _PRESENTATION_LUTS)
    presentation = None if table is None else read_lut(table, state.bulk, signed=False)
    _require(presentation, table is not None, "Presentation LUT")
    return replace(found, voi=voi, presentation=presentation)


def _require(found: Lut | Window | None, is_there: bool, name: str) -> None:
    """Refuse a state with a part that cannot be read."""
    if is_there and found is None:
        raise NotRenderable(f"The {name} of the presentation state cannot be read.")
