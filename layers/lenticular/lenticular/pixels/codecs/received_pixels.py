"""Pixels that are received as pictures, PS3.18 10.5.2: their transfer syntax and attributes.

The head of a stream gives the attributes of the Image Pixel Description Macro that a client may
leave out. A compressed stream that has a transfer syntax is stored unchanged; PNG and GIF have none
and are unpacked (Table 10.5.2-1).
"""

from dataclasses import dataclass
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.dicom.transfer_syntaxes import JPEG_ROOT, RLE_LOSSLESS
from lenticular.errors import InvalidInstance
from lenticular.pixels.codecs.codestream import Codec, Head, read_head
from lenticular.pixels.image_pixel import MAX_SAMPLES
from lenticular.pixels.picture_formats import GIF, PNG

UNPACKED = (PNG, GIF)
_LOSSY_METHODS = {
    "50": "ISO_10918_1", "51": "ISO_10918_1", "55": "ISO_10918_1", "81": "ISO_14495_1",
    "91": "ISO_15444_1", "203": "ISO_15444_15",
}  # fmt: skip
# The most common transfer syntax of each media type whose streams do not declare one.
_ASSUMED = {
    "image/dicom-rle": RLE_LOSSLESS,
    "image/jxl": JPEG_ROOT + "112",
    "video/mp4": JPEG_ROOT + "102",
    "video/mpeg": JPEG_ROOT + "100",
    "video/mpeg2": JPEG_ROOT + "100",
    "video/h265": JPEG_ROOT + "107",
}
_CODECS = {
    "image/jpeg": (Codec.JPEG, Codec.JPEG_LOSSLESS),
    "image/jls": (Codec.JPEG_LS,),
    "image/jp2": (Codec.JPEG_2000,),
    "image/jpx": (Codec.JPEG_2000,),
    "image/jphc": (Codec.JPEG_2000,),
}


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A picture as native pixels, frame after frame, and its attributes."""

    pixels: bytes
    description: Dataset


def media_types() -> frozenset[str]:
    """Return the media types of compressed pixel data that can be stored."""
    return frozenset({*_CODECS, *_ASSUMED, *UNPACKED})


def syntax_of(media_type: str, beginning: bytes) -> str:
    """Return the transfer syntax that a stream of this media type needs."""
    if media_type in _ASSUMED:
        return _ASSUMED[media_type]
    return _head(media_type, beginning).transfer_syntax_uid


def description_of(media_type: str, syntax_uid: str, beginning: bytes) -> Dataset:
    """Return the attributes that the stream gives; none for videos and RLE."""
    if media_type in _ASSUMED:
        return {}
    head = _head(media_type, beginning)
    stored = head.precision
    photometric = _photometric(head, syntax_uid)
    if photometric == "YBR_FULL_422" and not head.subsampled:
        photometric = "YBR_FULL"
    described = _description(head.rows, head.columns, head.components, stored, photometric)
    described[tags.PIXEL_REPRESENTATION] = {"vr": "US", "Value": [int(head.signed)]}
    method = _LOSSY_METHODS.get(syntax_uid.removeprefix(JPEG_ROOT))
    if method:
        described[tags.LOSSY_IMAGE_COMPRESSION] = {"vr": "CS", "Value": ["01"]}
        described[tags.LOSSY_IMAGE_COMPRESSION_METHOD] = {"vr": "CS", "Value": [method]}
    return described


def codestream_start(beginning: bytes) -> int:
    """Return the start of the codestream: JPEG 2000 files have boxes before it that DICOM omits."""
    if beginning[4:6] != b"jP":
        return 0
    return max(beginning.find(b"\xff\x4f\xff\x51"), 0)


def unpack(media_type: str, picture: bytes) -> Unpacked:
    """Return a PNG or GIF as native pixels, without its transparency (PS3.18 10.5.2)."""
    size = _picture_size(picture)
    if size is None or not 0 < size[0] * size[1] * 3 <= MAX_SAMPLES:
        raise InvalidInstance(f"A part is not a valid {media_type}, or is too large.")
    try:
        import imagecodecs
        import numpy as np

        decode = imagecodecs.png_decode if media_type == PNG else imagecodecs.gif_decode
        pixels = np.asarray(decode(picture))
    except (ValueError, RuntimeError) as error:
        raise InvalidInstance(f"A part of type {media_type} cannot be decoded.") from error
    except ImportError as error:
        raise InvalidInstance(f"{media_type} cannot be unpacked here; send DICOM.") from error
    if media_type == PNG or (pixels.ndim == 3 and pixels.shape[-1] in (3, 4)):
        pixels = pixels[None]
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    return _native(pixels[..., : 3 if pixels.shape[-1] >= 3 else 1])


def _native(pixels: Any) -> Unpacked:
    """Return frames, rows, columns and samples as bytes."""
    frames, rows, columns, samples = pixels.shape
    bits = 8 * pixels.dtype.itemsize
    photometric = "RGB" if samples == 3 else "MONOCHROME2"
    described = _description(rows, columns, samples, bits, photometric)
    described[tags.PIXEL_REPRESENTATION] = {"vr": "US", "Value": [0]}
    if frames > 1:
        described[tags.NUMBER_OF_FRAMES] = {"vr": "IS", "Value": [frames]}
    return Unpacked(pixels.astype(f"<u{bits // 8}").tobytes(), described)


def _picture_size(picture: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG or GIF, before a decoder reserves memory for it."""
    if picture[:8] == b"\x89PNG\r\n\x1a\n":
        return int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    if picture[:4] == b"GIF8":
        return int.from_bytes(picture[6:8], "little"), int.from_bytes(picture[8:10], "little")
    return None


def _head(media_type: str, beginning: bytes) -> Head:
    """Return the head of a stream; refuse one of another codec than its media type."""
    head = read_head(beginning)
    if head is None or head.codec not in _CODECS[media_type]:
        raise InvalidInstance(f"A part is declared as {media_type}, but is not one.")
    if head.components not in (1, 3):
        raise InvalidInstance(
            f"A part of type {media_type} has {head.components} components; DICOM knows images in"
            " grey (1) and in colours (3). Convert it, for example to RGB."
        )
    return head


def _description(
    rows: int, columns: int, samples: int, stored: int, photometric: str
) -> dict[str, dict[str, Any]]:
    """Return the attributes of the Image Pixel Description Macro."""
    numbers = {
        tags.SAMPLES_PER_PIXEL: samples,
        tags.ROWS: rows,
        tags.COLUMNS: columns,
        tags.BITS_ALLOCATED: 8 if stored <= 8 else 16 if stored <= 16 else 32,
        tags.BITS_STORED: stored,
        tags.HIGH_BIT: stored - 1,
    }
    described = {tag: {"vr": "US", "Value": [number]} for tag, number in numbers.items()}
    described[tags.PHOTOMETRIC_INTERPRETATION] = {"vr": "CS", "Value": [photometric]}
    if samples > 1:
        described[tags.PLANAR_CONFIGURATION] = {"vr": "US", "Value": [0]}
    return described


def _photometric(head: Head, syntax_uid: str) -> str:
    """Return the photometric interpretation of a stream."""
    if head.components != 3:
        return "MONOCHROME2"
    if head.codec is Codec.JPEG_2000 and head.transformed:
        return "YBR_RCT" if syntax_uid in (JPEG_ROOT + "90", JPEG_ROOT + "201") else "YBR_ICT"
    return "YBR_FULL_422" if head.codec is Codec.JPEG and head.transformed is not False else "RGB"
