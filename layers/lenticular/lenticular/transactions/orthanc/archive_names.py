"""The files of a resource under the names that Orthanc gives them in a zip.

`PatientID PatientName/Accession StudyDescription/Modality SeriesDescription/CT000000.dcm`
"""

from collections.abc import Iterator

from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.orthanc_tags import simplified
from lenticular.index.records import OrthancResource, StoredInstance
from lenticular.services import Services
from lenticular.transactions.orthanc import resources

LONGEST_NAME = 100
_DIGITS = 8


def named_files(
    services: Services, resource: OrthancResource
) -> Iterator[tuple[str, StoredInstance]]:
    """Yield the name in the zip and the instance of each file, in the order of the study."""
    folders = _Folders()
    for series in _series_of(services, resource):
        study = resources.parent(services, series)
        patient = _folder(study.patient_attributes, "PatientID", "PatientName")
        study_folder = _folder(study.attributes, "AccessionNumber", "StudyDescription")
        series_folder = _folder(series.attributes, "Modality", "SeriesDescription")
        above = folders.of(study.parent_id or "", "", patient or "Unknown Patient")
        above = folders.of(study.orthanc_id, above, study_folder or "Unknown Study")
        folder = folders.of(series.orthanc_id, above, series_folder or "Unknown Series")
        for number, stored in enumerate(_files(services, resource, series)):
            yield f"{folder}{_file_name(series.attributes, number)}", stored


def _series_of(services: Services, resource: OrthancResource) -> list[OrthancResource]:
    if resource.level is Level.INSTANCE:
        return [resources.parent(services, resource)]
    if resource.level is Level.SERIES:
        return [resource]
    return resources.descendants(services, resource, Level.SERIES)


def _files(
    services: Services, resource: OrthancResource, series: OrthancResource
) -> list[StoredInstance]:
    if resource.instance is not None:
        return [resource.instance]
    return resources.stored_instances(services, series)


class _Folders:
    """The folders of resources; two with the same name get numbers."""

    def __init__(self) -> None:
        self._paths: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, orthanc_id: str, above: str, name: str) -> str:
        """Return the path of a resource's folder, with a slash at its end."""
        path = self._paths.get(orthanc_id)
        if path is None:
            path = f"{above}{name}/"
            number = 1
            while path in self._taken:
                number += 1
                path = f"{above}{name}-{number}/"
            self._taken.add(path)
            self._paths[orthanc_id] = path
        return path


def _folder(attributes: Dataset, *names: str) -> str:
    """Return two values as the name of a folder: letters and digits of any script, and `-_.`."""
    values = simplified(attributes)
    words = " ".join(values.get(name) or "" for name in names)
    kept = "".join(letter if letter.isalnum() or letter in "-_." else " " for letter in words)
    return " ".join(kept.split()).strip(".")[:LONGEST_NAME].strip(" .")


def _file_name(attributes: Dataset, number: int) -> str:
    """Return a name such as `CT000000.dcm`: up to two letters of the modality, and the number."""
    modality = str(simplified(attributes).get("Modality") or "")
    letters = "".join(letter for letter in modality if letter.isascii() and letter.isalnum())
    prefix = letters[:2].upper()
    return f"{prefix}{number:0{_DIGITS - len(prefix)}}.dcm"
