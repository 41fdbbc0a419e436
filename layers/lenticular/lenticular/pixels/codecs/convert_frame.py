"""Frames from one transfer syntax to another: decoded, and compressed again if need be."""

from collections.abc import Callable

from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.errors import Unacceptable
from lenticular.pixels.codecs.compress import can_hold, compress
from lenticular.pixels.codecs.decode import DecodedFrame, decode
from lenticular.pixels.codecs.to_native import uncompressed
from lenticular.pixels.image_pixel import PixelDescription

Converter = Callable[[bytes], bytes]


def converter(stored: str, wanted: str, description: PixelDescription) -> Converter:
    """Return a function that converts a frame from the stored to the wanted syntax."""
    if not lookup(wanted).encapsulated:
        return lambda frame: uncompressed(decode(frame, stored, description), description)
    require(wanted, description)

    def convert(frame: bytes) -> bytes:
        decoded = decode(frame, stored, description)
        return compress(decoded, wanted, bits_needed(decoded, description)).data

    return convert


def bits_needed(frame: DecodedFrame, description: PixelDescription) -> int:
    """Return Bits Stored, or more if the values of a frame exceed it."""
    return max(frame.bits, description.bits_stored)


def require(transfer_syntax_uid: str, description: PixelDescription) -> None:
    """Refuse a syntax that cannot hold pixels of this description."""
    if not can_hold(transfer_syntax_uid, description):
        raise Unacceptable(f"{lookup(transfer_syntax_uid).name} cannot hold pixels of this kind.")
