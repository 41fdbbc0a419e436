"""Pictures as files: JPEG, PNG, GIF and Netpbm's PAM; and fitted into a viewport."""

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from lenticular.errors import InvalidRequest, NotRenderable
from lenticular.pixels.render_options import GIF, JPEG, PAM, PNG, Viewport

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[Any]

_MAX_JPEG_SIDE = 65500
_MAX_GIF_SIDE = 65535
MAX_GIF_MILLISECONDS = 655_350
"""How long an image of a GIF can be shown: a word counts hundredths of a second."""
_ICC_PIECE = 65519  # what a segment holds beside its head
_PNG_HEAD = 33  # signature and IHDR
_LEAST = 0.01  # of a pixel, that there be something to enlarge


def encode(
    picture: Array, media_type: str, quality: int, icc_profile: bytes | None = None
) -> bytes:
    """The picture in a file of this media type; the quality is that of a JPEG."""
    if media_type == GIF:
        return to_gif([picture])
    if media_type == JPEG:
        file = to_jpeg(picture, quality)
    else:
        file = {PNG: to_png, PAM: to_pam}[media_type](picture)
    return file if icc_profile is None else with_profile(file, icc_profile)


def to_jpeg(picture: Array, quality: int) -> bytes:
    """Encode 8 bits, grey or RGB, as baseline JPEG."""
    if picture.dtype != np.uint8:
        raise NotRenderable("A JPEG holds 8 bits; ask for image/png.")
    if max(picture.shape) > _MAX_JPEG_SIDE:
        raise NotRenderable("The picture is too long for a JPEG; ask for image/png.")
    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(picture), quality))


def to_png(picture: Array) -> bytes:
    """Encode 8 or 16 bits, grey or RGB, as PNG, quickly rather than tightly.

    Rows differ little from the one above, and what differs comes in runs: for greys that is half
    the time of the usual setting and a smaller file too.
    """
    options: dict[str, Any] = {"filter": imagecodecs.PNG.FILTER.UP}
    if picture.ndim == 2 and picture.dtype == np.uint8:
        options["strategy"] = imagecodecs.PNG.STRATEGY.RLE
    return bytes(imagecodecs.png_encode(np.ascontiguousarray(picture), 1, **options))


def to_pam(picture: Array) -> bytes:
    """Encode as Portable Arbitrary Map: a head in text, then samples, most significant first."""
    depth, kind = (1, "GRAYSCALE") if picture.ndim == 2 else (3, "RGB")
    bits = picture.dtype.itemsize * 8
    head = (
        f"P7\nWIDTH {picture.shape[1]}\nHEIGHT {picture.shape[0]}\nDEPTH {depth}\n"
        f"MAXVAL {(1 << bits) - 1}\nTUPLTYPE {kind}\nENDHDR\n"
    )
    return head.encode() + picture.astype(f">u{bits // 8}").tobytes()


def to_gif(pictures: Iterable[Array], milliseconds: int = 100) -> bytes:
    """Encode 8 bits, grey or RGB, as GIF; several pictures follow each other for ever."""
    images = _timed(_indexed_pictures(pictures), milliseconds)
    buffer = io.BytesIO()
    next(images).save(buffer, "GIF", save_all=True, append_images=images, loop=0)
    return buffer.getvalue()


def _indexed_pictures(pictures: Iterable[Array]) -> Iterator["Image"]:
    from PIL import Image

    return (_indexed(Image.fromarray(_eight_bits(picture))) for picture in pictures)


def _timed(images: Iterable["Image"], milliseconds: int) -> Iterator["Image"]:
    """Give each image its time; images that are alike in succession share the most there is.

    Pillow writes such images as one that is shown for as long as all of them.
    """
    before, shown = b"", 0
    for image in images:
        content = image.convert("RGB").tobytes() if image.mode == "P" else image.tobytes()
        shown = shown if content == before else 0
        image.info["duration"] = min(milliseconds, MAX_GIF_MILLISECONDS - shown)
        shown += image.info["duration"]
        before = content
        yield image


def _eight_bits(picture: Array) -> Array:
    if picture.dtype != np.uint8 or max(picture.shape) > _MAX_GIF_SIDE:
        raise NotRenderable("The picture does not fit a GIF; ask for image/png.")
    return np.ascontiguousarray(picture)


def _indexed(image: "Image") -> "Image":
    """In 256 colours: greys as they are, others the nearest (quickly, for there may be many)."""
    from PIL.Image import Quantize

    return image if image.mode == "L" else image.quantize(256, Quantize.FASTOCTREE)


def with_profile(file: bytes, icc_profile: bytes) -> bytes:
    """A JPEG or PNG that carries this ICC profile (ICC.1 Annex B, PNG 11.3.2.3)."""
    if file.startswith(b"\xff\xd8"):
        pieces = [
            icc_profile[at : at + _ICC_PIECE] for at in range(0, len(icc_profile), _ICC_PIECE)
        ]
        segments = [
            b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece
            for number, piece in enumerate(pieces, 1)
        ]
        heads = (b"\xff\xe2" + struct.pack(">H", len(segment) + 2) for segment in segments)
        inserted = b"".join(head + segment for head, segment in zip(heads, segments, strict=True))
        # JFIF's own segment, where there is one, comes first.
        at = 4 + struct.unpack(">H", file[4:6])[0] if file[2:4] == b"\xff\xe0" else 2
        return file[:at] + inserted + file[at:]
    if not file.startswith(b"\x89PNG"):
        return file
    chunk = b"iCCPICC profile\0\0" + zlib.compress(icc_profile)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return file[:_PNG_HEAD] + framed + file[_PNG_HEAD:]


def fit(picture: Array, viewport: Viewport) -> Array:
    """Show a region of the picture in a box, its proportions kept (PS3.18 8.3.5.1.3)."""
    rows, columns = picture.shape[:2]
    viewport = _in_pixels(viewport, rows, columns)
    box = _region(viewport, rows, columns)
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(viewport.width / width, viewport.height / height)
    if not viewport.enlarge:
        scale = min(scale, 1.0)
    size = (
        min(max(round(width * scale), 1), viewport.width),
        min(max(round(height * scale), 1), viewport.height),
    )
    if box != (0, 0, columns, rows) or size != (columns, rows):
        picture = resized(picture, size, box)
    if viewport.flip_horizontally:
        picture = picture[:, ::-1]
    return picture[::-1] if viewport.flip_vertically else picture


def _in_pixels(viewport: Viewport, rows: int, columns: int) -> Viewport:
    """The same viewport with a region that counts pixels."""
    if not viewport.relative:
        return viewport
    return replace(
        viewport,
        x=viewport.x * columns,
        y=viewport.y * rows,
        region_width=max((viewport.region_width or 1) * columns, 1),
        region_height=max((viewport.region_height or 1) * rows, 1),
        relative=False,
    )


def _region(viewport: Viewport, rows: int, columns: int) -> tuple[float, float, float, float]:
    """Left, upper, right and lower edge of what is shown."""
    if viewport.x > columns - _LEAST or viewport.y > rows - _LEAST:
        raise InvalidRequest("The region of the `viewport` lies outside of the image.")
    width = columns if viewport.region_width is None else viewport.region_width
    height = rows if viewport.region_height is None else viewport.region_height
    right, lower = min(viewport.x + width, columns), min(viewport.y + height, rows)
    return viewport.x, viewport.y, right, lower


def resized(picture: Array, size: tuple[int, int], box: tuple[float, float, float, float]) -> Array:
    """A region of the picture in another size."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    # The gap lets large pictures shrink by whole factors first: three times as fast.
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box, reducing_gap=2.0))
