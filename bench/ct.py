"""Datasets as a CT scanner writes them, made of nothing but a seed (PS3.3 A.3).

The big ones carry what the head of a real CT carries: some 250 elements, standard and private,
with sequences, and pixels whose noise compresses as badly as that of a patient.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SIZE = 512

PATIENT: dict[str, Any] = {
    "PatientBirthDate": "19620214",
    "PatientSex": "F",
    "PatientAge": "061Y",
    "PatientSize": "1.68",
    "PatientWeight": "70.5",
    "EthnicGroup": "",
    "PatientComments": "",
    "AdditionalPatientHistory": "Follow-up, no contrast reaction known",
    "PregnancyStatus": 4,
    "PatientPosition": "HFS",
}
STUDY: dict[str, Any] = {
    "StudyTime": "101500.000000",
    "SeriesTime": "101612.140000",
    "AcquisitionDate": "20200101",
    "AcquisitionTime": "101615.250000",
    "ContentDate": "20200101",
    "ContentTime": "101616.750000",
    "StudyDescription": "CT Abdomen and pelvis",
    "StudyID": "4711",
    "ReferringPhysicianName": "Referring^Doctor",
    "NameOfPhysiciansReadingStudy": "Reading^Doctor",
    "PerformingPhysicianName": "Performing^Doctor",
    "OperatorsName": "Operator^One",
    "SeriesDescription": "Abdomen 1.25 mm soft tissue",
    "BodyPartExamined": "ABDOMEN",
    "ProtocolName": "6.1 Abdomen routine",
    "PerformedProcedureStepStartDate": "20200101",
    "PerformedProcedureStepStartTime": "101500.000000",
    "PerformedProcedureStepID": "PPS0001",
    "PerformedProcedureStepDescription": "CT Abdomen",
    "FrameOfReferenceUID": "1.2.826.0.1.3680043.8.498.42.9.1",
    "PositionReferenceIndicator": "XY",
    "AcquisitionNumber": "1",
    "TemporalPositionIdentifier": "1",
    "NumberOfTemporalPositions": "1",
}
EQUIPMENT: dict[str, Any] = {
    "Manufacturer": "Lenticular",
    "InstitutionName": "Hospital of the Measurements",
    "InstitutionAddress": "1 Long Corridor, Some Town",
    "InstitutionalDepartmentName": "Radiology",
    "StationName": "CT01",
    "ManufacturerModelName": "Bench 64",
    "DeviceSerialNumber": "000042",
    "SoftwareVersions": ["07.02.1", "gmp_vct.42"],
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "ScanOptions": "HELICAL MODE",
    "SliceThickness": "1.25",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "ReconstructionDiameter": "360",
    "DistanceSourceToDetector": "949.075",
    "DistanceSourceToPatient": "541",
    "GantryDetectorTilt": "0",
    "TableHeight": "157.5",
    "RotationDirection": "CW",
    "ExposureTime": "600",
    "XRayTubeCurrent": "320",
    "Exposure": "192",
    "FilterType": "BODY FILTER",
    "GeneratorPower": "38400",
    "FocalSpots": "1.2",
    "DateOfLastCalibration": "20191230",
    "TimeOfLastCalibration": "063000",
    "ConvolutionKernel": "STANDARD",
    "RevolutionTime": 0.6,
    "SingleCollimationWidth": 0.625,
    "TotalCollimationWidth": 40.0,
    "TableSpeed": 91.6,
    "TableFeedPerRotation": 55.0,
    "SpiralPitchFactor": 1.375,
    "ExposureModulationType": "XYZ_EC",
    "EstimatedDoseSaving": 12.5,
    "CTDIvol": 9.83,
    "ContrastBolusAgent": "IV",
    "ContrastBolusRoute": "Intravenous",
    "ContrastBolusVolume": "90",
}
IMAGE: dict[str, Any] = {
    "ImagePositionPatient": ["-180.0", "-180.0", "42.5"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "SliceLocation": "42.5",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 1,
    "PixelSpacing": ["0.703125", "0.703125"],
    "BurnedInAnnotation": "NO",
    "LossyImageCompression": "00",
    "WindowCenter": ["40", "450"],
    "WindowWidth": ["400", "1500"],
    "WindowCenterWidthExplanation": ["SOFT", "BONE"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
    "RescaleType": "HU",
}


def picture(values: dict[str, str], seed: int, elements: int) -> Dataset:
    """A CT image of 512 by 512 pixels; private elements fill it up to so many elements."""
    dataset = _base(values)
    for module in (STUDY, EQUIPMENT, IMAGE, PATIENT):
        for keyword, value in module.items():
            setattr(dataset, keyword, value)
    _add_sequences(dataset)
    _add_private(dataset, elements - len(dataset) - 3, seed)
    dataset.Rows, dataset.Columns = SIZE, SIZE
    dataset.PixelData = slice_of_a_body(seed).tobytes()
    return dataset


def tiny(values: dict[str, str]) -> Dataset:
    """An image of 8 by 8 pixels with the attributes that a search knows and few more."""
    dataset = _base(values)
    dataset.StudyTime = "101500"
    dataset.StudyDescription = "CT Abdomen and pelvis"
    dataset.SeriesDescription = "Abdomen"
    dataset.ReferringPhysicianName = "Referring^Doctor"
    dataset.BodyPartExamined = "ABDOMEN"
    dataset.StudyID = "4711"
    dataset.PatientBirthDate, dataset.PatientSex = "19620214", "F"
    for keyword, value in IMAGE.items():
        setattr(dataset, keyword, value)
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.Rows, dataset.Columns = 8, 8
    dataset.PixelData = bytes(range(64))
    return dataset


def slice_of_a_body(seed: int) -> NDArray[np.int16]:
    """An ellipse of tissue with organs and bones in air, with the noise of a scanner."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:512j, -1:1:512j]
    image = np.full((SIZE, SIZE), -1000.0)
    image[(x / 0.85) ** 2 + (y / 0.6) ** 2 < 1] = -90
    image[(x / 0.78) ** 2 + (y / 0.53) ** 2 < 1] = 45
    for _ in range(12):
        center_x, center_y = random.uniform(-0.5, 0.5), random.uniform(-0.35, 0.35)
        radius, value = random.uniform(0.04, 0.16), random.choice([-60, 20, 110, 160, 700])
        image[(x - center_x) ** 2 + (y - center_y) ** 2 < radius**2] = value
    image += random.normal(0, 14, image.shape)
    stored: NDArray[np.int16] = (np.clip(image, -1024, 3071) + 1024).astype(np.int16)
    return stored


def _base(values: dict[str, str]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = CTImageStorage
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _add_sequences(dataset: Dataset) -> None:
    request = Dataset()
    request.ScheduledProcedureStepDescription = "CT Abdomen"
    request.ScheduledProcedureStepID = "SPS0001"
    request.RequestedProcedureID = "RP0001"
    request.ScheduledProtocolCodeSequence = Sequence([_code("CTABD", "99LOCAL", "CT Abdomen")])
    dataset.RequestAttributesSequence = Sequence([request])
    dataset.ProcedureCodeSequence = Sequence([_code("CTABDPEL", "99LOCAL", "CT Abdomen, pelvis")])
    dataset.AnatomicRegionSequence = Sequence([_code("818981001", "SCT", "Abdomen")])
    references = []
    for number in range(3):
        reference = Dataset()
        reference.ReferencedSOPClassUID = CTImageStorage
        reference.ReferencedSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.42.8.{number}"
        references.append(reference)
    dataset.ReferencedImageSequence = Sequence(references)


def _add_private(dataset: Dataset, count: int, seed: int) -> None:
    """Private elements as scanners write them: many short numbers, some text, some bytes."""
    kinds: list[tuple[str, Any]] = [
        ("DS", "12.3456"),
        ("SL", 4711),
        ("SH", "HEAD SFOV"),
        ("IS", "42"),
        ("FL", 3.25),
        ("US", 7),
        ("LO", "NOTHING TO SEE"),
        ("SS", -3),
        ("FD", [0.5, 1.25, 2.125]),
        ("OB", bytes(range(16))),
    ]
    groups = (0x0009, 0x0019, 0x0021, 0x0023, 0x0027, 0x0043, 0x0045)
    if count < len(groups):
        return
    per_group, extra = divmod(count - len(groups), len(groups))
    for index, group in enumerate(groups):
        block = dataset.private_block(group, "LENTICULAR_BENCH_01", create=True)
        for number in range(per_group + (index < extra)):
            vr, value = kinds[(number + index + seed) % len(kinds)]
            block.add_new(number, vr, value)
