"""The response of a store transaction: PS3.18 10.5.3, Table 10.5.3-1.

ErrorComment (0000,0902) is an LO, so it has a short sentence that is complete in 64 characters.
A longer sentence is added whole in a private UT.
"""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset, Target
from lenticular.errors import FailureReason
from lenticular.transactions.store.store import DIFFERENT_BYTES, StoreResult

COMMENT_CHARACTERS = 64
CREATOR_TAG, REASON_TAG = "00090010", "00091001"
_PRIVATE_CREATOR = {"vr": "LO", "Value": ["LENTICULAR"]}

# Marks at which a sentence may end early and still be true.
_BREAKS = ("; ", ": ", ". ")
# Text in parentheses may be left out, but a tag that begins a clause is its subject.
_PARENTHESES = re.compile(r"(?<![:;,]) \([^()]*\)")
_WITHOUT_DETAIL = {
    FailureReason.PROCESSING_FAILURE: "The instance could not be processed.",
    FailureReason.DUPLICATE_SOP_INSTANCE: DIFFERENT_BYTES,
    FailureReason.SOP_CLASS_NOT_SUPPORTED: "Objects of this SOP class are not stored.",
    FailureReason.OUT_OF_RESOURCES: "The instance exceeds a limit of the service.",
    FailureReason.DATA_SET_DOES_NOT_MATCH_SOP_CLASS: "The data set contradicts its SOP class.",
}


def store_answer(results: Sequence[StoreResult], base_url: str) -> tuple[HTTPStatus, Dataset]:
    """Return the status, and a dataset that accounts for every received part."""
    stored = [_referenced(result, base_url) for result in results if result.outcome is not None]
    refused = [result for result in results if result.outcome is None]
    # Without UIDs there is nothing that FailedSOPSequence could reference.
    failed = [_failed(result) for result in refused if result.target is not None]
    other = [_failed(result) for result in refused if result.target is None]
    dataset: Dataset = {}
    study = _common_study(results)
    # Present and empty where the instances have no study in common (Table I.1-1).
    dataset[tags.RETRIEVE_URL] = {"vr": "UR"}
    if stored and study is not None:
        dataset[tags.RETRIEVE_URL]["Value"] = [f"{base_url}/{Target(study).path}"]
    for tag, items in (
        (tags.FAILED_SOP_SEQUENCE, failed),
        (tags.REFERENCED_SOP_SEQUENCE, stored),
        (tags.OTHER_FAILURES_SEQUENCE, other),
    ):
        if items:
            dataset[tag] = {"vr": "SQ", "Value": items}
    if not refused and not any(result.warning_reason for result in results):
        return HTTPStatus.OK, dataset
    return (HTTPStatus.ACCEPTED if stored else HTTPStatus.CONFLICT), dataset


def comment_of(detail: str, failure_reason: int = 0) -> str:
    """Return a sentence that is complete in the 64 characters of an LO."""
    shorter = [detail, _PARENTHESES.sub("", detail)]
    shorter += [text.split(mark)[0] + "." for text in shorter for mark in _BREAKS if mark in text]
    fitting = [text for text in shorter if len(text) <= COMMENT_CHARACTERS]
    general = _WITHOUT_DETAIL.get(FailureReason(failure_reason or FailureReason.CANNOT_UNDERSTAND))
    return max(fitting, key=len, default=general or "The part is not a DICOM instance.")


def _common_study(results: Sequence[StoreResult]) -> str | None:
    """Return the study of all instances, None if they are of several."""
    studies = {result.target.study_instance_uid for result in results if result.target}
    return studies.pop() if len(studies) == 1 else None


def _referenced(result: StoreResult, base_url: str) -> dict[str, Any]:
    """Return the item of a stored instance."""
    assert result.target is not None
    item = {
        **_reference(result),
        tags.RETRIEVE_URL: {"vr": "UR", "Value": [f"{base_url}/{result.target.path}"]},
    }
    if result.warning_reason:
        item |= _comment(result)
        item[tags.WARNING_REASON] = {"vr": "US", "Value": [result.warning_reason]}
    if result.original:
        item[tags.ORIGINAL_ATTRIBUTES_SEQUENCE] = {"vr": "SQ", "Value": [result.original]}
    return dict(sorted(item.items()))


def _failed(result: StoreResult) -> dict[str, Any]:
    """Return the item of a refused instance."""
    item = {
        **(_reference(result) if result.target else {}),
        **_comment(result),
        tags.FAILURE_REASON: {"vr": "US", "Value": [result.failure_reason]},
    }
    return dict(sorted(item.items()))


def _comment(result: StoreResult) -> dict[str, Any]:
    """Return the reason as a sentence, which the standard's number does not give."""
    comment = comment_of(result.detail, result.failure_reason)
    found: dict[str, Any] = {tags.ERROR_COMMENT: {"vr": "LO", "Value": [comment]}}
    if comment != result.detail:
        found[CREATOR_TAG] = _PRIVATE_CREATOR
        found[REASON_TAG] = {"vr": "UT", "Value": [result.detail]}
    return found


def _reference(result: StoreResult) -> dict[str, Any]:
    """Return the UIDs of an instance; those of its parents where it was refused."""
    assert result.target is not None
    uids = {
        tags.REFERENCED_SOP_CLASS_UID: result.sop_class_uid,
        tags.REFERENCED_SOP_INSTANCE_UID: result.target.sop_instance_uid,
    }
    if result.outcome is None:
        uids[tags.STUDY_INSTANCE_UID] = result.target.study_instance_uid
        uids[tags.SERIES_INSTANCE_UID] = result.target.series_instance_uid or ""
    return {tag: {"vr": "UI"} | ({"Value": [uid]} if uid else {}) for tag, uid in uids.items()}
