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
from lenticular.dicom.instance import PixelLayout, Target
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import InvalidRequest, NotFound, NotRenderable
from lenticular.index.records import LocatedInstance, StoredInstance
from lenticular.pixels import options as pixel_options
from lenticular.pixels import uri_options
from lenticular.pixels.options import GIF, JPEG, PAM, PNG, RenderOptions, Window
from lenticular.pixels.presentation_state import APPLICABLE
from lenticular.services import Services
from lenticular.transactions import kept_pictures, presentation, retrieve
from lenticular.transactions.forms import Form, form_of
from lenticular.transactions.recent import Recent

__all__ = ["GIF", "JPEG", "PAM", "PNG", "RenderOptions", "Window"]

THUMBNAIL_BUDGET = 32 << 20
_thumbnails = Recent(THUMBNAIL_BUDGET)

COSTLY_BYTES = 4 << 20
COSTLY_COMPRESSED = 512 << 10
"""Where this much is read for a picture, it is kept in a bucket (docs/decisions/0023)."""

# A frame may need half a gigabyte; as many at once as there are cores to work on them.
_drawing = BoundedSemaphore(max(2, os.cpu_count() or 2))


class Kind(StrEnum):
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
class Drawing:
    """A picture that can be drawn; without a frame number, of the frame that stands for all.

    With a presentation state it is one of the images that the state shows.
    """

    services: Services
    located: LocatedInstance
    frame_number: int | None
    options: RenderOptions
    kind: Kind = Kind.RENDERED
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
            and form_of(self.located) is Form.PICTURE
            and pixels is not None
            and pixels.number_of_frames > 1
        )

    @property
    def is_costly(self) -> bool:
        """Whether drawing takes so long that others are spared it, if they want the same."""
        pixels = self.located.layout.pixels
        if pixels is None or form_of(self.located) is not Form.PICTURE:
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
        return kept_pictures.find(self.services, self.located.instance, etag)

    def _drawn(self, etag: str) -> bytes:
        with _drawing:
            body = _draw(self)
        if self.is_costly:
            kept_pictures.keep(self.services, self.located.instance, etag, body)
        return body


def parse_options(
    parameters: Mapping[str, str], media_type: str, *, thumbnail: bool = False
) -> RenderOptions:
    """What query parameters ask for (PS3.18 8.3.5.1)."""
    return pixel_options.parse_options(parameters, media_type, thumbnail=thumbnail)


def parse_uri_options(parameters: Mapping[str, str], media_type: str) -> RenderOptions:
    """What query parameters of the URI service ask for (PS3.18 9.5.1.2)."""
    return uri_options.parse_uri_options(parameters, media_type)


URI_PARAMETERS = uri_options.PARAMETERS


def find(services: Services, target: Target) -> LocatedInstance:
    """What is to be shown; a study or series is represented by one of its instances."""
    if target.sop_instance_uid is None:
        representative = services.index.representative(target)
        target = target if representative is None else representative.target
    return retrieve.locate(services, target)


def prepare(
    services: Services,
    located: LocatedInstance,
    frame_number: int | None,
    options: RenderOptions,
    *,
    thumbnail: bool = False,
) -> Drawing:
    """What is to be drawn, once it is known that it can be; anything has a thumbnail."""
    if form_of(located) is Form.PRESENTATION and frame_number is None:
        shown = next(prepare_shown(services, located, options, thumbnail=thumbnail), None)
        if shown is not None:
            return shown
        if not thumbnail:
            raise NotRenderable("No image that the presentation state shows is stored here.")
    elif frame_number is not None:
        last = pixels_of(located).number_of_frames
        if not 1 <= frame_number <= last:
            raise NotFound(f"There is no frame {frame_number}; the last is {last}.")
    elif not thumbnail and form_of(located) is not Form.WAVEFORM:
        pixels_of(located)
    return Drawing(services, located, frame_number, options, thumbnail=thumbnail)


def prepare_shown(
    services: Services, state: LocatedInstance, options: RenderOptions, *, thumbnail: bool = False
) -> Iterator[Drawing]:
    """The images that a presentation state shows, as it shows them; those that are stored here."""
    _refuse_to_look_elsewhere(options)
    for located, frame_number in presentation.shown(services, state):
        yield Drawing(services, located, frame_number, options, thumbnail=thumbnail, state=state)


def prepare_with_state(
    services: Services, located: LocatedInstance, target: Target, options: RenderOptions
) -> Drawing:
    """An image as a presentation state of its study shows it (PS3.18 9.5.2.3)."""
    _refuse_to_look_elsewhere(options)
    pixels_of(located)
    state, frame_number = presentation.showing(services, located, target)
    return Drawing(services, located, frame_number, options, state=state)


def _refuse_to_look_elsewhere(options: RenderOptions) -> None:
    if options.is_special:
        raise InvalidRequest("A presentation state has its own window and region; name neither.")


def prepare_all(services: Services, target: Target, options: RenderOptions) -> Iterator[Drawing]:
    """Every instance of a study or a series of which there is a picture, in their order."""
    for instance in retrieve.find(services, target):
        located = services.index.locate(instance.target)
        if located is None:
            continue
        if form_of(located) in (Form.PICTURE, Form.WAVEFORM):
            yield Drawing(services, located, None, options)
        elif form_of(located) is Form.PRESENTATION and not options.is_special:
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
    services: Services, target: Target, frame_index: int, kind: Kind, options: RenderOptions
) -> Drawing:
    """One of Orthanc's views of a frame, counted from 0: previews stretch, images clamp."""
    located = retrieve.locate(services, target)
    pixels = pixels_of(located)
    if not 0 <= frame_index < pixels.number_of_frames:
        raise NotFound(f"There is no frame {frame_index}; the first is 0.")
    return Drawing(services, located, frame_index + 1, options, kind)


def pixels_of(located: LocatedInstance) -> PixelLayout:
    """Where the frames lie of an instance that has some to show."""
    pixels = located.layout.pixels
    form = form_of(located)
    if pixels is None or form not in (Form.PICTURE, Form.VIDEO):
        raise NotRenderable("The instance holds no pixels, so there is nothing to show.")
    if form is Form.VIDEO:
        syntax = lookup(located.instance.transfer_syntax_uid)
        raise NotRenderable(f"Frames of a video ({syntax.name}) cannot be rendered.")
    return pixels


def _draw(drawing: Drawing) -> bytes:
    from lenticular.transactions.drawings import draw

    return draw(drawing)
