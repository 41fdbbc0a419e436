"""Rendered resources (PS3.18 8.2.4 and 10.4.1.1.3): which frame is to be drawn, and how.

A picture is prepared first, which costs a look into the index, and drawn afterwards
(`cached_render.py`): its entity tag is known before anything is decoded.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from lenticular.dicom.model import Target
from lenticular.errors import InvalidRequest, NotFound, NotRenderable
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.pixels.presentation.softcopy_state import APPLICABLE
from lenticular.pixels.render_options import RenderOptions
from lenticular.services import Services
from lenticular.transactions.render import presentation_states
from lenticular.transactions.render.render_request import MAX_TRIES, PictureKind, RenderRequest
from lenticular.transactions.render.resource_category import (
    ResourceCategory,
    category_of,
    picture_pixels,
)
from lenticular.transactions.retrieve import instances, reread
from lenticular.transactions.retrieve.omissions import Omissions, leave_out_gone


def find(services: Services, target: Target) -> LocatedInstance:
    """Return the instance to render; a study or series is represented by one of its instances."""
    if target.sop_instance_uid is None:
        representative = services.index.retrieval.representative(target)
        target = target if representative is None else representative.target
    return instances.locate(services, target)


def prepare(
    services: Services,
    located: LocatedInstance,
    frame_number: int | None,
    options: RenderOptions,
    *,
    thumbnail: bool = False,
) -> RenderRequest:
    """Return a request that can be rendered; everything has a thumbnail."""
    if category_of(located) is ResourceCategory.PRESENTATION and frame_number is None:
        shown = next(prepare_shown(services, located, options, thumbnail=thumbnail), None)
        if shown is not None:
            return shown
        if not thumbnail:
            raise NotRenderable("No image that the presentation state shows is stored here.")
    elif frame_number is not None:
        last = picture_pixels(located).number_of_frames
        if not 1 <= frame_number <= last:
            raise NotFound(f"There is no frame {frame_number}; the last is {last}.")
    elif not thumbnail and category_of(located) is not ResourceCategory.WAVEFORM:
        picture_pixels(located)
    return RenderRequest(services, located, frame_number, options, thumbnail=thumbnail)


def prepare_in_turn(
    services: Services,
    target: Target,
    located: LocatedInstance,
    options: RenderOptions,
    *,
    thumbnail: bool = False,
) -> Iterator[RenderRequest]:
    """Yield the picture of the representative, then substitutes in case it is damaged."""
    first = prepare(services, located, None, options, thumbnail=thumbnail)
    yield first
    if target.sop_instance_uid is None and category_of(located) is ResourceCategory.PICTURE:
        for other in _stand_ins(services, target, located):
            yield RenderRequest(services, other, None, options, thumbnail=thumbnail)
    if thumbnail:
        yield replace(first, is_tile=True)


def _stand_ins(
    services: Services, target: Target, located: LocatedInstance
) -> Iterator[LocatedInstance]:
    """Yield a few of the images behind the representative, of its own series first."""
    images = [each for each in _behind(services, target, located) if each.number_of_frames]
    for instance in images[: MAX_TRIES - 1]:
        other = reread.locate(services, instance.target)
        if other is not None and category_of(other) is ResourceCategory.PICTURE:
            yield other


def find_another(
    services: Services, target: Target, located: LocatedInstance
) -> LocatedInstance | None:
    """Return the instance that represents a study or a series if the file of the first is gone."""
    if target.sop_instance_uid is not None:
        return None
    others = _behind(services, target, located)
    others.sort(key=lambda each: not each.number_of_frames)
    return reread.locate(services, others[0].target) if others else None


def _behind(services: Services, target: Target, located: LocatedInstance) -> list[StoredInstance]:
    """Return the instances behind the representative whose files are there, its series first."""
    found = services.index.retrieval.find(target)
    keys = [instance.key for instance in found]
    at = keys.index(located.instance.key) if located.instance.key in keys else 0
    others = leave_out_gone(services, found[at + 1 :] + found[:at], Omissions())
    series_uid = located.instance.series_instance_uid
    return sorted(others, key=lambda each: each.series_instance_uid != series_uid)


def prepare_shown(
    services: Services, state: LocatedInstance, options: RenderOptions, *, thumbnail: bool = False
) -> Iterator[RenderRequest]:
    """Yield the images that a presentation state shows, if they are stored here."""
    _refuse_to_look_elsewhere(options)
    for located, frame_number in presentation_states.shown(services, state):
        yield RenderRequest(
            services, located, frame_number, options, thumbnail=thumbnail, state=state
        )


def prepare_with_state(
    services: Services, located: LocatedInstance, target: Target, options: RenderOptions
) -> RenderRequest:
    """Return an image as a presentation state of its study shows it (PS3.18 9.5.2.3)."""
    _refuse_to_look_elsewhere(options)
    picture_pixels(located)
    state, frame_number = presentation_states.showing(services, located, target)
    return RenderRequest(services, located, frame_number, options, state=state)


def _refuse_to_look_elsewhere(options: RenderOptions) -> None:
    if options.is_special:
        raise InvalidRequest("A presentation state has its own window and region; name neither.")


def prepare_all(
    services: Services, target: Target, options: RenderOptions
) -> Iterator[RenderRequest]:
    """Yield every instance of a study or a series of which there is a picture, in their order."""
    for instance in instances.find(services, target):
        located = reread.locate(services, instance.target)
        if located is None:
            continue
        if category_of(located) in (ResourceCategory.PICTURE, ResourceCategory.WAVEFORM):
            yield RenderRequest(services, located, None, options)
        elif category_of(located) is ResourceCategory.PRESENTATION and not options.is_special:
            yield from islice(prepare_shown(services, located, options), 1)


def is_presented(instance: StoredInstance) -> bool:
    """Return True if the instance shows others: a presentation state."""
    return instance.sop_class_uid in APPLICABLE


def preview(
    services: Services, target: Target, frame_index: int, kind: PictureKind, options: RenderOptions
) -> RenderRequest:
    """Return one of Orthanc's views of a frame, counted from 0: previews stretch, images clamp."""
    located = instances.locate(services, target)
    pixels = picture_pixels(located)
    if not 0 <= frame_index < pixels.number_of_frames:
        raise NotFound(f"There is no frame {frame_index}; the first is 0.")
    return RenderRequest(services, located, frame_index + 1, options, kind)
