"""Datasets and frames for the tests of pixels, made with pydicom and read by our own parser."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from lenticular.dicom.read.part10 import parse
from lenticular.pixels.codecs.decode import DecodedFrame, decode
from lenticular.pixels.dataset_values import BulkReader
from lenticular.pixels.functional_groups import frame_attributes
from lenticular.pixels.image_pixel import describe
from lenticular.pixels.presentation.grey import present
from lenticular.pixels.render_options import Window

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE = {IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED}


def us(*values: int) -> dict[str, Any]:
    """An element of numbers in the DICOM JSON Model."""
    return {"vr": "US", "Value": list(values)}


def image(rows: int, columns: int, **attributes: Any) -> dict[str, Any]:
    """The Image Pixel Module of a grey image, in the DICOM JSON Model."""
    base = Dataset()
    values = {
        "Rows": rows, "Columns": columns, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "PixelRepresentation": 0,
    }  # fmt: skip
    for keyword, value in (values | attributes).items():
        setattr(base, keyword, value)
    base.BitsStored = attributes.get("BitsStored", base.BitsAllocated)
    base.HighBit = attributes.get("HighBit", base.BitsStored - 1)
    base.set_original_encoding(False, True)
    return base.to_json_dict()


def like(samples: NDArray[Any], **attributes: Any) -> dict[str, Any]:
    """The Image Pixel Module that describes these samples."""
    depth = samples.shape[2] if samples.ndim == 3 else 1
    described = {
        "BitsAllocated": samples.dtype.itemsize * 8,
        "SamplesPerPixel": depth,
        "PixelRepresentation": int(samples.dtype.kind == "i"),
        "PhotometricInterpretation": "RGB" if depth == 3 else "MONOCHROME2",
    }
    return image(*samples.shape[:2], **(described | attributes))


def decoded(frame: bytes, dataset: dict[str, Any], syntax: str = EXPLICIT) -> DecodedFrame:
    """Decode the frame as the dataset describes it."""
    return decode(frame, syntax, describe(dataset))


def no_bulk(path: str) -> bytes:
    """A reader for datasets that refer to nothing."""
    raise AssertionError(path)


def shown(
    samples: NDArray[Any], dataset: dict[str, Any], window: Window | None = None
) -> NDArray[Any]:
    """The picture of native samples."""
    frame = decoded(samples.tobytes(), dataset)
    return present(frame, frame_attributes(dataset, 0), no_bulk, window)


def parsed(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """Dataset, transfer syntax and the first frame of a file, little-endian when native."""
    head = parse(path.read_bytes())
    assert head.layout.pixels is not None
    return head.dataset, head.transfer_syntax_uid, first_frame(path, head.transfer_syntax_uid)


def bulk_of(path: Path) -> BulkReader:
    """A reader of what the dataset of a file refers to."""
    content = path.read_bytes()
    head = parse(content)

    def read(place: str) -> bytes:
        offset, length, _ = head.layout.bulkdata[place]
        value = content[offset : offset + length]
        big = head.transfer_syntax_uid == BIG_ENDIAN
        return np.frombuffer(value, ">u2").astype("<u2").tobytes() if big else value

    return read


def first_frame(path: Path, syntax: str) -> bytes:
    """The bytes of the first frame, by pydicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        data = dataset.PixelData
    if syntax not in NATIVE:
        count = int(dataset.get("NumberOfFrames") or 1)
        return next(generate_frames(data, number_of_frames=count))
    if syntax == BIG_ENDIAN:
        wide = dataset.BitsAllocated // 8 if dataset.BitsAllocated > 8 else 1
        if dataset["PixelData"].VR == "OW":
            wide = max(wide, 2)
        data = np.frombuffer(data[: len(data) // wide * wide], f">u{wide}").astype(f"<u{wide}")
        data = data.tobytes()
    return data
