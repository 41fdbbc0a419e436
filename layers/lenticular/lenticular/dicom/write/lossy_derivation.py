"""Attributes of an instance after lossy compression, PS3.3 C.7.6.1.1.5.

It is then another instance: it has a SOP Instance UID of its own and names its source (C.12.4).
"""

import hashlib

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from lenticular.dicom.transfer_syntaxes import lookup


def mark_lossy(
    dataset: Dataset, sop_class_uid: str, transfer_syntax_uid: str, method: str, ratio: float
) -> None:
    """Make the dataset that of an image after lossy compression by this method and ratio."""
    source = Dataset()
    source.ReferencedSOPClassUID = sop_class_uid
    source.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SourceImageSequence = Sequence([source])
    dataset.SOPInstanceUID = derived_uid(dataset.SOPInstanceUID, transfer_syntax_uid)
    dataset.ImageType = ["DERIVED", *(_values(dataset, "ImageType")[1:] or ["PRIMARY"])]
    dataset.DerivationDescription = f"Lossy compression: {lookup(transfer_syntax_uid).name}"
    dataset.LossyImageCompression = "01"
    # Earlier lossy compression stays recorded.
    ratios = _values(dataset, "LossyImageCompressionRatio")
    methods = _values(dataset, "LossyImageCompressionMethod")
    dataset.LossyImageCompressionRatio = [*ratios, f"{ratio:.6g}"]
    dataset.LossyImageCompressionMethod = [*methods, method]


def derived_uid(sop_instance_uid: str, transfer_syntax_uid: str) -> str:
    """Return the SOP Instance UID of the lossy version, always the same one (PS3.5 B.2)."""
    digest = hashlib.sha256(f"{sop_instance_uid} {transfer_syntax_uid}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16])}"


def _values(dataset: Dataset, keyword: str) -> list[str]:
    """Return the values of an attribute of several texts."""
    value = dataset.get(keyword)
    if value in (None, ""):
        return []
    return [str(value)] if isinstance(value, str | float) else [str(each) for each in value]
