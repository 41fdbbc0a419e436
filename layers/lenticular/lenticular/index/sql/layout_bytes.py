"""The layout of a file as bytes: small enough to lie in a row, frame by frame when large.

Where the frames of an encapsulated object lie is kept with the layout while they are few, and
in chunks of their own otherwise, so that one frame of very many costs one small row.
"""

import sys
from array import array

import orjson

from lenticular.dicom.model import Layout, PixelLayout

FRAMES_INLINE = 64
FRAMES_PER_CHUNK = 512
_RANGE_BYTES = 16


def encode(layout: Layout) -> tuple[bytes, list[bytes]]:
    """The layout as JSON, and the chunks of frames when they do not fit into it."""
    pixels = layout.pixels
    if pixels is None:
        return orjson.dumps([layout.bulkdata, None]), []
    inline = len(pixels.frames) <= 2 * FRAMES_INLINE
    head = [
        *(pixels.tag, pixels.vr, pixels.encapsulated, pixels.offset, pixels.length),
        *(pixels.number_of_frames, pixels.frame_bits, pixels.word_bytes),
        pixels.frames.tolist() if inline else None,
    ]
    return orjson.dumps([layout.bulkdata, head]), [] if inline else _chunks(pixels.frames)


def decode(encoded: bytes) -> Layout:
    """The layout back from JSON; without its frames when they are in chunks."""
    bulkdata, pixels = orjson.loads(encoded)
    places = {path: (place[0], place[1], place[2]) for path, place in bulkdata.items()}
    if pixels is None:
        return Layout(places)
    *head, frames = pixels
    return Layout(places, PixelLayout(*(*head, array("Q", frames or ()))))


def chunk_of(frame_number: int) -> int:
    """The number of the chunk that has this frame (from 1)."""
    return (frame_number - 1) // FRAMES_PER_CHUNK


def range_in(chunk: bytes, frame_number: int) -> tuple[int, int] | None:
    """Offset and length of a frame, from its chunk; None when it ends before."""
    start = (frame_number - 1) % FRAMES_PER_CHUNK * _RANGE_BYTES
    piece = chunk[start : start + _RANGE_BYTES]
    if len(piece) < _RANGE_BYTES:
        return None
    return int.from_bytes(piece[:8], "little"), int.from_bytes(piece[8:], "little")


def _chunks(frames: "array[int]") -> list[bytes]:
    ordered = array("Q", frames)
    if sys.byteorder == "big":
        ordered.byteswap()
    content, step = ordered.tobytes(), FRAMES_PER_CHUNK * _RANGE_BYTES
    return [content[start : start + step] for start in range(0, len(content), step)]
