"""The answer to a store transaction: PS3.18 10.5.3, Table 10.5.3-1."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from lenticular.dicom import tags
from lenticular.dicom.model import Dataset, Target
from lenticular.transactions.store.store import StoreResult

LONG_STRING_CHARACTERS = 64


def store_answer(results: Sequence[StoreResult], base_url: str) -> tuple[HTTPStatus, Dataset]:
    """Status and dataset that account for every received part."""
    stored = [_referenced(result, base_url) for result in results if result.outcome is not None]
    refused = [result for result in results if result.outcome is None]
    # Without UIDs there is nothing that FailedSOPSequence could reference.
    failed = [_failed(result) for result in refused if result.target is not None]
    other = [_failed(result) for result in refused if result.target is None]
    dataset: Dataset = {}
    study = _common_study(results)
    if stored and study is not None:
        dataset[tags.RETRIEVE_URL] = {"vr": "UR", "Value": [f"{base_url}/studies/{study}"]}
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


def _common_study(results: Sequence[StoreResult]) -> str | None:
    studies = {result.target.study_instance_uid for result in results if result.target}
    return studies.pop() if len(studies) == 1 else None


def _referenced(result: StoreResult, base_url: str) -> dict[str, Any]:
    assert result.target is not None
    item = {
        **_reference(result),
        tags.RETRIEVE_URL: {"vr": "UR", "Value": [instance_url(base_url, result.target)]},
    }
    if result.warning_reason:
        item = {**_comment(result), **item}
        item[tags.WARNING_REASON] = {"vr": "US", "Value": [result.warning_reason]}
    if result.original:
        item[tags.ORIGINAL_ATTRIBUTES_SEQUENCE] = {"vr": "SQ", "Value": [result.original]}
    return item


def _failed(result: StoreResult) -> dict[str, Any]:
    reference = _reference(result) if result.target else {}
    return {
        **_comment(result),
        **reference,
        tags.FAILURE_REASON: {"vr": "US", "Value": [result.failure_reason]},
    }


def _comment(result: StoreResult) -> dict[str, Any]:
    """The sentence for people: the standard has a number only; dcm4chee sends one, too."""
    return {tags.ERROR_COMMENT: {"vr": "LO", "Value": [result.detail[:LONG_STRING_CHARACTERS]]}}


def _reference(result: StoreResult) -> dict[str, Any]:
    assert result.target is not None
    return {
        tags.REFERENCED_SOP_CLASS_UID: {"vr": "UI", "Value": [result.sop_class_uid]},
        tags.REFERENCED_SOP_INSTANCE_UID: {"vr": "UI", "Value": [result.target.sop_instance_uid]},
    }


def instance_url(base_url: str, target: Target) -> str:
    """Where an instance is retrieved (PS3.18 10.4)."""
    return (
        f"{base_url}/studies/{target.study_instance_uid}"
        f"/series/{target.series_instance_uid}/instances/{target.sop_instance_uid}"
    )
