"""The drawing of pictures: frames, waveforms, and tiles for what has no picture of its own.

Only the bytes that are shown are read. Everything here needs the codecs, so it is imported with
the first picture.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from numpy.typing import NDArray

from lenticular.dicom import display_text, tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotFound, NotRenderable
from lenticular.index.records import LocatedInstance
from lenticular.pixels.codecs.decode import DecodedFrame, decode
from lenticular.pixels.dataset_values import BulkReader, code, integer, number, numbers
from lenticular.pixels.functional_groups import frame_attributes
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.picture_formats import encode, to_gif
from lenticular.pixels.presentation.apply_state import AppliedState, apply_presentation_state
from lenticular.pixels.presentation.grey import present
from lenticular.pixels.presentation.orthanc_views import clamp, stretch
from lenticular.pixels.render_options import THUMBNAIL_SIDE
from lenticular.pixels.viewport import fit
from lenticular.transactions.render.render_request import MAX_TRIES, PictureKind, RenderRequest
from lenticular.transactions.render.resource_category import (
    ResourceCategory,
    category_of,
    picture_pixels,
)
from lenticular.transactions.retrieve import instances
from lenticular.transactions.retrieve.byte_source import FileGone
from lenticular.transactions.retrieve.frames import frame_syntax, stored_frames

Array = NDArray[Any]

MAX_FRAME_BYTES = 1 << 29
"""A frame of more bytes in the file is not read."""

MAX_TABLE_BYTES = 1 << 22
MAX_ANIMATED_FRAMES = 300
MAX_ANIMATED_PIXELS = 64_000_000
"""Of all frames of an animation; where an object has more, every second or third frame is shown."""

_BROWSERS_LEAST = 20  # milliseconds; a browser shows what is quicker at its own pace


def draw(drawing: RenderRequest) -> bytes:
    """Return the file of the picture."""
    form = category_of(drawing.located)
    dataset = instances.dataset_of(drawing.services, drawing.located)
    if drawing.state is not None:
        return _of_state(drawing, drawing.state, dataset)
    if drawing.is_animated:
        return _animation(drawing, dataset)
    if form is ResourceCategory.PICTURE and not drawing.is_tile:
        return _first_that_can_be_drawn(drawing, dataset)
    if form is ResourceCategory.WAVEFORM and not drawing.is_tile:
        return _encode_picture(drawing, dataset, _waveforms(drawing, dataset))
    return _encode_picture(drawing, dataset, _tile(drawing, dataset, form))


def _first_that_can_be_drawn(drawing: RenderRequest, dataset: Dataset) -> bytes:
    """Draw the frame that is named, else the representative one or one of those behind it."""
    if drawing.frame_number is not None:
        return _of_frame(drawing, dataset, drawing.frame_number)
    last = picture_pixels(drawing.located).number_of_frames
    first = _representative(drawing, dataset)
    try:
        return _of_frame(drawing, dataset, first)
    except NotRenderable:
        for following in range(first, first + min(last, MAX_TRIES) - 1):
            with suppress(NotRenderable):
                return _of_frame(drawing, dataset, following % last + 1)
        raise


def _of_frame(drawing: RenderRequest, dataset: Dataset, number: int) -> bytes:
    (frame,) = _frames(drawing, dataset, [number])
    picture = _view(drawing, frame, frame_attributes(dataset, number - 1))
    return _encode_picture(drawing, dataset, picture, number)


def _of_state(drawing: RenderRequest, state: LocatedInstance, image: Dataset) -> bytes:
    """Return the image as a presentation state shows it; for a thumbnail a tile if it cannot."""
    dataset = instances.dataset_of(drawing.services, state)
    number = drawing.frame_number or _representative(drawing, image)
    applied = AppliedState(
        *(dataset, _bulk(drawing, state)),
        *(frame_attributes(image, number - 1), _bulk(drawing)),
        drawing.located.instance.sop_instance_uid,
        number,
    )
    try:
        (frame,) = _frames(drawing, image, [number])
        viewport = drawing.options.viewport
        picture = apply_presentation_state(frame, applied, viewport, thumbnail=drawing.thumbnail)
    except NotRenderable:
        if not drawing.thumbnail:
            raise
        return _encode_picture(
            drawing, dataset, _tile(drawing, dataset, ResourceCategory.PRESENTATION)
        )
    picture, profile = _in_colours(drawing, state, dataset, picture)
    picture = _annotate(drawing, image, picture, number)
    return encode(picture, drawing.options.media_type, drawing.options.quality, profile)


def _encode_picture(
    drawing: RenderRequest, dataset: Dataset, picture: Array, frame_number: int | None = None
) -> bytes:
    """Return the picture as a file, after all that is done to it once its colours are known."""
    picture, profile = _in_colours(drawing, drawing.located, dataset, picture)
    picture = _fit_viewport(drawing, dataset, picture, frame_number)
    return encode(picture, drawing.options.media_type, drawing.options.quality, profile)


def _in_colours(
    drawing: RenderRequest, located: LocatedInstance, dataset: Dataset, picture: Array
) -> tuple[Array, bytes | None]:
    """Return the picture and, if it is wanted, its ICC profile, which an instance may have."""
    if drawing.options.icc_profile == "no":
        return picture, None
    from lenticular.pixels.presentation.icc import with_colours

    bulk = _bulk(drawing, located)
    return with_colours(picture, dataset, bulk, drawing.options.icc_profile)


def _fit_viewport(
    drawing: RenderRequest, dataset: Dataset, picture: Array, frame_number: int | None
) -> Array:
    """Return the picture in its viewport, and written on it what is asked for."""
    if drawing.options.viewport is not None:
        picture = fit(picture, drawing.options.viewport)
    return _annotate(drawing, dataset, picture, frame_number)


def _annotate(
    drawing: RenderRequest, dataset: Dataset, picture: Array, frame_number: int | None
) -> Array:
    options = drawing.options
    if not options.annotations:
        return picture
    from lenticular.pixels.text_drawing import annotated

    many = (integer(dataset, tags.NUMBER_OF_FRAMES) or 1) > 1
    shown = frame_number if many else None
    window = (
        options.window
        if code(dataset, tags.PHOTOMETRIC_INTERPRETATION).startswith("MONOCHROME")
        else None
    )
    return annotated(picture, dataset, options.annotations, shown, window)


def _animation(drawing: RenderRequest, dataset: Dataset) -> bytes:
    """Return all frames one after the other, at the pace at which they were recorded."""
    last = picture_pixels(drawing.located).number_of_frames
    description = describe(dataset, picture_pixels(drawing.located).tag)
    most = max(MAX_ANIMATED_PIXELS // (description.rows * description.columns), 1)
    step = -(-last // min(most, MAX_ANIMATED_FRAMES))
    shown = range(1, last + 1, step)
    pictures = (
        _fit_viewport(
            drawing, dataset, _view(drawing, frame, frame_attributes(dataset, at - 1)), at
        )
        for at, frame in zip(shown, _frames(drawing, dataset, shown), strict=True)
    )
    return to_gif(pictures, max(round(_frame_time(dataset) * step), _BROWSERS_LEAST))


def _frame_time(dataset: Dataset) -> float:
    """Return the milliseconds from one frame to the next (PS3.3 C.7.6.5)."""
    rate = number(dataset, tags.RECOMMENDED_DISPLAY_FRAME_RATE) or number(dataset, tags.CINE_RATE)
    times = numbers(dataset, tags.FRAME_TIME_VECTOR)[1:]
    time = number(dataset, tags.FRAME_TIME) or (sum(times) / len(times) if times else None)
    time = 1000 / rate if rate and rate > 0 else time
    return min(max(time, 1.0), 10_000.0) if time and time > 0 else 100.0


def _representative(drawing: RenderRequest, dataset: Dataset) -> int:
    """Return the Representative Frame Number (PS3.3 C.7.6.16), else the first or middle frame."""
    last = picture_pixels(drawing.located).number_of_frames
    stated = integer(dataset, tags.REPRESENTATIVE_FRAME_NUMBER)
    if stated is not None and 1 <= stated <= last:
        return stated
    return (last + 1) // 2 if drawing.thumbnail else 1


def _frames(
    drawing: RenderRequest, dataset: Dataset, frame_numbers: Sequence[int]
) -> Iterator[DecodedFrame]:
    located = drawing.located
    description = describe(dataset, picture_pixels(located).tag)
    try:
        syntax = frame_syntax(drawing.services, located)
        for stored in stored_frames(drawing.services, located, frame_numbers):
            content = stored.load()
            if content.size > MAX_FRAME_BYTES:
                raise NotRenderable(f"A frame of {content.size} bytes is too large to be rendered.")
            yield decode(content.read(), syntax, description)
    except FileGone:
        raise
    except NotFound as error:  # the numbers were checked: the pixels end too early
        raise NotRenderable(error.detail) from error


def _view(drawing: RenderRequest, frame: DecodedFrame, attributes: Dataset) -> Array:
    if drawing.kind is PictureKind.RENDERED or not frame.colour_space.startswith("MONOCHROME"):
        if drawing.kind not in (PictureKind.RENDERED, PictureKind.PREVIEW):
            raise NotRenderable("Only greys can be had as plain numbers; this is in colours.")
        return present(frame, attributes, _bulk(drawing), drawing.options.window)
    if drawing.kind is PictureKind.PREVIEW:
        return stretch(frame)
    return clamp(frame, drawing.kind.value.removeprefix("image-"))


def _bulk(drawing: RenderRequest, located: LocatedInstance | None = None) -> BulkReader:
    """Return a reader of tables, profiles and overlays outside the dataset; empty if too large."""

    def read(path: str) -> bytes:
        return _beginning(drawing, path, MAX_TABLE_BYTES, located, only_whole=True)

    return read


def _waveforms(drawing: RenderRequest, dataset: Dataset) -> Array:
    from lenticular.pixels.waveform import read_groups
    from lenticular.pixels.waveform_plot import SECONDS, draw_waveforms

    groups = read_groups(dataset, lambda path, size: _beginning(drawing, path, size), SECONDS)
    return draw_waveforms(groups)


def _beginning(
    drawing: RenderRequest,
    path: str,
    size: int,
    located: LocatedInstance | None = None,
    *,
    only_whole: bool = False,
) -> bytes:
    try:
        content = instances.bulk_data(drawing.services, located or drawing.located, path).content
    except NotFound:
        return b""
    if only_whole and content.size > size:
        return b""
    return content.read(0, min(size, content.size))


def _tile(drawing: RenderRequest, dataset: Dataset, form: ResourceCategory) -> Array:
    from lenticular.pixels.text_drawing import tile

    viewport = drawing.options.viewport
    side = THUMBNAIL_SIDE if viewport is None else min(viewport.width, viewport.height)
    word = "VIDEO" if form is ResourceCategory.VIDEO else display_text.text(dataset, tags.MODALITY)
    return tile(word or form.value.upper(), side)
