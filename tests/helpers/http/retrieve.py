"""What the tests of retrieval share: requests, and how answers are taken apart."""

import io

import httpx2
import pydicom
from pydicom.encaps import generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
)

from tests.helpers import samples, wire

ANY_DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# What OHIF sends for every frame.
ANY_FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
NATIVE = f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"


def get(client: httpx2.Client, path: str, accept: str | None = None, **headers: str):
    """GET below the DICOMweb root."""
    if accept is not None:
        headers["Accept"] = accept
    return client.get(wire.DICOMWEB + path, headers=headers)


def bodies(client: httpx2.Client, path: str, accept: str | None = None) -> list[bytes]:
    """The bodies of the parts of a multipart answer."""
    answer = get(client, path, accept)
    assert answer.status_code == 200, answer.text
    return [body for _, body in wire.parts(answer)]


def series_path(study: str, series: int = 1) -> str:
    return f"/studies/{samples.study_uid(study)}/series/{samples.series_uid(study, series)}"


def frames_of(content: bytes) -> list[bytes]:
    """The encapsulated frames of a file, by pydicom."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    count = int(dataset.get("NumberOfFrames", 1))
    return list(generate_frames(dataset.PixelData, number_of_frames=count))
