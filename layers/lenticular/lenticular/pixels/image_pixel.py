"""The Image Pixel Module, PS3.3 C.7.6.3: size, depth and colour of frames."""

from dataclasses import dataclass

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset
from lenticular.errors import NotRenderable
from lenticular.pixels.dataset_values import code, integer

MAX_SAMPLES = 160_000_000
"""A frame of more samples than this is not decoded; a photograph of 50 megapixels has fewer."""

_SAMPLES = {"RGB": 3, "HSV": 3, "ARGB": 4, "CMYK": 4}


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """Size, depth and colour of every frame of an instance."""

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool = False
    planar: bool = False
    floating: bool = False

    @property
    def samples(self) -> int:
        """The number of samples in a decoded frame."""
        return self.rows * self.columns * self.samples_per_pixel


def describe(dataset: Dataset, pixel_tag: str = tags.PIXEL_DATA) -> PixelDescription:
    """Read the Image Pixel Module; raise NotRenderable if it describes no frame."""
    rows, columns = integer(dataset, tags.ROWS), integer(dataset, tags.COLUMNS)
    if not rows or not columns or rows < 0 or columns < 0:
        raise NotRenderable("The instance has no Rows and Columns, so it shows no picture.")
    photometric = code(dataset, tags.PHOTOMETRIC_INTERPRETATION)
    samples = integer(dataset, tags.SAMPLES_PER_PIXEL) or _samples_of(photometric)
    check_size(rows, columns, samples)
    allocated, stored, high_bit = _depth(dataset, pixel_tag)
    return PixelDescription(
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        photometric_interpretation=photometric or ("RGB" if samples == 3 else "MONOCHROME2"),
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit,
        signed=integer(dataset, tags.PIXEL_REPRESENTATION) == 1,
        planar=integer(dataset, tags.PLANAR_CONFIGURATION) == 1,
        floating=pixel_tag in (tags.FLOAT_PIXEL_DATA, tags.DOUBLE_FLOAT_PIXEL_DATA),
    )


def check_size(rows: int, columns: int, samples_per_pixel: int) -> None:
    """Refuse an image that needs too much memory, before any is allocated."""
    if samples_per_pixel not in (1, 3, 4):
        raise NotRenderable(f"{samples_per_pixel} samples per pixel are not a picture.")
    if rows * columns * samples_per_pixel > MAX_SAMPLES:
        raise NotRenderable(f"A frame of {rows} x {columns} pixels is too large to be rendered.")


def _samples_of(photometric: str) -> int:
    """Return the samples per pixel of a photometric interpretation."""
    return 3 if photometric.startswith("YBR") else _SAMPLES.get(photometric, 1)


def _depth(dataset: Dataset, pixel_tag: str) -> tuple[int, int, int]:
    """Return Bits Allocated, Bits Stored and High Bit, corrected to fit each other."""
    if pixel_tag == tags.FLOAT_PIXEL_DATA:
        return 32, 32, 31
    if pixel_tag == tags.DOUBLE_FLOAT_PIXEL_DATA:
        return 64, 64, 63
    allocated = integer(dataset, tags.BITS_ALLOCATED) or 8
    if not 1 <= allocated <= 64:
        raise NotRenderable(f"Bits Allocated of {allocated} cannot be decoded.")
    stored = integer(dataset, tags.BITS_STORED) or allocated
    stored = stored if 1 <= stored <= allocated else allocated
    high_bit = integer(dataset, tags.HIGH_BIT)
    if high_bit is None or not stored - 1 <= high_bit < allocated:
        high_bit = stored - 1
    return allocated, stored, high_bit
