"""The instances that the suite stores: small, with known values, and with new UIDs in each run."""

import io
from copy import deepcopy
from functools import cache

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

SIDE = 16
# Large enough that no service sends it within the metadata.
PDF = b"%PDF-1.4\n%" + b"a comment " * 2000 + b"\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@cache
def run() -> str:
    """Return the text with which all identifiers of this run begin."""
    return generate_uid().split(".")[-1][-10:]


@cache
def uid(*labels: str | int) -> UID:
    """Return the UID for these labels in this run."""
    return generate_uid(entropy_srcs=[run(), *map(str, labels)])


def patient_id(study: str) -> str:
    """Return the Patient ID of a study."""
    return f"CONF-{run()}-{study}"


def encoded(dataset: Dataset) -> bytes:
    """Return the Part 10 file of a dataset."""
    buffer = io.BytesIO()
    # A copy, so that reading the dataset later does not depend on how it was written.
    deepcopy(dataset).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def instance(study: str, series: int, number: int) -> Dataset:
    """Return a dataset with the attributes of every instance."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.StudyDate = {"A": "20200131", "B": "20200229"}.get(study, "20210501")
    dataset.StudyTime = {"A": "101500", "B": "235959.5"}.get(study, "120000")
    if study == "B":
        dataset.TimezoneOffsetFromUTC = "+0100"
    dataset.AccessionNumber = f"ACC{run()[-6:]}{study}"
    dataset.Modality = "OT"
    dataset.StudyDescription = f"Conformance {study}"
    dataset.ReferringPhysicianName = "Referrer^Rita"
    dataset.PatientName = {"A": "Conformance^Anna", "B": "Conformancé^Björn=山田^太郎"}.get(
        study, "Conformance^Other"
    )
    dataset.PatientID = patient_id(study)
    dataset.PatientBirthDate = "19700101" if study == "A" else ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = uid(study)
    dataset.SeriesInstanceUID = uid(study, series)
    dataset.StudyID = "1"
    dataset.SeriesNumber = series
    dataset.InstanceNumber = number
    dataset.SOPInstanceUID = uid(study, series, number)
    return dataset


def ct(study: str = "A", series: int = 1, number: int = 1) -> Dataset:
    """Return a CT image of 16 bits, whose pixels count upwards, so that each frame is different."""
    dataset = instance(study, series, number)
    dataset.SOPClassUID = CTImageStorage
    dataset.Modality = "CT"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.RescaleIntercept, dataset.RescaleSlope = -1024, 1
    dataset.WindowCenter, dataset.WindowWidth = 40, 400
    dataset.SliceThickness = None
    procedure = Dataset()
    procedure.ScheduledProcedureStepID = f"SPS{run()[-6:]}"
    dataset.RequestAttributesSequence = Sequence([procedure])
    values = ((number * 1000 + index) % 4096 for index in range(SIDE * SIDE))
    _pixels(dataset, b"".join(value.to_bytes(2, "little") for value in values), bits=16)
    return dataset


def frames(study: str = "A", count: int = 4) -> Dataset:
    """Return a true-colour image of several frames; all values of frame n are n."""
    dataset = instance(study, 2, 1)
    dataset.SOPClassUID = MultiFrameTrueColorSecondaryCaptureImageStorage
    dataset.NumberOfFrames = count
    data = b"".join(bytes([number + 1]) * SIDE * SIDE * 3 for number in range(count))
    _pixels(dataset, data, bits=8, samples=3)
    dataset.PlanarConfiguration = 0
    return dataset


def compressed(study: str = "B") -> Dataset:
    """Return an image in RLE Lossless (PS3.5 8.2.2), one segment of literal runs."""
    dataset = instance(study, 3, 1)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    _pixels(dataset, b"", bits=8)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    row = bytes([SIDE - 1]) + bytes(range(SIDE))
    header = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56)
    dataset.PixelData = encapsulate([header + row * SIDE])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    return dataset


def document(study: str = "B") -> Dataset:
    """Return an encapsulated PDF."""
    dataset = instance(study, 4, 1)
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.Modality = "DOC"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(PDF)
    dataset.EncapsulatedDocument = PDF + b"\0" * (len(PDF) % 2)
    return dataset


def presentation_state(study: str = "B") -> Dataset:
    """Return a greyscale presentation state that inverts the CT of its study (PS3.3 A.33.1)."""
    dataset = instance(study, 5, 1)
    dataset.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
    dataset.Modality = "PR"
    dataset.ContentLabel, dataset.PresentationLUTShape = "INVERTED", "INVERSE"
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = "20210501", "120000"
    image, series, area, window = Dataset(), Dataset(), Dataset(), Dataset()
    image.ReferencedSOPClassUID = CTImageStorage
    image.ReferencedSOPInstanceUID = uid(study, 1, 1)
    series.SeriesInstanceUID = uid(study, 1)
    series.ReferencedImageSequence = Sequence([image])
    dataset.ReferencedSeriesSequence = Sequence([series])
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [SIDE, SIDE]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    dataset.DisplayedAreaSelectionSequence = Sequence([area])
    window.WindowCenter, window.WindowWidth = 1128, 256
    dataset.SoftcopyVOILUTSequence = Sequence([window])
    return dataset


def implicit(study: str = "I") -> Dataset:
    """Return a CT image in Implicit VR Little Endian, not used in web services (PS3.18 8.7.3)."""
    dataset = ct(study)
    dataset.PatientID = "IMPLICIT"  # a patient whom no search counts
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    return dataset


def big_endian(study: str = "E") -> Dataset:
    """Return a CT image in Explicit VR Big Endian, not used in web services (PS3.18 8.7.3)."""
    dataset = ct(study)
    dataset.PatientID = "BIGENDIAN"  # a patient whom no search counts
    pixels = bytearray(dataset.PixelData)
    pixels[::2], pixels[1::2] = pixels[1::2], pixels[::2]
    dataset.PixelData = bytes(pixels)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    return dataset


def values(study: str = "V") -> Dataset:
    """Return a secondary capture with an attribute of each VR, in a study of its own."""
    dataset = instance(study, 1, 1)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.PatientID = "VALUES"  # a patient whom no search counts
    _pixels(dataset, bytes(SIDE * SIDE), bits=8)
    for keyword, value in VALUES.items():
        setattr(dataset, keyword, value)
    block = dataset.private_block(0x0011, "CONFORMANCE", create=True)
    block.add_new(0x01, "SH", "private")
    return dataset


VALUES = {
    "RetrieveAETitle": ["ONE", "TWO"],  # AE
    "PatientAge": "042Y",  # AS
    "FrameIncrementPointer": 0x00181063,  # AT
    "ConversionType": "WSD",  # CS
    "ContentDate": "20210501",  # DA
    "PatientWeight": "72.5",  # DS
    "AcquisitionDateTime": "20210501101500.5",  # DT
    "ExaminedBodyThickness": 1.5,  # FL
    "RealWorldValueFirstValueMapped": 3,  # US
    "RecommendedDisplayFrameRateInFloat": 12.5,  # FL
    "SliceProgressionDirection": "APEX_TO_BASE",  # CS
    "StageNumber": "7",  # IS
    "InstitutionName": "Hôpital",  # LO
    "AdditionalPatientHistory": "line one\r\nline two",  # LT
    "OperatorsName": ["Doe^Jane", "Roe^Rick"],  # PN
    "StationName": "ROOM 1",  # SH
    "ReferencePixelX0": -12,  # SL
    "TagAngleSecondAxis": -3,  # SS
    "InstitutionAddress": "Street 1",  # ST
    "ContentTime": "101500.25",  # TM
    "LongCodeValue": "x" * 20,  # UC
    "SOPClassesInStudy": ["1.2.3", "1.2.4"],  # UI
    "RegionFlags": 4,  # UL
    "RetrieveURL": "http://example.org/a?b=c",  # UR
    "ReferencedFrameNumber": ["1", "2", "3"],  # IS
    "TextValue": "unlimited",  # UT
    "StudyComments": "",  # LT, empty
}
"""Keywords and values of `values`, by which each value representation is looked at."""


def report(study: str = "R") -> Dataset:
    """Return a structured report of one sentence."""
    dataset = instance(study, 1, 1)
    dataset.SOPClassUID = BasicTextSRStorage
    dataset.PatientID = "REPORT"  # a patient whom no search counts
    dataset.Modality = "SR"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    finding = Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "TEXT"
    finding.ConceptNameCodeSequence = Sequence([_code("121071", "Finding")])
    finding.TextValue = "Conformance finding"
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = Sequence([_code("121070", "Findings")])
    dataset.ContentSequence = Sequence([finding])
    return dataset


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def collection() -> list[Dataset]:
    """Return the two studies that are stored before the first test."""
    scans = [ct("A", 1, number) for number in (1, 2, 3)]
    others = [ct("B", 1, 1), compressed("B"), document("B"), presentation_state("B")]
    return [*scans, frames("A"), *others]


def _pixels(dataset: Dataset, data: bytes, bits: int, samples: int = 1) -> None:
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = data
    dataset["PixelData"].VR = "OW" if bits == 16 else "OB"
