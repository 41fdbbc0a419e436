"""Browse: patients, studies, series and instances by Orthanc's identifiers, as its REST has them.

The description of a level is in its row of the index; only the tags of an instance need
its dataset.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from lenticular import errors
from lenticular.dicom.model import Dataset, Level, Target
from lenticular.dicom.orthanc_tags import Style, main_dicom_tags, simplified
from lenticular.dicom.tags import (
    CARDIAC_NUMBER_OF_IMAGES,
    IMAGES_IN_ACQUISITION,
    NUMBER_OF_SLICES,
    NUMBER_OF_TEMPORAL_POSITIONS,
    NUMBER_OF_TIME_SLICES,
    STUDY_INSTANCE_UID,
)
from lenticular.index.records import Change, OrthancResource, StoredInstance
from lenticular.services import Services
from lenticular.transactions.delete import delete
from lenticular.transactions.retrieve import reread

PLURAL = {
    Level.PATIENT: "patients",
    Level.STUDY: "studies",
    Level.SERIES: "series",
    Level.INSTANCE: "instances",
}
"""The names of the collections, from the top of the hierarchy down."""

MEGABYTE = 1024 * 1024

# Attributes whose product is the number of instances that a series should have.
_EXPECTED = (
    (IMAGES_IN_ACQUISITION, NUMBER_OF_TEMPORAL_POSITIONS),
    (NUMBER_OF_SLICES, NUMBER_OF_TIME_SLICES),
    (CARDIAC_NUMBER_OF_IMAGES,),
)


def find(services: Services, level: Level, orthanc_id: str) -> OrthancResource:
    """Return the resource of this identifier."""
    resource = services.index.orthanc.resource(level, orthanc_id)
    if resource is None:
        raise errors.NotFound(f"No {level.lower()} with this identifier is stored.")
    return resource


def describe(resource: OrthancResource, style: Style = simplified) -> dict[str, Any]:
    """Return Orthanc's description of a resource."""
    level = resource.level
    answer: dict[str, Any] = {
        "ID": resource.orthanc_id,
        "MainDicomTags": main_dicom_tags(level, resource.attributes, style),
        "Type": level.value,
    }
    if level is Level.INSTANCE:
        return answer | _of_instance(resource)
    below = level.below
    answer[PLURAL[below].capitalize()] = resource.child_ids
    answer["IsStable"] = resource.is_stable
    answer["LastUpdate"] = orthanc_time(resource.last_update)
    if level is Level.STUDY:
        patient = main_dicom_tags(Level.PATIENT, resource.patient_attributes, style)
        answer["ParentPatient"] = resource.parent_id
        answer["PatientMainDicomTags"] = patient
    elif level is Level.SERIES:
        answer["ParentStudy"] = resource.parent_id
        answer |= _completeness(resource)
    return answer


def _of_instance(resource: OrthancResource) -> dict[str, Any]:
    return {
        "FileSize": resource.size,
        "FileUuid": resource.uuid,
        "IndexInSeries": resource.index_in_series,
        "ParentSeries": resource.parent_id,
    }


def _completeness(series: OrthancResource) -> dict[str, Any]:
    expected = _expected_instances(series.attributes)
    here = len(series.child_ids)
    status = "Unknown"
    if expected is not None:
        status = (
            "Complete" if here == expected else "Missing" if here < expected else "Inconsistent"
        )
    return {"ExpectedNumberOfInstances": expected, "Status": status}


def _expected_instances(attributes: Dataset) -> int | None:
    for tags in _EXPECTED:
        counts = [attributes.get(tag, {}).get("Value", [None])[0] for tag in tags]
        if all(isinstance(count, int) and count > 0 for count in counts):
            product = 1
            for count in counts:
                product *= count
            return product
    return None


def all_resources(
    services: Services, level: Level, since: int = 0, limit: int | None = None
) -> Iterator[OrthancResource]:
    """Yield the resources of a level in the order of arrival, read some at a time."""
    end = None if limit is None else since + limit
    at_once = services.limits.orthanc_resources
    while end is None or since < end:
        wanted = at_once if end is None else min(at_once, end - since)
        page = services.index.orthanc.resources(level, since, wanted)
        yield from page
        if len(page) < wanted:
            return
        since += wanted


def parent(services: Services, resource: OrthancResource) -> OrthancResource:
    """Return the resource that this one belongs to."""
    above = resource.level.above
    return find(services, above, resource.parent_id or "")


def ancestor(services: Services, resource: OrthancResource, level: Level) -> OrthancResource:
    """Return the patient, study or series that a resource belongs to."""
    while resource.level is not level:
        resource = parent(services, resource)
    return resource


def descendants(
    services: Services, resource: OrthancResource, level: Level
) -> list[OrthancResource]:
    """Return all resources of a level below this one."""
    return services.index.orthanc.children(resource, level)


def targets(services: Services, resource: OrthancResource) -> list[Target]:
    """Return the targets of a resource: one, for a patient one for each study."""
    if resource.instance is not None:
        return [resource.instance.target]
    if resource.level is Level.SERIES:
        target = services.index.orthanc.target_of(resource.level, resource.orthanc_id)
        return [target] if target is not None else []
    studies = [resource]
    if resource.level is Level.PATIENT:
        studies = descendants(services, resource, Level.STUDY)
    return [Target(str(study.attributes[STUDY_INSTANCE_UID]["Value"][0])) for study in studies]


def datasets_below(services: Services, resource: OrthancResource) -> Iterator[tuple[str, Dataset]]:
    """Yield identifier and attributes of each instance of a resource."""
    for target in targets(services, resource):
        instances = services.index.retrieval.find(target)
        documents = reread.documents(services, target)
        for instance, document in zip(instances, documents, strict=False):
            yield instance.orthanc_id, orjson.loads(document)


def stored_instances(services: Services, resource: OrthancResource) -> list[StoredInstance]:
    """Return the stored instances of a resource."""
    return [
        instance
        for target in targets(services, resource)
        for instance in services.index.retrieval.find(target)
    ]


def remove(services: Services, resource: OrthancResource) -> dict[str, Any]:
    """Delete a resource with all below it; return the closest ancestor that still exists."""
    remaining = delete(services, *targets(services, resource)).remaining_ancestor
    return {"RemainingAncestor": reference(*remaining) if remaining is not None else None}


def reference(level: Level, orthanc_id: str) -> dict[str, str]:
    """Return type, identifier and path of a resource."""
    return {"ID": orthanc_id, "Path": f"/{PLURAL[level]}/{orthanc_id}", "Type": level.value}


def statistics(services: Services) -> dict[str, Any]:
    """Return how much is stored."""
    counted = services.index.retrieval.statistics()
    return {
        "CountPatients": counted.patients,
        "CountStudies": counted.studies,
        "CountSeries": counted.series,
        "CountInstances": counted.instances,
        **_sizes("Total", counted.size, ("DiskSize", "UncompressedSize")),
    }


def statistics_of(resource: OrthancResource) -> dict[str, Any]:
    """Return the statistics of a resource."""
    kinds = ("DicomDiskSize", "DicomUncompressedSize", "DiskSize", "UncompressedSize")
    answer = _sizes("", resource.size, kinds)
    if resource.level is Level.PATIENT:
        answer["CountStudies"] = len(resource.child_ids)
    if resource.level in (Level.PATIENT, Level.STUDY):
        answer["CountSeries"] = resource.series_count
    if resource.level is not Level.INSTANCE:
        answer["CountInstances"] = resource.instance_count
    return answer


def _sizes(prefix: str, size: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Return sizes in bytes as strings, which may exceed JavaScript's numbers, and in whole MB."""
    return {
        name: value
        for kind in kinds
        for name, value in (
            (prefix + kind, str(size)),
            (f"{prefix}{kind}MB", size // MEGABYTE),
        )
    }


def metadata(resource: OrthancResource) -> dict[str, str]:
    """Return Orthanc's metadata: what the server recorded when it received the instances."""
    if resource.instance is None:
        return {"LastUpdate": orthanc_time(resource.last_update)}
    return {
        "IndexInSeries": "" if resource.index_in_series is None else str(resource.index_in_series),
        "ReceptionDate": orthanc_time(resource.created),
        "SopClassUid": resource.instance.sop_class_uid,
        "TransferSyntax": resource.instance.transfer_syntax_uid,
    }


def changes(services: Services, since: int, limit: int) -> dict[str, Any]:
    """Return a page of the change feed: what came after a change, the oldest first."""
    page = services.index.changes.page(since, limit + 1)
    told = page[:limit]
    last = told[-1].sequence if told else services.index.changes.last_sequence()
    return _changes(told, done=len(page) <= limit, last=last)


def last_change(services: Services) -> dict[str, Any]:
    """Return the newest change in a list, with the position of the last one."""
    last = services.index.changes.last_sequence()
    return _changes(services.index.changes.page(last - 1, 1), done=True, last=last)


def _changes(changes: list[Change], done: bool, last: int) -> dict[str, Any]:
    return {
        "Changes": [
            {
                "ChangeType": change.kind,
                "Date": orthanc_time(change.time),
                "ID": change.orthanc_id,
                "Path": f"/{PLURAL[change.level]}/{change.orthanc_id}",
                "ResourceType": change.level.value,
                "Seq": change.sequence,
            }
            for change in changes
        ],
        "Done": done,
        "Last": last,
    }


def orthanc_time(time: datetime) -> str:
    """Return a time as Orthanc writes it, in UTC."""
    return time.strftime("%Y%m%dT%H%M%S")
