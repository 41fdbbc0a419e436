"""Frames of single bits, each deflated by itself: Deflated Image Frame Compression (PS3.5 A.4)."""

import zlib

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.helpers import samples

# pydicom does not know the transfer syntax, so a UID of the same length is written and changed.
_WRITTEN, _MEANT = b"1.2.840.10008.1.2.1.98", b"1.2.840.10008.1.2.8.1\0"


def deflated_bits(study: samples.Label, rows: int, columns: int, frames: int) -> bytes:
    """Return an instance with frames of so many bits, which need not fill their last byte."""
    base = samples.dataset(study, SOPClassUID="1.2.840.10008.5.1.4.1.1.7.1", Modality="OT")
    bits = (samples.ramp(rows, columns, frames, study) // 3 % 2).astype(np.uint8)
    samples.with_pixels(base, bits)
    base.BitsAllocated, base.BitsStored, base.HighBit = 1, 1, 0
    packed = [np.packbits(frame, bitorder="little") for frame in bits.reshape(frames, -1)]
    base.PixelData = encapsulate([zlib.compress(frame.tobytes(), wbits=-15) for frame in packed])
    base["PixelData"].VR = "OB"
    return samples.encode(base, UID(_WRITTEN.decode())).replace(_WRITTEN, _MEANT)
