"""Frames of an instance, PS3.18 10.4.1.1.6, each read by its range in the file.

`stored_frames` gives them as they are stored (uncompressed ones in little endian), `frames_in` in
another transfer syntax. Nothing but the frames that are asked for is read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from lenticular.dicom.model import PixelLayout
from lenticular.dicom.read.element_encoding import ITEM_BYTES
from lenticular.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, KNOWN, lookup
from lenticular.errors import NotFound, NotRenderable, Unacceptable
from lenticular.index.records import LocatedInstance
from lenticular.services import Services
from lenticular.transactions.retrieve import reread
from lenticular.transactions.retrieve.byte_source import ByteSource, layout_content, little_endian
from lenticular.transactions.retrieve.instances import dataset_of

# The fragments of a frame up to this size are read at once, those of a larger one (a video, a
# whole slide in one frame) found first and then streamed.
AT_ONCE = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `load` makes its bytes available when its turn has come."""

    frame_number: int
    load: Callable[[], ByteSource]


def pixels_of(located: LocatedInstance) -> PixelLayout:
    """Return the layout of the pixels of an instance."""
    pixels = located.layout.pixels
    if pixels is None:
        raise NotFound(f"Instance {located.instance.sop_instance_uid} holds no pixel data.")
    return pixels


def frame_syntax(services: Services, located: LocatedInstance) -> str:
    """Return the transfer syntax in which frames are served as stored (PS3.18 8.7.3.3).

    Frames that are not encapsulated are all alike once they are in little endian. Compressed
    frames in a file of a native transfer syntax say by their first bytes what they are.
    """
    if not pixels_of(located).encapsulated:
        return EXPLICIT_VR_LITTLE_ENDIAN
    if lookup(located.instance.transfer_syntax_uid).encapsulated:
        return located.instance.transfer_syntax_uid
    from lenticular.pixels.codecs.codestream import SHOWN_BYTES, transfer_syntax_of

    frame = stored_frames(services, located, [1])[0].load()
    syntax = transfer_syntax_of(frame.read(0, min(SHOWN_BYTES, frame.size)))
    if syntax is None:
        raise NotRenderable(
            "The pixels are in fragments as compressed ones are, but the transfer syntax of the"
            " file is a native one, and they do not begin as any known codec's do."
        )
    return syntax


def require_frames(located: LocatedInstance) -> None:
    """Refuse pixel data that holds no whole frame, with the reason."""
    pixels = pixels_of(located)
    if pixels.number_of_frames >= 1:
        return
    if pixels.encapsulated:
        raise NotRenderable("The pixel data holds no fragment, so there is no frame in it.")
    raise NotRenderable(
        f"The pixel data holds {pixels.length:,} bytes, which is less than one frame:"
        f" by Rows, Columns and the like it takes {-(-pixels.frame_bits // 8):,}."
    )


def stored_frames(
    services: Services, located: LocatedInstance, frame_numbers: Sequence[int]
) -> list[Frame]:
    """Return these frames, numbered from 1, in this order."""
    pixels = pixels_of(located)
    require_frames(located)
    _check(pixels, frame_numbers)
    whole = layout_content(services, located.instance)
    if not pixels.encapsulated:
        return [
            Frame(number, partial(native_frame, whole, pixels, number)) for number in frame_numbers
        ]
    if lookup(located.instance.transfer_syntax_uid).is_video:
        raise Unacceptable(
            f"A video has no separate frames; all of it is at bulkdata/{pixels.tag}."
        )
    runs = _runs(services, located, frame_numbers)
    return [
        Frame(number, partial(_joined_run, whole, run))
        for number, run in zip(frame_numbers, runs, strict=True)
    ]


def frames_in(
    services: Services,
    located: LocatedInstance,
    frame_numbers: Sequence[int],
    *,
    stored: str,
    wanted: str,
) -> list[Frame]:
    """Return the frames in the transfer syntax `wanted`; `stored` is their `frame_syntax`.

    Uncompressed they are words of Bits Allocated, little endian, colours as RGB.
    """
    frames = stored_frames(services, located, frame_numbers)
    if wanted == stored:
        return frames
    from lenticular.pixels.codecs.convert_frame import converter
    from lenticular.pixels.image_pixel import describe

    description = describe(dataset_of(services, located), pixels_of(located).tag)
    convert = converter(stored, wanted, description)

    def load(frame: Frame) -> ByteSource:
        return ByteSource.of(convert(frame.load().read()))

    return [Frame(frame.frame_number, partial(load, frame)) for frame in frames]


def can_decode(located: LocatedInstance) -> bool:
    """Return True if frames in this transfer syntax can be decoded at all."""
    syntax = KNOWN.get(located.instance.transfer_syntax_uid)
    return syntax is not None and not syntax.is_video


def are_apart(services: Services, located: LocatedInstance) -> bool:
    """Return True if the frames of encapsulated pixels can be separated (PS3.5 A.4)."""
    pixels = pixels_of(located)
    if lookup(located.instance.transfer_syntax_uid).is_video or not pixels.number_of_frames:
        return False
    runs = _runs(services, located, (1, pixels.number_of_frames))
    return not any(isinstance(run, NotFound) for run in runs)


def whole_pixel_data(services: Services, located: LocatedInstance) -> ByteSource:
    """Return all pixel data in one: native frames, or the joined fragments of a stream."""
    pixels = pixels_of(located)
    whole = layout_content(services, located.instance)
    if pixels.encapsulated:
        return joined_fragments(whole, pixels.offset, pixels.length, skip=1)
    return little_endian(whole, pixels.offset, pixels.length, pixels.word_bytes)


def joined_fragments(whole: ByteSource, start: int, length: int, skip: int = 0) -> ByteSource:
    """Return the bytes of a run of fragments, without the items' headers (PS3.5 A.4).

    A run without items is an image that somebody wrote without them, and comes whole.
    """
    if length <= AT_ONCE:
        run = ByteSource.of(whole.read(start, length))
        spans = _fragments(run, 0, length)
        return ByteSource.of(b"".join(run.read(*span) for span in spans[skip:])) if spans else run
    spans = _fragments(whole, start, length)
    spans = spans[skip:] if spans else [(start, length)]
    return ByteSource(sum(size for _, size in spans), partial(_spliced, whole, spans))


def _runs(
    services: Services, located: LocatedInstance, frame_numbers: Sequence[int]
) -> list[tuple[int, int] | NotFound]:
    """Return offset and length of each frame, or the error of one that cannot be separated."""
    located = reread.with_whole_frames(services, located)
    try:
        return list(services.index.retrieval.frame_ranges(located, frame_numbers))
    except NotFound as error:
        if len(frame_numbers) == 1:
            return [error]
    return [run for number in frame_numbers for run in _runs(services, located, [number])]


def _joined_run(whole: ByteSource, run: tuple[int, int] | NotFound) -> ByteSource:
    """Return the joined fragments of a frame."""
    if isinstance(run, NotFound):
        raise run
    return joined_fragments(whole, *run)


def _check(pixels: PixelLayout, frame_numbers: Sequence[int]) -> None:
    """Refuse numbers of frames that do not exist."""
    for number in frame_numbers:
        if not 1 <= number <= pixels.number_of_frames:
            raise NotFound(f"There is no frame {number}; the last is {pixels.number_of_frames}.")


def native_frame(whole: ByteSource, pixels: PixelLayout, frame_number: int) -> ByteSource:
    """Return a frame of pixels that are not encapsulated, aligned to whole bytes."""
    bits = pixels.frame_bits or (pixels.length * 8 if pixels.number_of_frames == 1 else 0)
    start, shift = divmod((frame_number - 1) * bits, 8)
    size = (shift + bits + 7) // 8
    if not bits or start + size > pixels.length:
        raise NotFound(f"The pixel data ends before frame {frame_number} does.")
    value = little_endian(whole, pixels.offset, pixels.length, pixels.word_bytes)
    if not shift and not bits % 8:
        return ByteSource(size, lambda offset, length: value.pieces(start + offset, length))
    packed = int.from_bytes(value.read(start, size), "little") >> shift
    return ByteSource.of((packed & ((1 << bits) - 1)).to_bytes((bits + 7) // 8, "little"))


def _fragments(whole: ByteSource, start: int, length: int) -> list[tuple[int, int]]:
    """Return offset and length of each item's value, up to the delimiter or the first mistake."""
    spans = []
    position, end = start, start + length
    while position + 8 <= end:
        head = whole.read(position, 8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != ITEM_BYTES:
            break
        spans.append((position + 8, min(size, end - position - 8)))
        position += 8 + size
    return spans


def _spliced(
    whole: ByteSource, spans: Sequence[tuple[int, int]], offset: int, length: int
) -> Iterator[bytes]:
    """Yield a range of what the spans hold, one after the other."""
    for start, size in spans:
        if length <= 0:
            return
        if offset < size:
            taken = min(size - offset, length)
            yield from whole.pieces(start + offset, taken)
            length -= taken
        offset = max(offset - size, 0)
