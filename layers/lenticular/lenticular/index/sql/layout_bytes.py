"""The layout of a file as bytes: small enough to lie in a row, frame by frame when large.

The positions of few encapsulated frames are stored with the layout, those of many
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
    """Return the layout as JSON, and chunks of the frames that do not fit into it."""
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
    """Return the layout of the JSON; without its frames if they are in chunks."""
    bulkdata, pixels = orjson.loads(encoded)
    positions = {
        path: (position[0], position[1], position[2]) for path, position in bulkdata.items()
    }
    if pixels is None:
        return Layout(positions)
    *head, frames = pixels
    return Layout(positions, PixelLayout(*(*head, array("Q", frames or ()))))


def chunk_of(frame_number: int) -> int:
    """Return the number of the chunk with this frame (from 1)."""
    return (frame_number - 1) // FRAMES_PER_CHUNK


def range_in(chunk: bytes, frame_number: int) -> tuple[int, int] | None:
    """Return offset and length of a frame in its chunk; None if the chunk ends before."""
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
