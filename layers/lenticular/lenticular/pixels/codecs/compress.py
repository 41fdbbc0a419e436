"""Compress decoded frames into the transfer syntaxes of PS3.5 8.2 and A.4.

`can_hold` decides from the attributes if a codec can hold the frames. If samples are signed and a
codec has no signs, their two's complement is stored in Bits Stored bits (PS3.5 8.2 on JPEG and
JPEG-LS).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np

from lenticular.dicom.transfer_syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR_LOSSLESS,
    RLE_LOSSLESS,
)
from lenticular.errors import Unacceptable
from lenticular.pixels.codecs.decode import DecodedFrame
from lenticular.pixels.codecs.native import Array
from lenticular.pixels.image_pixel import PixelDescription

JPEG_QUALITY = 90
NEAR_LOSSLESS_ERROR = 2
"""No sample of JPEG-LS Near-lossless differs by more than this."""
JPEG_2000_DECIBELS = 55
"""The signal-to-noise ratio of lossy JPEG 2000; the signal is the range of the values."""

_SIZ_PRECISION = 42  # position of the first component's Ssiz in a codestream (ISO 15444-1 A.5.1)

_GREY = frozenset({"MONOCHROME1", "MONOCHROME2"})
_COLOURS = frozenset({"RGB", "YBR_FULL"})
_MAX_JPEG_SIDE = 65_535


@dataclass(frozen=True, slots=True)
class Compressed:
    """A frame's codestream, and its photometric interpretation (PS3.3 C.7.6.3.1.2)."""

    data: bytes
    photometric_interpretation: str


def can_hold(transfer_syntax_uid: str, description: PixelDescription) -> bool:
    """Return True if frames of this description can be compressed in this syntax."""
    if description.floating or description.bits_allocated not in (8, 16, 32):
        return False
    if description.samples_per_pixel not in (1, 3):
        return False
    if transfer_syntax_uid == RLE_LOSSLESS:
        return True
    if description.bits_allocated == 32 or max(description.rows, description.columns) > (
        _MAX_JPEG_SIDE
    ):
        return False
    if transfer_syntax_uid == JPEG_BASELINE:
        return description.bits_stored <= 8 and not description.signed and _is_lossy(description)
    return transfer_syntax_uid not in LOSSY or _is_lossy(description)


def _is_lossy(description: PixelDescription) -> bool:
    """Return True if values may change a little; indexes of a palette may not."""
    return description.photometric_interpretation != "PALETTE COLOR"


def compress(frame: DecodedFrame, transfer_syntax_uid: str, bits_stored: int) -> Compressed:
    """Return the frame in this transfer syntax, its values in Bits Stored bits."""
    space = frame.colour_space
    if frame.samples.ndim == 3 and space not in _COLOURS:
        raise Unacceptable(f"Pixels in {space} cannot be compressed; ask for them as stored.")
    encoder = _ENCODERS[transfer_syntax_uid]
    try:
        return encoder(np.ascontiguousarray(frame.samples), bits_stored, space)
    except (RuntimeError, ValueError, TypeError) as error:
        raise Unacceptable("These pixels do not fit the transfer syntax.") from error


def _unsigned(samples: Array, bits: int) -> Array:
    """Return the samples as unsigned words with the unused bits cleared."""
    size = samples.dtype.itemsize
    words: Array = samples.view(f"u{size}")
    return words & words.dtype.type((1 << bits) - 1) if bits < 8 * size else words


def _jpeg_baseline(samples: Array, bits: int, space: str) -> Compressed:
    if samples.ndim == 2:
        return Compressed(bytes(imagecodecs.jpeg8_encode(samples, JPEG_QUALITY)), space)
    own = "RGB" if space == "RGB" else "YCBCR"
    data = imagecodecs.jpeg8_encode(
        samples, JPEG_QUALITY, colorspace=own, outcolorspace="YCBCR", subsampling="422"
    )
    return Compressed(bytes(data), "YBR_FULL_422")


def _jpeg_lossless(samples: Array, bits: int, space: str) -> Compressed:
    # Declared as RGB, so that no colour is transformed.
    colours = "RGB" if samples.ndim == 3 else None
    data = imagecodecs.jpeg8_encode(
        _unsigned(samples, bits),
        lossless=True,
        predictor=1,
        bitspersample=bits,
        colorspace=colours,
        outcolorspace=colours,
    )
    return Compressed(bytes(data), space)


def _jpeg_ls(samples: Array, bits: int, space: str) -> Compressed:
    return Compressed(bytes(imagecodecs.jpegls_encode(_unsigned(samples, bits))), space)


def _jpeg_ls_near_lossless(samples: Array, bits: int, space: str) -> Compressed:
    if samples.dtype.kind == "i":
        # -1 is next to 0 and not to the largest number, so the error must not cross the sign.
        raise Unacceptable("Signed pixels cannot be compressed nearly without loss in JPEG-LS.")
    data = imagecodecs.jpegls_encode(_unsigned(samples, bits), NEAR_LOSSLESS_ERROR)
    return Compressed(bytes(data), space)


def _jpeg_2000_lossless(samples: Array, bits: int, space: str) -> Compressed:
    transformed = space == "RGB"
    data = imagecodecs.jpeg2k_encode(
        samples, 0, codecformat="j2k", reversible=True, bitspersample=bits, mct=transformed
    )
    return Compressed(bytes(data), "YBR_RCT" if transformed else space)


def _jpeg_2000(samples: Array, bits: int, space: str) -> Compressed:
    transformed, signed = space == "RGB", samples.dtype.kind == "i"
    # The codec shifts levels to be signed, so for signed samples only the declaration differs; with
    # it OpenJPEG calculates decibels wrongly.
    words = (samples.astype(np.int32) + (1 << bits - 1)).astype(np.uint16) if signed else samples
    span = int(words.max()) - int(words.min()) + 1
    level = round(JPEG_2000_DECIBELS + 20 * math.log10((1 << bits) / span))
    data = bytearray(
        imagecodecs.jpeg2k_encode(
            words, level, codecformat="j2k", reversible=False, bitspersample=bits, mct=transformed
        )
    )
    data[_SIZ_PRECISION] |= 0x80 if signed else 0
    return Compressed(bytes(data), "YBR_ICT" if transformed else space)


def _htj2k(samples: Array, bits: int, space: str) -> Compressed:
    transformed = space == "RGB"
    data = imagecodecs.htj2k_encode(samples, rgb=transformed, reversible=True)
    return Compressed(bytes(data), "YBR_RCT" if transformed else space)


def _rle(samples: Array, bits: int, space: str) -> Compressed:
    """Return a segment for each byte of each sample, the most significant first (PS3.5 G.2)."""
    rows, columns, *_ = samples.shape
    words = samples.reshape(rows, columns, -1)
    size = words.dtype.itemsize
    octets = words.astype(words.dtype.newbyteorder(">")).view("u1").reshape(rows, columns, -1, size)
    segments = [
        _even(bytes(imagecodecs.packbits_encode(np.ascontiguousarray(octets[:, :, sample, byte]))))
        for sample in range(words.shape[2])
        for byte in range(size)
    ]
    offsets = np.zeros(16, "<u4")
    offsets[0] = len(segments)
    offsets[1 : len(segments) + 1] = 64 + np.cumsum([0, *map(len, segments[:-1])])
    return Compressed(offsets.tobytes() + b"".join(segments), space)


def _even(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


_ENCODERS: dict[str, Callable[[Array, int, str], Compressed]] = {
    JPEG_BASELINE: _jpeg_baseline,
    JPEG_LOSSLESS: _jpeg_lossless,
    JPEG_LOSSLESS_SV1: _jpeg_lossless,
    JPEG_LS_LOSSLESS: _jpeg_ls,
    JPEG_LS_NEAR_LOSSLESS: _jpeg_ls_near_lossless,
    JPEG_2000_LOSSLESS: _jpeg_2000_lossless,
    JPEG_2000: _jpeg_2000,
    HTJ2K_LOSSLESS: _htj2k,
    HTJ2K_LOSSLESS_RPCL: _htj2k,
    HTJ2K: _htj2k,
    RLE_LOSSLESS: _rle,
}

LOSSY = {
    JPEG_BASELINE: "ISO_10918_1",
    JPEG_LS_NEAR_LOSSLESS: "ISO_14495_1",
    JPEG_2000: "ISO_15444_1",
}
"""The syntaxes in which values change, and the Lossy Image Compression Method of each."""
