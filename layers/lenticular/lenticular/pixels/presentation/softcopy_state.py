"""Softcopy presentation states: what they show, and which of their parts are refused; PS3.3 A.33.

A state replaces everything that its images say of how they want to be seen (PS3.4 N.2). It is
applied as a whole: with something left out it would show what its author never saw.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from lenticular.dicom import display_text, tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import code, integers, values

GREYSCALE = "1.2.840.10008.5.1.4.1.1.11.1"
COLOUR = "1.2.840.10008.5.1.4.1.1.11.2"
PSEUDO_COLOUR = "1.2.840.10008.5.1.4.1.1.11.3"
APPLICABLE = (GREYSCALE, COLOUR, PSEUDO_COLOUR)

TEXTS, GRAPHICS = tags.TEXT_OBJECT_SEQUENCE, tags.GRAPHIC_OBJECT_SEQUENCE
_SERIES, _IMAGES = tags.REFERENCED_SERIES_SEQUENCE, tags.REFERENCED_IMAGE_SEQUENCE

_STYLES = {
    tags.TEXT_STYLE_SEQUENCE: "a text style",
    tags.LINE_STYLE_SEQUENCE: "a line style",
    tags.FILL_STYLE_SEQUENCE: "a fill style",
}


@dataclass(frozen=True, slots=True)
class ReferencedImage:
    """An image of a state; without frame numbers all of its frames."""

    series_instance_uid: str
    sop_instance_uid: str
    frame_numbers: tuple[int, ...] = ()


def references(state: Dataset) -> list[ReferencedImage]:
    """Return the images that a state is made for, in its order (PS3.3 C.11.11)."""
    return [
        ReferencedImage(
            code(series, tags.SERIES_INSTANCE_UID),
            code(image, tags.REFERENCED_SOP_INSTANCE_UID),
            tuple(integers(image, tags.REFERENCED_FRAME_NUMBER)),
        )
        for series in display_text.items(state, _SERIES)
        for image in display_text.items(series, _IMAGES)
    ]


def applying(state: Dataset, tag: str, image_uid: str, frame_number: int) -> Iterator[Dataset]:
    """Return the items of a sequence for this frame: those that name it, or no image at all."""
    for item in display_text.items(state, tag):
        images = display_text.items(item, _IMAGES)
        if not images or any(_names(image, image_uid, frame_number) for image in images):
            yield item


def _names(image: Dataset, image_uid: str, frame_number: int) -> bool:
    frame_numbers = integers(image, tags.REFERENCED_FRAME_NUMBER)
    return code(image, tags.REFERENCED_SOP_INSTANCE_UID) == image_uid and (
        not frame_numbers or frame_number in frame_numbers
    )


def activated_overlays(state: Dataset) -> list[tuple[str, str]]:
    """Return the groups of the overlays that are shown, and the layer of each (PS3.3 C.11.7)."""
    return [
        (tag[:4], code(state, tag))
        for tag in state
        if tag.startswith("60") and tag.endswith("1001") and code(state, tag)
    ]


def refuse_what_is_not_shown(state: Dataset) -> None:
    """Raise NotRenderable when something of the state could not be applied."""
    for what in _not_shown(state):
        raise NotRenderable(
            f"The presentation state has {what}, which is not applied here; without it the image"
            " would not look as its author saw it."
        )


def _not_shown(state: Dataset) -> Iterator[str]:
    if values(state, tags.MASK_SUBTRACTION_SEQUENCE):
        yield "a mask to subtract"
    for area in display_text.items(state, tags.DISPLAYED_AREA_SELECTION_SEQUENCE):
        if code(area, tags.PIXEL_ORIGIN_INTERPRETATION) == "VOLUME":
            yield "a displayed area that spans the tiles of a slide"
    for annotation in display_text.items(state, tags.GRAPHIC_ANNOTATION_SEQUENCE):
        if values(annotation, tags.COMPOUND_GRAPHIC_SEQUENCE):
            yield "a compound graphic"
        for drawn in (
            *display_text.items(annotation, TEXTS),
            *display_text.items(annotation, GRAPHICS),
        ):
            yield from (name for tag, name in _STYLES.items() if values(drawn, tag))
