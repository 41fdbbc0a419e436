"""A file in JPEG 2000."""

import io

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from tests.helpers import samples


def jpeg_2000(study: str, instance: int, frames: int = 1, broken: tuple[int, ...] = ()) -> bytes:
    """An image of JPEG 2000 some of whose frames are damaged behind their first bytes."""
    whole = pydicom.dcmread(io.BytesIO(samples.jpeg_2000(study, frames=frames)))
    whole.SOPInstanceUID = samples.sop_uid(study, 1, instance)
    whole.InstanceNumber = instance
    streams = list(pydicom.encaps.generate_frames(whole.PixelData, number_of_frames=frames))
    for number in broken:
        stream = streams[number - 1]
        streams[number - 1] = stream[:4] + b"\xa5" * (len(stream) - 4)
    whole.PixelData = encapsulate(streams)
    whole.file_meta = FileMetaDataset()
    return samples.encode(whole, JPEG2000Lossless)
