"""The few files that the machine knows: a small world, so that its operations meet each other."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from lenticular.dicom.model import Target
from tests.helpers import samples

VERSIONS = 3
"""Version 1 has other bytes; version 2 also says other things of its patient, study and series."""


@dataclass(frozen=True)
class Content:
    """A file: which instance it is, and which bytes of it."""

    study: int = 0
    series: int = 0
    instance: int = 0
    version: int = 0

    @cached_property
    def data(self) -> bytes:
        """The file."""
        return _encode(self)

    @cached_property
    def sha256(self) -> bytes:
        """The digest of the file."""
        return hashlib.sha256(self.data).digest()

    @cached_property
    def target(self) -> Target:
        """Where it belongs."""
        labels = self.study, self.series, self.instance
        uids = samples.study_uid(labels[0]), samples.series_uid(*labels[:2])
        return Target(*uids, samples.sop_uid(*labels))


@dataclass(frozen=True)
class Junk:
    """A file that is no DICOM file."""

    number: int = 0

    @property
    def data(self) -> bytes:
        """The file."""
        return f"This is not a DICOM file: {self.number}".encode()

    @property
    def sha256(self) -> bytes:
        """The digest of the file."""
        return hashlib.sha256(self.data).digest()


@cache
def _encode(content: Content) -> bytes:
    other: dict[str, Any] = {
        "PatientID": "Another",
        "PatientName": "Another^Person",
        "StudyDescription": "Another study",
        "SeriesDescription": f"Another series {content.instance}",
        "Modality": "MR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
    }
    attributes = {
        "PatientID": f"P{content.study // 2}",
        "StudyDescription": f"By {content.instance}",
        "ImageComments": f"Version {content.version}",
        **(other if content.version == 2 else {}),
    }
    labels = content.study, content.series, content.instance
    return samples.encode(samples.dataset(*labels, **attributes))


def file_of(items: Sequence[Content | Junk]) -> bytes:
    """One file as it is, several as a zip whose entries are named by their numbers."""
    if len(items) == 1:
        return items[0].data
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, item in enumerate(items):
            archive.writestr(zipfile.ZipInfo(str(number)), item.data)
    return buffer.getvalue()


def key_of(content: Content) -> str:
    """A key as the files of instances have it."""
    study, series = content.target.study_instance_uid, content.target.series_instance_uid
    name = f"{content.target.sop_instance_uid}-{content.sha256.hex()[:16]}-00000000.dcm"
    return f"instances/000/{study}/{series}/{name}"
