"""Decode one frame to stored values, PS3.5 8.

The head of a compressed frame decides, not the transfer syntax or the attributes: there are files
with JPEG under a JPEG-LS syntax, with native bytes under a JPEG one, and with codestreams of
another size than Rows and Columns. Sizes are checked before memory is allocated.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np

from lenticular.dicom.transfer_syntaxes import RLE_LOSSLESS, lookup
from lenticular.errors import NotRenderable
from lenticular.pixels.codecs.codestream import Codec, Head, has_rle_header, read_head
from lenticular.pixels.codecs.native import Array, inflate_frame, native_size, read_native, read_rle
from lenticular.pixels.image_pixel import PixelDescription, check_size

DEFLATED_IMAGE_FRAME = "1.2.840.10008.1.2.8.1"
ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"

SPARE_PIXELS = 1 << 20
"""A codestream may have twice the pixels that the attributes declare, or this many; padding and
swapped sides are allowed, but a few bytes that claim gigabytes are not decoded."""

MAX_TILES = 10_000
MAX_SCANNED_PIXELS = 4_000_000_000
"""Tiles of a JPEG 2000, and pixels of all scans of a JPEG, that are decoded: some seconds' work.
More are an attack."""


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """A decoded frame: stored values, shape (rows, columns) or (rows, columns, samples).

    `colour_space` is MONOCHROME1, MONOCHROME2, PALETTE COLOR, RGB, YBR_FULL, YBR_PARTIAL, HSV,
    ARGB or CMYK; `bits` of each value are in use.
    """

    samples: Array
    colour_space: str
    bits: int


def decode(frame: bytes, transfer_syntax_uid: str, description: PixelDescription) -> DecodedFrame:
    """Decode the bytes of one frame; native ones are little-endian and start at the first bit."""
    syntax = lookup(transfer_syntax_uid)
    if syntax.is_video:
        raise NotRenderable(f"Frames of a video ({syntax.name}) cannot be rendered.")
    if transfer_syntax_uid == DEFLATED_IMAGE_FRAME:
        return _stored(read_native(inflate_frame(frame, description), description), description)
    if not syntax.encapsulated:
        return _stored(read_native(frame, description), description)
    head = read_head(frame)
    if head is not None:
        return _decompress(frame, head, description)
    if transfer_syntax_uid == RLE_LOSSLESS or has_rle_header(frame):
        return _stored(read_rle(frame, description), description)
    _require_native(frame, transfer_syntax_uid, description)
    return _stored(read_native(frame, description), description)


def _require_native(frame: bytes, transfer_syntax_uid: str, description: PixelDescription) -> None:
    """Refuse a frame that is not compressed, unless it has exactly the length of native pixels.

    Some writers forget to compress. All zeros mean a failed copy, not a black image, and are
    refused.
    """
    if transfer_syntax_uid == ENCAPSULATED_UNCOMPRESSED:
        return
    size = native_size(description)
    if len(frame) not in (size, size + size % 2) or not any(frame):
        name = lookup(transfer_syntax_uid).name
        raise NotRenderable(f"The frame is damaged: it does not begin as {name} does.")


def _stored(words: Array, description: PixelDescription) -> DecodedFrame:
    """Return the stored values of native words."""
    space = _colour_space(description.photometric_interpretation, words)
    if description.floating:
        return DecodedFrame(words, space, description.bits_stored)
    unused = description.high_bit + 1 - description.bits_stored
    words = _without_unused_bits(words, unused, description.bits_stored)
    if description.signed:
        words = _with_sign(words, description.bits_stored)
    return DecodedFrame(words, space, description.bits_stored)


def _without_unused_bits(words: Array, shift: int, bits: int) -> Array:
    """Return only the bits in use; the others may hold overlays (PS3.5 8.1.1)."""
    if shift:
        words = words >> words.dtype.type(shift)
    if bits < words.dtype.itemsize * 8 - shift:
        words = words & words.dtype.type((1 << bits) - 1)
    return words


def _with_sign(words: Array, bits: int) -> Array:
    """Return the lowest bits of each word as two's complement."""
    size = words.dtype.itemsize
    unused = size * 8 - bits
    signed: Array = words.view(f"<i{size}")
    if not unused:
        return signed
    amount = signed.dtype.type(unused)
    extended: Array = (signed << amount) >> amount
    return extended


def _colour_space(photometric: str, samples: Array) -> str:
    """Return the photometric interpretation, corrected to fit the number of samples."""
    if samples.ndim == 2:
        grey = ("MONOCHROME1", "PALETTE COLOR")
        return photometric if photometric in grey else "MONOCHROME2"
    if samples.shape[2] == 4:
        return _of_four_samples(photometric)
    if photometric.startswith("YBR_PARTIAL"):
        return "YBR_PARTIAL"
    if photometric.startswith("YBR_FULL"):
        return "YBR_FULL"
    return "HSV" if photometric == "HSV" else "RGB"


def _of_four_samples(photometric: str) -> str:
    """Return the colour space of four samples."""
    if photometric not in ("CMYK", "ARGB"):
        raise NotRenderable(
            f"The pixels have four samples, which do not fit the Photometric Interpretation"
            f" {photometric}."
        )
    return photometric


def _decompress(frame: bytes, head: Head, description: PixelDescription) -> DecodedFrame:
    """Decode a compressed frame."""
    _check_head(head, description)
    samples, space = _DECODERS[head.codec](frame, head, description.photometric_interpretation)
    if samples.ndim == 3 and samples.shape[2] == 1:
        samples = samples[:, :, 0]
    if samples.shape[:2] != (head.rows, head.columns) or samples.ndim > 3:
        raise NotRenderable(
            f"The {head.codec.value} frame does not decode to the shape that its header declares."
        )
    space = _colour_space(space, samples)
    return _rescued_sign(
        DecodedFrame(samples, space, _bits(samples, head, description)), description
    )


def _check_head(head: Head, description: PixelDescription) -> None:
    """Refuse a frame that would cost too much or is not a picture, before it is decoded."""
    check_size(head.rows, head.columns, head.components or description.samples_per_pixel)
    work = head.rows * head.columns * head.scans
    if work < 1 or work > MAX_SCANNED_PIXELS or head.tiles > MAX_TILES:
        raise NotRenderable(
            f"The {head.codec.value} frame declares no pixels, or too many to decode."
        )
    declared = description.rows * description.columns
    if head.rows * head.columns > max(2 * declared, SPARE_PIXELS):
        raise NotRenderable(
            f"The {head.codec.value} frame has {head.rows} x {head.columns} pixels"
            f" where {description.rows} x {description.columns} are declared."
        )


def _bits(samples: Array, head: Head, description: PixelDescription) -> int:
    """Return the bits in use: the smaller of file and codestream, unless values need more."""
    precision = head.precision or samples.dtype.itemsize * 8
    bits = min(precision, description.bits_stored)
    if bits < precision and samples.dtype.kind == "u" and not description.signed:
        # Some encoders leave Bits Stored wrong; larger values show the true depth.
        bits = max(bits, int(samples.max(initial=0)).bit_length())
    return bits


def _rescued_sign(frame: DecodedFrame, description: PixelDescription) -> DecodedFrame:
    """Return signed values that a codec without signs carried as unsigned (PS3.5 8.2)."""
    if not description.signed or frame.samples.dtype.kind != "u" or frame.samples.ndim != 2:
        return frame
    return replace(frame, samples=_with_sign(frame.samples, frame.bits))


_Decoded = tuple[Array, str]


def _jpeg(frame: bytes, head: Head, photometric: str) -> _Decoded:
    if head.components == 4:
        return _cmyk(frame, head), "CMYK"
    if head.components != 3:
        return _run(imagecodecs.jpeg8_decode, frame), photometric
    ycbcr = photometric != "RGB" if head.transformed is None else head.transformed
    space = "YCBCR" if ycbcr else "RGB"
    return _run(imagecodecs.jpeg8_decode, frame, colorspace=space, outcolorspace="RGB"), "RGB"


def _cmyk(frame: bytes, head: Head) -> Array:
    """Return the RGB of four inks, the only meaning of a JPEG with four components."""
    inks = _run(imagecodecs.jpeg8_decode, frame, outcolorspace="CMYK")
    return ~inks if head.inverted else inks


def _jpeg_lossless(frame: bytes, head: Head, photometric: str) -> _Decoded:
    if head.components != 3:
        return _run(imagecodecs.jpeg8_decode, frame), photometric
    # The lossless process never transforms colours; their meaning is as declared.
    decoded = _run(imagecodecs.jpeg8_decode, frame, colorspace="RGB", outcolorspace="RGB")
    return decoded, photometric


def _jpeg_ls(frame: bytes, head: Head, photometric: str) -> _Decoded:
    # CharLS spends seconds in search of the end of a truncated frame; so it is added.
    if not frame.endswith((b"\xff\xd9", b"\xff\xd9\0")):
        frame += b"\xff\xd9"
    return _run(imagecodecs.jpegls_decode, frame), photometric


def _jpeg_2000(frame: bytes, head: Head, photometric: str) -> _Decoded:
    # OpenJPEG for HTJ2K too: OpenJPH, though faster, lets lossy samples wrap around at white.
    decoded = _run(imagecodecs.jpeg2k_decode, frame)
    return decoded, "RGB" if head.transformed else photometric


def _jpeg_xl(frame: bytes, head: Head, photometric: str) -> _Decoded:
    decoded = _run(imagecodecs.jpegxl_decode, frame)
    return decoded, "RGB" if decoded.ndim == 3 else photometric


_DECODERS: dict[Codec, Callable[[bytes, Head, str], _Decoded]] = {
    Codec.JPEG: _jpeg,
    Codec.JPEG_LOSSLESS: _jpeg_lossless,
    Codec.JPEG_LS: _jpeg_ls,
    Codec.JPEG_2000: _jpeg_2000,
    Codec.JPEG_XL: _jpeg_xl,
}


def _run(decoder: Callable[..., object], frame: bytes, **options: str) -> Array:
    """Call a decoder of imagecodecs; raise NotRenderable for its many errors."""
    try:
        decoded = decoder(frame, **options)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise NotRenderable("The compressed frame is damaged, or of a rare kind.") from error
    samples = np.asarray(decoded)
    if samples.ndim < 2 or not samples.size:
        raise NotRenderable("The compressed frame holds no picture.")
    return samples
