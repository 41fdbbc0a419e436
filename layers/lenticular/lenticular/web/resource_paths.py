"""Paths of resources, PS3.18 10.1.2: the study, series, instance and frames that they name."""

from lenticular.dicom import uids
from lenticular.dicom.model import Target
from lenticular.errors import InvalidRequest, TooLarge

STUDY = "/studies/{study}"
SERIES = STUDY + "/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"


def target_of(study: str, series: str | None = None, instance: str | None = None) -> Target:
    """Return the study, series or instance that a path names.

    Files with identifiers that are no UIDs are stored as well, so any identifier will do.
    """
    named = (("Study", study), ("Series", series), ("SOP", instance))
    for level, uid in named:
        if uid is not None and (problem := uids.problem_of(uid)):
            raise InvalidRequest(f"The {level} Instance UID in the path {problem}.")
    return Target(study, series, instance)


def frame_numbers_of(frame_list: str, maximum: int) -> list[int]:
    """Return the frames that a path names, numbered from 1, in their order (PS3.18 10.1.2)."""
    elements = frame_list.split(",")
    if len(elements) > maximum:
        raise TooLarge(f"One request may name at most {maximum:,} frames.")
    # More than nine digits are beyond the frames that any object can have (PS3.5, VR IS).
    numbers = [int(element) for element in elements if element.isdecimal() and len(element) < 11]
    if len(numbers) < len(elements) or 0 in numbers:
        raise InvalidRequest("Frames are numbers from 1, separated by commas: 1,3,2.")
    return numbers
