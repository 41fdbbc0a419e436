"""A file in JPEG XL, a transfer syntax that pydicom does not know."""

import imagecodecs
from pydicom.encaps import encapsulate

from tests.helpers import samples


def jpeg_xl(study: samples.Label) -> bytes:
    """An image without loss; its pixels are the ramp of the study."""
    pixels = samples.ramp(64, 64, seed=study)
    base = samples.with_pixels(samples.dataset(study), pixels, bits_stored=12)
    base.PixelData = encapsulate([imagecodecs.jpegxl_encode(pixels[0], lossless=True)])
    base["PixelData"].VR = "OB"
    known, wanted = (f"1.2.840.10008.1.2.4.{end}".encode() for end in (201, 110))
    return samples.encode(base, known.decode()).replace(known, wanted, 1)
