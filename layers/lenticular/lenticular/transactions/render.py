"""Rendered resources (PS3.18 8.2.4 and 10.4.1.1.3): pictures of stored pixels.

A picture is prepared first, which costs a look into the index, and drawn afterwards: its entity
tag is known before anything is decoded. Only the bytes of the one frame are read. Codecs are
loaded when the first picture is drawn.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

from lenticular import __version__
from lenticular.dicom.instance import Dataset, PixelLayout, Target
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import NotFound, NotRenderable
from lenticular.index.records import LocatedInstance
from lenticular.pixels import options as pixel_options
from lenticular.pixels.attributes import integer
from lenticular.pixels.functional_groups import frame_attributes
from lenticular.pixels.options import JPEG, PAM, PNG, RenderOptions, Window
from lenticular.services import Services
from lenticular.transactions import retrieve
from lenticular.transactions.frames import stored_frames
from lenticular.transactions.recent import Recent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lenticular.pixels.decode import Frame

__all__ = ["JPEG", "PAM", "PNG", "RenderOptions", "Window"]

MAX_FRAME_BYTES = 1 << 29
"""A frame of more bytes in the file is not read."""

MAX_LUT_BYTES = 1 << 20

THUMBNAIL_BUDGET = 32 << 20
_thumbnails = Recent(THUMBNAIL_BUDGET)

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
    """A picture that can be drawn; without a frame number, of the frame that stands for all."""

    services: Services
    located: LocatedInstance
    frame_number: int | None
    options: RenderOptions
    kind: Kind = Kind.RENDERED
    thumbnail: bool = False

    @property
    def etag(self) -> str:
        """The entity tag: whatever determines the picture is in it."""
        identity = (__version__, self.frame_number, self.options, self.kind.value, self.thumbnail)
        digest = hashlib.sha256(self.located.instance.sha256 + repr(identity).encode())
        return f'"{digest.hexdigest()[:32]}"'

    def draw(self) -> Picture:
        """Decode, present and encode; a thumbnail drawn recently is at hand."""
        etag = self.etag
        body = _thumbnails.get(etag) if self.thumbnail else None
        if body is None:
            with _drawing:
                body = _draw(self)
            if self.thumbnail:
                _thumbnails.put(etag, body)
        return Picture(body, self.options.media_type, etag)


def parse_options(
    parameters: Mapping[str, str], media_type: str, *, thumbnail: bool = False
) -> RenderOptions:
    """What query parameters ask for (PS3.18 8.3.5.1)."""
    return pixel_options.parse_options(parameters, media_type, thumbnail=thumbnail)


def prepare(
    services: Services,
    target: Target,
    frame_number: int | None,
    options: RenderOptions,
    *,
    thumbnail: bool = False,
) -> Drawing:
    """Find what is to be drawn; a study or series is represented by one of its instances."""
    if target.sop_instance_uid is None:
        representative = services.index.representative(target)
        target = target if representative is None else representative.target
    located = retrieve.locate(services, target)
    pixels = _pixels(located)
    if frame_number is not None and not 1 <= frame_number <= pixels.number_of_frames:
        raise NotFound(f"There is no frame {frame_number}; the last is {pixels.number_of_frames}.")
    return Drawing(services, located, frame_number, options, thumbnail=thumbnail)


def render(
    services: Services, target: Target, frame_number: int | None, options: RenderOptions
) -> Picture:
    """Draw a study, a series, an instance or a frame of it."""
    return prepare(services, target, frame_number, options).draw()


def preview(
    services: Services, target: Target, frame_index: int, kind: Kind, options: RenderOptions
) -> Drawing:
    """One of Orthanc's views of a frame, counted from 0: previews stretch, images clamp."""
    located = retrieve.locate(services, target)
    pixels = _pixels(located)
    if not 0 <= frame_index < pixels.number_of_frames:
        raise NotFound(f"There is no frame {frame_index}; the first is 0.")
    return Drawing(services, located, frame_index + 1, options, kind)


def _pixels(located: LocatedInstance) -> PixelLayout:
    pixels = located.layout.pixels
    if pixels is None or pixels.number_of_frames < 1:
        raise NotRenderable("The instance holds no pixels, so there is nothing to show.")
    syntax = lookup(located.instance.transfer_syntax_uid)
    if syntax.is_video:
        raise NotRenderable(f"Frames of a video ({syntax.name}) cannot be rendered.")
    return pixels


def _draw(drawing: Drawing) -> bytes:
    from lenticular.pixels.encode import encode, fit

    options = drawing.options
    dataset = retrieve.dataset_of(drawing.services, drawing.located)
    frame_number = drawing.frame_number or _representative(drawing, dataset)
    frame = _decode(drawing, dataset, frame_number)
    attributes = frame_attributes(dataset, frame_number - 1)
    picture = _view(drawing, frame, attributes)
    if options.viewport is not None:
        picture = fit(picture, options.viewport)
    return encode(picture, options.media_type, options.quality)


def _representative(drawing: Drawing, dataset: Dataset) -> int:
    """Representative Frame Number (PS3.3 C.7.6.16), else the first, in thumbnails the middle."""
    last = _pixels(drawing.located).number_of_frames
    stated = integer(dataset, "00286010")
    if stated is not None and 1 <= stated <= last:
        return stated
    return (last + 1) // 2 if drawing.thumbnail else 1


def _decode(drawing: Drawing, dataset: Dataset, frame_number: int) -> "Frame":
    from lenticular.pixels.decode import decode
    from lenticular.pixels.description import describe

    located = drawing.located
    description = describe(dataset, _pixels(located).tag)
    try:
        (stored,) = stored_frames(drawing.services, located, [frame_number])
        content = stored.load()
    except NotFound as error:  # the number was checked: the pixels end too early
        raise NotRenderable(error.detail) from error
    if content.size > MAX_FRAME_BYTES:
        raise NotRenderable(f"A frame of {content.size} bytes is too large to be rendered.")
    return decode(content.read(), located.instance.transfer_syntax_uid, description)


def _view(drawing: Drawing, frame: "Frame", attributes: Dataset) -> "NDArray[Any]":
    from lenticular.pixels.orthanc_views import clamp, stretch
    from lenticular.pixels.present import present

    def bulk(path: str) -> bytes:
        try:
            content = retrieve.bulk_data(drawing.services, drawing.located, path).content
        except NotFound:
            return b""
        return content.read() if content.size <= MAX_LUT_BYTES else b""

    if drawing.kind is Kind.RENDERED or not frame.colour_space.startswith("MONOCHROME"):
        if drawing.kind not in (Kind.RENDERED, Kind.PREVIEW):
            raise NotRenderable("Only greys can be had as plain numbers; this is in colours.")
        return present(frame, attributes, bulk, drawing.options.window)
    if drawing.kind is Kind.PREVIEW:
        return stretch(frame)
    return clamp(frame, drawing.kind.value.removeprefix("image-"))
