"""Instances that are shown otherwise than as a picture: reports, waveforms, videos."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG4HP41,
    ComprehensiveSRStorage,
    TwelveLeadECGWaveformStorage,
    VideoPhotographicImageStorage,
)

from tests.helpers import samples


def item(**attributes: Any) -> Dataset:
    """A sequence item."""
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def code(meaning: str, value: str = "1", scheme: str = "99TEST") -> Sequence:
    """A code sequence of one item."""
    return Sequence([item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)])


def content(relationship: str, value_type: str, name: str, **attributes: Any) -> Dataset:
    """A content item of a report."""
    return item(
        RelationshipType=relationship, ValueType=value_type,
        ConceptNameCodeSequence=code(name), **attributes,
    )  # fmt: skip


def report(study: samples.Label, *children: Dataset, image: samples.Label = "shown") -> bytes:
    """A structured report with this content, its evidence an image of another study."""
    sop = item(ReferencedSOPClassUID=samples.CT_IMAGE_STORAGE,
               ReferencedSOPInstanceUID=samples.sop_uid(image))  # fmt: skip
    series = item(SeriesInstanceUID=samples.series_uid(image),
                  ReferencedSOPSequence=Sequence([sop]))  # fmt: skip
    evidence = item(StudyInstanceUID=samples.study_uid(image),
                    ReferencedSeriesSequence=Sequence([series]))  # fmt: skip
    base = samples.dataset(study, SOPClassUID=ComprehensiveSRStorage, Modality="SR")
    base.ValueType, base.ConceptNameCodeSequence = "CONTAINER", code("Chest report")
    base.CurrentRequestedProcedureEvidenceSequence = Sequence([evidence])
    base.ContentSequence = Sequence(children)
    return samples.encode(base)


def waveform(
    study: samples.Label, values: np.ndarray, *, frequency: float = 100, unit: str = "uV"
) -> bytes:
    """An ECG of these values, a row for each moment and a column for each lead."""
    channels = [
        item(ChannelLabel=f"Lead {number}", ChannelSensitivity="1", ChannelBaseline="0",
             ChannelSensitivityCorrectionFactor="1", WaveformBitsStored=16,
             ChannelSensitivityUnitsSequence=code(unit, unit, "UCUM"))
        for number in range(values.shape[1])
    ]  # fmt: skip
    group = item(
        WaveformOriginality="ORIGINAL", NumberOfWaveformChannels=values.shape[1],
        NumberOfWaveformSamples=len(values), SamplingFrequency=frequency,
        ChannelDefinitionSequence=Sequence(channels), WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
    )  # fmt: skip
    group.add_new("WaveformData", "OW", values.astype("<i2").tobytes())
    base = samples.dataset(study, SOPClassUID=TwelveLeadECGWaveformStorage, Modality="ECG")
    base.WaveformSequence = Sequence([group])
    return samples.encode(base)


def video(study: samples.Label, stream: bytes) -> bytes:
    """A video whose stream nobody looks into."""
    base = samples.dataset(study, SOPClassUID=VideoPhotographicImageStorage, Modality="XC")
    samples.with_pixels(base, np.zeros((1, 8, 8, 3), np.uint8), photometric="YBR_PARTIAL_420")
    base.PixelData = encapsulate([stream])
    base["PixelData"].VR = "OB"
    return samples.encode(base, MPEG4HP41)
