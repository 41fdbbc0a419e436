"""Rendered resources (PS3.18 8.2.4 and 10.4.1.1.3): pictures of stored pixels.

A picture is prepared first, which costs a look into the index, and drawn afterwards: its entity
tag is known before anything is decoded. Only the bytes of the one frame are read. Codecs are
loaded when the first picture is drawn.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from threading import BoundedSemaphore

from lenticular import __version__
from lenticular.dicom.model import PixelLayout, Target
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import InvalidRequest, NotFound, NotRenderable
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.pixels import render_options as pixel_options
from lenticular.pixels import uri_options
from lenticular.pixels.presentation.state import APPLICABLE
from lenticular.pixels.render_options import GIF, JPEG, PAM, PNG, RenderOptions, Window
from lenticular.services import Services
from lenticular.transactions.render import presentation_states, rendition_cache
from lenticular.transactions.render.lru_bytes import LruBytes
from lenticular.transactions.render.resource_category import ResourceCategory, category_of
from lenticular.transactions.retrieve import instances
from lenticular.transactions.retrieve.frames import require_frames

__all__ = ["GIF", "JPEG", "PAM", "PNG", "RenderOptions", "Window"]

THUMBNAIL_BUDGET = 32 << 20
_thumbnails = LruBytes(THUMBNAIL_BUDGET)

COSTLY_BYTES = 4 << 20
COSTLY_COMPRESSED = 512 << 10
"""Where this much is read for a picture, it is kept in a bucket (docs/decisions/0023)."""

# A frame may need half a gigabyte; as many at once as there are cores to work on them.
_drawing = BoundedSemaphore(max(2, os.cpu_count() or 2))


class PictureKind(StrEnum):
    """What is shown: as the file wants to be seen, or one of Orthanc's ways of looking."""

    RENDERED = "rendered"
    PREVIEW = "preview"
    UINT8 = "image-uint8"
    UINT16 = "image-uint16"
    INT16 = "image-int16"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a file, and the strong entity tag of these very bytes."""

    body: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """A picture that can be drawn; without a frame number, of the frame that stands for all.

    With a presentation state it is one of the images that the state shows.
    """

    services: Services
    located: LocatedInstance
    frame_number: int | None
    options: RenderOptions
    kind: PictureKind = PictureKind.RENDERED
    thumbnail: bool = False
    state: LocatedInstance | None = None

    @property
    def etag(self) -> str:
        """The entity tag: whatever determines the picture is in it."""
        identity = (
            *(__version__, self.frame_number, self.options, self.kind.value, self.thumbnail),
            None if self.state is None else self.state.instance.sha256,
        )
        digest = hashlib.sha256(self.located.instance.sha256 + repr(identity).encode())
        return f'"{digest.hexdigest()[:32]}"'

    @property
    def is_animated(self) -> bool:
        """Whether all frames are shown, one after the other."""
        pixels = self.located.layout.pixels
        return (
            self.options.media_type == GIF
            and self.frame_number is None
            and self.state is None
            and not self.thumbnail
            and category_of(self.located) is ResourceCategory.PICTURE
            and pixels is not None
            and pixels.number_of_frames > 1
        )

    @property
    def is_costly(self) -> bool:
        """Whether drawing takes so long that others are spared it, if they want the same."""
        pixels = self.located.layout.pixels
        if pixels is None or category_of(self.located) is not ResourceCategory.PICTURE:
            return False
        if self.options.is_special or self.state is not None:
            return False
        read = pixels.length if self.is_animated else pixels.length // pixels.number_of_frames
        return read >= (COSTLY_COMPRESSED if pixels.encapsulated else COSTLY_BYTES)

    def draw(self) -> Picture:
        """Decode, present and encode, unless somebody did just that before."""
        etag = self.etag
        body = _thumbnails.get(etag) if self.thumbnail else None
        if body is None:
            body = self._found(etag) or self._drawn(etag)
            if self.thumbnail:
                _thumbnails.put(etag, body)
        return Picture(body, self.options.media_type, etag)

    def _found(self, etag: str) -> bytes | None:
        if not self.is_costly:
            return None
        return rendition_cache.get(self.services, self.located.instance, etag)

    def _drawn(self, etag: str) -> bytes:
        with _drawing:
            body = _draw(self)
        if self.is_costly:
            rendition_cache.put(self.services, self.located.instance, etag, body)
        return body


def parse_options(
    parameters: Mapping[str, str], media_type: str, *, thumbnail: bool = False
) -> RenderOptions:
    """What query parameters ask for (PS3.18 8.3.5.1 and 8.3.5.2)."""
    if thumbnail:
        return pixel_options.parse_thumbnail_options(parameters, media_type)
    return pixel_options.parse_options(parameters, media_type)


def parse_uri_options(parameters: Mapping[str, str], media_type: str) -> RenderOptions:
    """What query parameters of the URI service ask for (PS3.18 9.5.1.2)."""
    return uri_options.parse_uri_options(parameters, media_type)


URI_PARAMETERS = uri_options.PARAMETERS


def find(services: Services, target: Target) -> LocatedInstance:
    """What is to be shown; a study or series is represented by one of its instances."""
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
    """What is to be drawn, once it is known that it can be; anything has a thumbnail."""
    if category_of(located) is ResourceCategory.PRESENTATION and frame_number is None:
        shown = next(prepare_shown(services, located, options, thumbnail=thumbnail), None)
        if shown is not None:
            return shown
        if not thumbnail:
            raise NotRenderable("No image that the presentation state shows is stored here.")
    elif frame_number is not None:
        last = pixels_of(located).number_of_frames
        if not 1 <= frame_number <= last:
            raise NotFound(f"There is no frame {frame_number}; the last is {last}.")
    elif not thumbnail and category_of(located) is not ResourceCategory.WAVEFORM:
        pixels_of(located)
    return RenderRequest(services, located, frame_number, options, thumbnail=thumbnail)


def prepare_shown(
    services: Services, state: LocatedInstance, options: RenderOptions, *, thumbnail: bool = False
) -> Iterator[RenderRequest]:
    """The images that a presentation state shows, as it shows them; those that are stored here."""
    _refuse_to_look_elsewhere(options)
    for located, frame_number in presentation_states.shown(services, state):
        yield RenderRequest(
            services, located, frame_number, options, thumbnail=thumbnail, state=state
        )


def prepare_with_state(
    services: Services, located: LocatedInstance, target: Target, options: RenderOptions
) -> RenderRequest:
    """An image as a presentation state of its study shows it (PS3.18 9.5.2.3)."""
    _refuse_to_look_elsewhere(options)
    pixels_of(located)
    state, frame_number = presentation_states.showing(services, located, target)
    return RenderRequest(services, located, frame_number, options, state=state)


def _refuse_to_look_elsewhere(options: RenderOptions) -> None:
    if options.is_special:
        raise InvalidRequest("A presentation state has its own window and region; name neither.")


def prepare_all(
    services: Services, target: Target, options: RenderOptions
) -> Iterator[RenderRequest]:
    """Every instance of a study or a series of which there is a picture, in their order."""
    for instance in instances.find(services, target):
        located = services.index.retrieval.locate(instance.target)
        if located is None:
            continue
        if category_of(located) in (ResourceCategory.PICTURE, ResourceCategory.WAVEFORM):
            yield RenderRequest(services, located, None, options)
        elif category_of(located) is ResourceCategory.PRESENTATION and not options.is_special:
            yield from islice(prepare_shown(services, located, options), 1)


def is_presented(instance: StoredInstance) -> bool:
    """Whether what it shows is another instance: it is a presentation state."""
    return instance.sop_class_uid in APPLICABLE


def render(
    services: Services, target: Target, frame_number: int | None, options: RenderOptions
) -> Picture:
    """Draw a study, a series, an instance or a frame of it."""
    return prepare(services, find(services, target), frame_number, options).draw()


def preview(
    services: Services, target: Target, frame_index: int, kind: PictureKind, options: RenderOptions
) -> RenderRequest:
    """One of Orthanc's views of a frame, counted from 0: previews stretch, images clamp."""
    located = instances.locate(services, target)
    pixels = pixels_of(located)
    if not 0 <= frame_index < pixels.number_of_frames:
        raise NotFound(f"There is no frame {frame_index}; the first is 0.")
    return RenderRequest(services, located, frame_index + 1, options, kind)


def pixels_of(located: LocatedInstance) -> PixelLayout:
    """Where the frames lie of an instance that has some to show."""
    pixels = located.layout.pixels
    form = category_of(located)
    if pixels is None:
        raise NotRenderable("The instance holds no pixels, so there is nothing to show.")
    require_frames(located)
    if form is ResourceCategory.VIDEO:
        syntax = lookup(located.instance.transfer_syntax_uid)
        raise NotRenderable(f"Frames of a video ({syntax.name}) cannot be rendered.")
    return pixels


def _draw(drawing: RenderRequest) -> bytes:
    from lenticular.transactions.render.draw import draw

    return draw(drawing)
