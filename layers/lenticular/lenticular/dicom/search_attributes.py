"""The attributes of the index: their level, how they match, and whether they are returned.

PS3.18 Tables 10.6.1-5 (matching) and 10.6.3-3 to 10.6.3-5 (responses), the modules of PS3.3 C.7 for
the level of an attribute, and other attributes that people search for. VRs, tags and multiplicities
come from the dictionary of the standard; a matching column has the keyword's name in snake case.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, lru_cache

from lenticular.dicom import pydicom_tables
from lenticular.dicom.model import Level


class MatchingKind(Enum):
    """The ways in which values of an attribute are compared."""

    TEXT = auto()
    TEXTS = auto()  # several values, or several groups of a name: any of them may match
    NAME = auto()  # a person's name with a column for each of its three groups
    UID = auto()
    UIDS = auto()
    DATE = auto()
    TIME = auto()
    DATETIME = auto()
    NUMBER = auto()
    DECIMAL = auto()  # any number, written in one way


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute with a matching column. `path` has two tags for one inside a sequence."""

    path: tuple[str, ...]
    vr: str
    level: Level
    kind: MatchingKind
    column: str

    @property
    def tag(self) -> str:
        """The tag under which its value is in a dataset."""
        return self.path[0]

    @property
    def has_several(self) -> bool:
        """True if each of its values is compared, not only the first."""
        return self.kind in (MatchingKind.TEXTS, MatchingKind.UIDS)


# Keywords with a matching column. The level is the one that stores the value: a study has its own
# patient attributes, because a PatientID is unique only for its issuer.
_SEARCHED = {
    Level.STUDY: """
        PatientName PatientID IssuerOfPatientID PatientBirthDate PatientSex OtherPatientIDs
        PatientAge EthnicGroup StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID
        StudyDescription ReferringPhysicianName NameOfPhysiciansReadingStudy
        PhysiciansOfRecord RequestingPhysician RequestingService AdmissionID
        AdmittingDiagnosesDescription InstitutionName ModalitiesInStudy SOPClassesInStudy
        NumberOfStudyRelatedSeries NumberOfStudyRelatedInstances
    """,
    Level.SERIES: """
        SeriesInstanceUID SeriesNumber Modality SeriesDescription SeriesDate SeriesTime
        BodyPartExamined Laterality ProtocolName PerformingPhysicianName OperatorsName
        InstitutionalDepartmentName StationName Manufacturer
        ManufacturerModelName DeviceSerialNumber FrameOfReferenceUID
        PerformedProcedureStepStartDate PerformedProcedureStepStartTime
        PerformedProcedureStepID PerformedProcedureStepDescription PresentationIntentType
        RequestAttributesSequence.ScheduledProcedureStepID
        RequestAttributesSequence.RequestedProcedureID NumberOfSeriesRelatedInstances
    """,
    Level.INSTANCE: """
        SOPInstanceUID SOPClassUID InstanceNumber ContentDate ContentTime AcquisitionDate
        AcquisitionTime AcquisitionDateTime AcquisitionNumber NumberOfFrames Rows Columns
        BitsAllocated ImageType AvailableTransferSyntaxUID
    """,
}

# Returned without being asked for; those marked so (type 2) also without a value, as an empty
# attribute. Computed ones (counts, RetrieveURL, ModalitiesInStudy, …) are added by the search.
_ANSWERED = {
    Level.STUDY: """
        SpecificCharacterSet StudyDate! StudyTime! AccessionNumber! ReferringPhysicianName!
        TimezoneOffsetFromUTC PatientName! PatientID! PatientBirthDate! PatientSex!
        StudyInstanceUID! StudyID! StudyDescription
    """,
    Level.SERIES: """
        SpecificCharacterSet Modality! TimezoneOffsetFromUTC SeriesDescription
        SeriesInstanceUID! SeriesNumber! PerformedProcedureStepStartDate
        PerformedProcedureStepStartTime RequestAttributesSequence
    """,
    Level.INSTANCE: """
        SpecificCharacterSet SOPClassUID! SOPInstanceUID! TimezoneOffsetFromUTC InstanceNumber!
        Rows Columns BitsAllocated NumberOfFrames
    """,
}

# Other attributes of a level, stored to be returned when `includefield` asks for them.
_PATIENT = """
    PatientName PatientID IssuerOfPatientID IssuerOfPatientIDQualifiersSequence TypeOfPatientID
    PatientBirthDate PatientBirthTime PatientBirthDateInAlternativeCalendar
    PatientDeathDateInAlternativeCalendar PatientAlternativeCalendar PatientSex OtherPatientIDs
    OtherPatientIDsSequence OtherPatientNames PatientBirthName PatientMotherBirthName
    EthnicGroup EthnicGroupCodeSequence PatientComments PatientSpeciesDescription
    PatientSpeciesCodeSequence PatientBreedDescription PatientBreedCodeSequence
    BreedRegistrationSequence StrainDescription StrainNomenclature StrainCodeSequence
    ResponsiblePerson ResponsiblePersonRole ResponsibleOrganization PatientIdentityRemoved
    DeidentificationMethod DeidentificationMethodCodeSequence QualityControlSubject
    SourcePatientGroupIdentificationSequence GroupOfPatientsIdentificationSequence
    ReferencedPatientSequence ReferencedPatientPhotoSequence PatientAddress
    PatientTelephoneNumbers CountryOfResidence RegionOfResidence
    ClinicalTrialSponsorName ClinicalTrialProtocolID ClinicalTrialProtocolName
    ClinicalTrialSiteID ClinicalTrialSiteName ClinicalTrialSubjectID
    ClinicalTrialSubjectReadingID
"""
_STUDY = """
    StudyInstanceUID StudyDate StudyTime AccessionNumber IssuerOfAccessionNumberSequence StudyID
    StudyDescription ReferringPhysicianName ReferringPhysicianIdentificationSequence
    ConsultingPhysicianName ConsultingPhysicianIdentificationSequence
    NameOfPhysiciansReadingStudy PhysiciansReadingStudyIdentificationSequence
    PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence RequestingService
    RequestingServiceCodeSequence ReferencedStudySequence ProcedureCodeSequence
    ReasonForPerformedProcedureCodeSequence AdmittingDiagnosesDescription
    AdmittingDiagnosesCodeSequence PatientAge PatientSize PatientSizeCodeSequence PatientWeight
    PatientBodyMassIndex MedicalAlerts Allergies SmokingStatus PregnancyStatus
    LastMenstrualDate PatientState Occupation AdditionalPatientHistory AdmissionID
    IssuerOfAdmissionIDSequence ServiceEpisodeID ServiceEpisodeDescription PatientSexNeutered
    RequestedProcedureDescription RequestedProcedureCodeSequence RequestingPhysician
    CurrentPatientLocation StudyStatusID StudyPriorityID StudyComments
    ClinicalTrialTimePointID ClinicalTrialTimePointDescription StudyIDIssuer InstitutionName
    SpecificCharacterSet TimezoneOffsetFromUTC
"""
_SERIES = """
    SeriesInstanceUID SeriesNumber Modality SeriesDescription SeriesDescriptionCodeSequence
    SeriesDate SeriesTime Laterality BodyPartExamined AnatomicRegionSequence ProtocolName
    PerformingPhysicianName PerformingPhysicianIdentificationSequence OperatorsName
    OperatorIdentificationSequence ReferencedPerformedProcedureStepSequence
    RelatedSeriesSequence PatientPosition SmallestPixelValueInSeries
    LargestPixelValueInSeries RequestAttributesSequence PerformedProcedureStepID
    PerformedProcedureStepStartDate PerformedProcedureStepStartTime
    PerformedProcedureStepEndDate PerformedProcedureStepEndTime
    PerformedProcedureStepDescription PerformedProtocolCodeSequence
    CommentsOnThePerformedProcedureStep AnatomicalOrientationType PresentationIntentType
    TreatmentSessionUID ClinicalTrialCoordinatingCenterName ClinicalTrialSeriesID
    ClinicalTrialSeriesDescription FrameOfReferenceUID PositionReferenceIndicator
    SynchronizationFrameOfReferenceUID Manufacturer InstitutionAddress
    InstitutionalDepartmentName StationName ManufacturerModelName DeviceSerialNumber
    SoftwareVersions GantryID SpatialResolution DateOfLastCalibration TimeOfLastCalibration
    PixelPaddingValue DeviceUID UDISequence ContrastBolusAgent ScanningSequence
    CardiacNumberOfImages ImagesInAcquisition AcquisitionDeviceProcessingDescription SequenceName
    NumberOfTemporalPositions NumberOfSlices NumberOfTimeSlices SeriesType ImageOrientationPatient
    SpecificCharacterSet TimezoneOffsetFromUTC
"""
# For lists of instances: the image's position, and Orthanc's main tags of the level.
_INSTANCE = """
    InstanceCreationDate InstanceCreationTime ContentDate ContentTime AcquisitionDate
    AcquisitionTime AcquisitionDateTime AcquisitionNumber ImageType ImageComments
    ImagePositionPatient ImageOrientationPatient TemporalPositionIdentifier ImageIndex
    SamplesPerPixel PhotometricInterpretation InstanceAvailability
"""


def tag_of(keyword: str) -> str | None:
    """Return the tag of a keyword as eight upper-case hexadecimal digits."""
    number = pydicom_tables.TAGS.get(keyword)
    return None if number is None else f"{number:08X}"


def _snake_case(keyword: str) -> str:
    """Return a keyword in snake case."""
    singular = keyword.replace("IDs", "Ids")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", singular).lower()


def _kind(keyword: str) -> MatchingKind:
    """Return how values of the attribute are compared."""
    entry = pydicom_tables.named(keyword)
    by_vr = {"DA": MatchingKind.DATE, "TM": MatchingKind.TIME, "DT": MatchingKind.DATETIME}
    if entry.vr in ("IS", "US", "UL"):
        return MatchingKind.NUMBER
    if entry.vr == "UI":  # an instance is stored in one transfer syntax, whatever the multiplicity
        return MatchingKind.UIDS if keyword == "SOPClassesInStudy" else MatchingKind.UID
    if keyword == "PatientName":
        return MatchingKind.NAME
    return by_vr.get(entry.vr) or (
        MatchingKind.TEXT if entry.vm == "1" and entry.vr != "PN" else MatchingKind.TEXTS
    )


def _attribute(written: str, level: Level) -> Attribute:
    """Return an attribute by its keyword or path."""
    keywords = written.split(".")
    keyword = keywords[-1]
    path = tuple(filter(None, map(tag_of, keywords)))
    kind = _kind(keyword) if len(path) == 1 else MatchingKind.TEXTS
    return Attribute(path, pydicom_tables.named(keyword).vr, level, kind, _snake_case(keyword))


def _tags(keywords: str) -> tuple[str, ...]:
    """Return the tags of keywords."""
    return tuple(sorted(filter(None, (tag_of(word.rstrip("!")) for word in keywords.split()))))


SEARCHED: dict[Level, tuple[Attribute, ...]] = {
    level: tuple(_attribute(word, level) for word in words.split())
    for level, words in _SEARCHED.items()
}
"""The attributes with a matching column, by the level that has it."""

ANSWERED: dict[Level, frozenset[str]] = {
    level: frozenset(_tags(words)) for level, words in _ANSWERED.items()
}
"""The tags that a search returns by default."""

ALWAYS: dict[Level, tuple[tuple[str, str], ...]] = {
    level: tuple(
        (tag_of(word[:-1]) or "", pydicom_tables.named(word[:-1]).vr)
        for word in words.split()
        if word.endswith("!")
    )
    for level, words in _ANSWERED.items()
}
"""Tag and VR of those among them that are returned even without a value."""

PATIENT_TAGS = frozenset(_tags(_PATIENT))
"""The tags of the patient that a study stores."""

LEVEL_TAGS: dict[Level, frozenset[str]] = {
    Level.PATIENT: PATIENT_TAGS,
    Level.STUDY: frozenset(_tags(_STUDY)),
    Level.SERIES: frozenset(_tags(_SERIES)),
    Level.INSTANCE: frozenset(_tags(_INSTANCE)) | ANSWERED[Level.INSTANCE],
}
"""The tags that the row of a level stores; every other attribute belongs to the instance."""

_BY_PATH = {attribute.path: attribute for level in SEARCHED.values() for attribute in level}
_HEX = re.compile(r"([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})")


LONGEST_NAME = 1000
"""Characters of a name; a longer one names nothing, and is not cached either."""


def path_of(name: str) -> tuple[str, ...] | None:
    """Return the tags that a parameter names: `PatientID`, `00100020`, `0010,0020`, or a path."""
    return _path_of(name) if len(name) <= LONGEST_NAME else None


@lru_cache(maxsize=4096)
def _path_of(name: str) -> tuple[str, ...] | None:
    """Return the tags of a path whose parts are separated by dots."""
    tags = []
    for part in name.strip().split("."):
        match = _HEX.fullmatch(part)
        tag = (
            (match[1] + match[2]).upper()
            if match
            else tag_of(part) or tag_of(_keywords().get(part.lower(), ""))
        )
        if tag is None:
            return None
        tags.append(tag)
    return tuple(tags)


@cache
def _keywords() -> dict[str, str]:
    """Return keywords by their lower case, for clients that write `patientid`."""
    return {keyword.lower(): keyword for keyword in pydicom_tables.TAGS}


def searchable(path: tuple[str, ...]) -> Attribute | None:
    """Return the attribute at this path if the index has a column for it."""
    return _BY_PATH.get(path)
