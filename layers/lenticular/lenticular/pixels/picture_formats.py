"""The file formats of pictures: what each can hold, where it is served, and its encoder.

To add a format, write its encoder and its entry in FORMATS: negotiation, conversion and refusals
follow. Codecs are loaded by the first picture, so that routes can read the entries without them.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenticular.errors import NotRenderable

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    Array = NDArray[Any]

JPEG = "image/jpeg"
PNG = "image/png"
GIF = "image/gif"
PAM = "image/x-portable-arbitrarymap"

_MAX_JPEG_SIDE = 65500
_MAX_GIF_SIDE = 65535
MAX_GIF_MILLISECONDS = 655_350
"""The longest time for which a GIF shows an image: a word counts hundredths of a second."""
_ICC_PIECE = 65519  # bytes of a segment without its head
_PNG_HEAD = 33  # signature and IHDR


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A format; `encode` gets a picture, and the quality that the client asks for.

    `in_dicomweb` and `in_orthanc`: it is offered there, in the order of FORMATS. `bits`: the depth
    of the deepest picture that it can hold.
    """

    encode: "Callable[[Array, int], bytes]"
    in_dicomweb: bool = True
    in_orthanc: bool = True
    bits: int = 8
    add_profile: Callable[[bytes, bytes], bytes] | None = None


def encode(
    picture: "Array", media_type: str, quality: int, icc_profile: bytes | None = None
) -> bytes:
    """Return the picture as a file of this media type, with its ICC profile if possible."""
    chosen = FORMATS[media_type]
    file = chosen.encode(picture, quality)
    if icc_profile is None or chosen.add_profile is None:
        return file
    return chosen.add_profile(file, icc_profile)


def to_jpeg(picture: "Array", quality: int) -> bytes:
    """Encode 8 bits, grey or RGB, as baseline JPEG."""
    import imagecodecs
    import numpy as np

    if picture.dtype != np.uint8:
        raise NotRenderable("A JPEG holds 8 bits; ask for image/png.")
    if max(picture.shape) > _MAX_JPEG_SIDE:
        raise NotRenderable("The picture is too long for a JPEG; ask for image/png.")
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture), quality))


def to_png(picture: "Array", quality: int = 0) -> bytes:
    """Encode 8 or 16 bits, grey or RGB, as PNG, quickly rather than tightly.

    Each row is stored as its difference from the row above, compressed by run lengths: for greys
    that takes half the time of the usual setting, and gives a smaller file.
    """
    import imagecodecs
    import numpy as np

    options: dict[str, Any] = {"filter": imagecodecs.PNG.FILTER.UP}
    if picture.ndim == 2 and picture.dtype == np.uint8:
        options["strategy"] = imagecodecs.PNG.STRATEGY.RLE
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), 1, **options))


def to_pam(picture: "Array", quality: int = 0) -> bytes:
    """Encode as Portable Arbitrary Map: a head in text, then samples, most significant first."""
    depth, tuple_type = (1, "GRAYSCALE") if picture.ndim == 2 else (3, "RGB")
    bits = picture.dtype.itemsize * 8
    head = (
        f"P7\nWIDTH {picture.shape[1]}\nHEIGHT {picture.shape[0]}\nDEPTH {depth}\n"
        f"MAXVAL {(1 << bits) - 1}\nTUPLTYPE {tuple_type}\nENDHDR\n"
    )
    return head.encode() + picture.astype(f">u{bits // 8}").tobytes()


def to_gif(pictures: "Iterable[Array]", milliseconds: int = 100) -> bytes:
    """Encode 8 bits, grey or RGB, as GIF; several pictures repeat for ever."""
    images = _timed(map(_indexed, pictures), milliseconds)
    buffer = io.BytesIO()
    next(images).save(buffer, "GIF", save_all=True, append_images=images, loop=0)
    return buffer.getvalue()


def _to_still_gif(picture: "Array", quality: int) -> bytes:
    """Encode one picture as GIF."""
    return to_gif([picture])


def _indexed(picture: "Array") -> "Image":
    """Return the picture in 256 colours: greys unchanged, others by the nearest colour."""
    import numpy as np
    from PIL import Image

    if picture.dtype != np.uint8 or max(picture.shape) > _MAX_GIF_SIDE:
        raise NotRenderable("The picture does not fit a GIF; ask for image/png.")
    image = Image.fromarray(np.ascontiguousarray(picture))
    return image if image.mode == "L" else image.quantize(256, Image.Quantize.FASTOCTREE)


def _timed(images: Iterable["Image"], milliseconds: int) -> Iterator["Image"]:
    """Set the time of each image; equal ones in succession share the longest time.

    Pillow writes such images as one, with the sum of their times.
    """
    before, shown = b"", 0
    for image in images:
        content = image.convert("RGB").tobytes() if image.mode == "P" else image.tobytes()
        shown = shown if content == before else 0
        image.info["duration"] = min(milliseconds, MAX_GIF_MILLISECONDS - shown)
        shown += image.info["duration"]
        before = content
        yield image


def _add_profile_to_jpeg(file: bytes, icc_profile: bytes) -> bytes:
    """Return the JPEG with this ICC profile in its segments (ICC.1 Annex B)."""
    pieces = [icc_profile[at : at + _ICC_PIECE] for at in range(0, len(icc_profile), _ICC_PIECE)]
    segments = [
        b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece
        for number, piece in enumerate(pieces, 1)
    ]
    heads = (b"\xff\xe2" + struct.pack(">H", len(segment) + 2) for segment in segments)
    inserted = b"".join(head + segment for head, segment in zip(heads, segments, strict=True))
    # JFIF's own segment, where there is one, comes first.
    at = 4 + struct.unpack(">H", file[4:6])[0] if file[2:4] == b"\xff\xe0" else 2
    return file[:at] + inserted + file[at:]


def _add_profile_to_png(file: bytes, icc_profile: bytes) -> bytes:
    """Return the PNG with this ICC profile in a chunk (PNG 11.3.2.3)."""
    chunk = b"iCCPICC profile\0\0" + zlib.compress(icc_profile)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return file[:_PNG_HEAD] + framed + file[_PNG_HEAD:]


FORMATS = {
    JPEG: PictureFormat(to_jpeg, add_profile=_add_profile_to_jpeg),
    PNG: PictureFormat(to_png, bits=16, add_profile=_add_profile_to_png),
    GIF: PictureFormat(_to_still_gif, in_orthanc=False),
    PAM: PictureFormat(to_pam, in_dicomweb=False, bits=16),
}
"""By media type; the first is the default of DICOMweb."""

IN_DICOMWEB = tuple(name for name, each in FORMATS.items() if each.in_dicomweb)


def in_orthanc(bits: int) -> list[str]:
    """Return the formats of Orthanc's pictures with at least this depth; PNG is its default."""
    held = (name for name, each in FORMATS.items() if each.in_orthanc and each.bits >= bits)
    return sorted(held, key=lambda name: name != PNG)
