"""Instances that a verification stores: secondary captures of a patient who does not exist."""

import io
import secrets
from dataclasses import dataclass
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.write.part10_file import write_file

PATIENT_ID = "LENTICULAR-VERIFY"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_NOISE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class SampleInstance:
    """An instance in a study and a series of its own, and its file."""

    study: str
    series: str
    instance: str
    content: bytes
    pixels: bytes

    @property
    def path(self) -> str:
        """The path of the instance in DICOMweb."""
        return f"{self.study_path}/series/{self.series}/instances/{self.instance}"

    @property
    def study_path(self) -> str:
        """The path of its study in DICOMweb."""
        return f"/dicom-web/studies/{self.study}"


def sample_instance(rows: int) -> SampleInstance:
    """Return a square image with 16 bits a pixel, with new UIDs."""
    study, series, instance = (new_uid() for _ in range(3))
    size = rows * rows * 2
    noise = secrets.token_bytes(min(size, _NOISE_BYTES))
    pixels = (noise * (size // len(noise) + 1))[:size]
    file = io.BytesIO()
    dataset = _dataset(rows, study, series, instance)
    write_file(file.write, dataset, {"pixels": io.BytesIO(pixels)}, _EXPLICIT_VR_LITTLE_ENDIAN)
    return SampleInstance(study, series, instance, file.getvalue(), pixels)


def new_uid() -> str:
    """Return a new UID (PS3.5 B.2)."""
    return f"2.25.{secrets.randbits(122)}"


def _dataset(rows: int, study: str, series: str, instance: str) -> dict[str, Any]:
    values: dict[str, tuple[str, Any]] = {
        tags.SOP_CLASS_UID: ("UI", _SECONDARY_CAPTURE),
        tags.SOP_INSTANCE_UID: ("UI", instance),
        tags.MODALITY: ("CS", "OT"),
        tags.STUDY_DESCRIPTION: ("LO", "Lenticular verify, may be deleted"),
        tags.PATIENT_NAME: ("PN", {"Alphabetic": "Verify^Lenticular"}),
        tags.PATIENT_ID: ("LO", PATIENT_ID),
        tags.STUDY_INSTANCE_UID: ("UI", study),
        tags.SERIES_INSTANCE_UID: ("UI", series),
        tags.SAMPLES_PER_PIXEL: ("US", 1),
        tags.PHOTOMETRIC_INTERPRETATION: ("CS", "MONOCHROME2"),
        tags.ROWS: ("US", rows),
        tags.COLUMNS: ("US", rows),
        tags.BITS_ALLOCATED: ("US", 16),
        tags.BITS_STORED: ("US", 16),
        tags.HIGH_BIT: ("US", 15),
        tags.PIXEL_REPRESENTATION: ("US", 0),
    }
    dataset: dict[str, Any] = {
        tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in values.items()
    }
    dataset[tags.PIXEL_DATA] = {"vr": "OW", "BulkDataURI": "pixels"}
    return dataset
