"""Presentation states and the images that they are made for, PS3.3 C.11.11 and PS3.18 9.5.2.3.

A state and its images belong to one study.
"""

from collections.abc import Iterator

from lenticular.dicom.model import Target
from lenticular.errors import InvalidRequest, NotRenderable
from lenticular.index.records import LocatedInstance
from lenticular.pixels.presentation.softcopy_state import references
from lenticular.services import Services
from lenticular.transactions.render.resource_category import ResourceCategory, category_of
from lenticular.transactions.retrieve import instances, reread

PRESENTATION_STATES = "1.2.840.10008.5.1.4.1.1.11."

Shown = tuple[LocatedInstance, int | None]
"""An image, and a frame of it; without a number the representative one."""


def shown(services: Services, state: LocatedInstance) -> Iterator[Shown]:
    """Yield the stored images that a presentation state shows, in its order."""
    study = state.instance.study_instance_uid
    for reference in references(instances.dataset_of(services, state)):
        target = Target(study, reference.series_instance_uid, reference.sop_instance_uid)
        located = reread.locate(services, target)
        if located is None or category_of(located) is not ResourceCategory.PICTURE:
            continue
        for frame_number in reference.frame_numbers or (None,):
            if frame_number is None or _has(located, frame_number):
                yield located, frame_number


def showing(
    services: Services, located: LocatedInstance, target: Target
) -> tuple[LocatedInstance, int | None]:
    """Return the state that is to show this image, and the frame that it shows."""
    state = reread.locate(services, target)
    if state is None or not state.instance.sop_class_uid.startswith(PRESENTATION_STATES):
        raise InvalidRequest("The study has no presentation state with these UIDs.")
    if category_of(state) is not ResourceCategory.PRESENTATION:
        raise NotRenderable("Presentation states of this kind are not applied here.")
    uid = located.instance.sop_instance_uid
    for reference in references(instances.dataset_of(services, state)):
        if reference.sop_instance_uid == uid:
            frames = (number for number in reference.frame_numbers if _has(located, number))
            return state, next(frames, None)
    raise InvalidRequest("The presentation state is not one for this image.")


def _has(located: LocatedInstance, frame_number: int) -> bool:
    pixels = located.layout.pixels
    return pixels is not None and 1 <= frame_number <= pixels.number_of_frames
