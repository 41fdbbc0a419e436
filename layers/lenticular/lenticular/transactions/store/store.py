"""Store received instances, or refuse them with a reason.

Order (nothing acknowledged is ever lost): read the head, write the file, commit the index, answer.
A crash between leaves at most a file that no row names; maintenance deletes it.
"""

import errno
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from lenticular import errors
from lenticular.dicom import uids
from lenticular.dicom.integers import first_integer
from lenticular.dicom.model import Dataset, ParsedInstance, Target
from lenticular.dicom.orthanc_id import orthanc_id, patient_id_of
from lenticular.dicom.read import part10
from lenticular.dicom.tags import BITS_ALLOCATED, COLUMNS, ROWS, SAMPLES_PER_PIXEL
from lenticular.errors import FailureReason, WarningReason
from lenticular.index.records import Added, Level, NewInstance, Outcome, StoredInstance
from lenticular.services import Services
from lenticular.storage.protocol import Archived
from lenticular.storage.spool import Spool
from lenticular.transactions.delete import remove_files
from lenticular.transactions.store.keys import new_key

log = logging.getLogger(__name__)


DIFFERENT_BYTES = "Different bytes are stored under this SOP Instance UID."
OTHER_PATIENT = "Its study already belongs to another Patient ID."
STRICT = "strict"


@dataclass(frozen=True, slots=True)
class StoreResult:
    """The result of storing one received body.

    `outcome` is None when it was refused, and then `failure_reason` (PS3.18 10.5.3, PS3.4 GG.4)
    and `detail` say why. UIDs are empty when they could not be read. A `temporary_failure` is one
    of the storage and not of the instance: the same bytes may be accepted later. An instance
    with a `warning_reason` differs from what was sent; `original` has the original attributes.
    """

    outcome: Outcome | None
    sop_class_uid: str = ""
    target: Target | None = None
    orthanc_ids: dict[Level, str] | None = None
    failure_reason: int = 0
    detail: str = ""
    temporary_failure: errors.StorageFull | errors.Unavailable | None = None
    warning_reason: int = 0
    original: Dataset | None = None

    @property
    def is_temporary(self) -> bool:
        """True if the same bytes may be accepted later."""
        return self.temporary_failure is not None

    def with_warning(
        self, reason: int, detail: str, original: Dataset | None = None
    ) -> "StoreResult":
        """Return the result with this warning after the one it has; the first gives the reason."""
        return replace(
            self,
            warning_reason=self.warning_reason or reason,
            detail=" ".join(filter(None, (self.detail, detail))),
            original=original or self.original,
        )


def store(
    services: Services, spools: Sequence[Spool], study_instance_uid: str | None = None
) -> list[StoreResult]:
    """Store each body; the results are in the order of the bodies.

    With a study_instance_uid, instances of other studies are refused (PS3.18 10.5.1). Raises
    StorageFull or Unavailable if the storage or the index accepts nothing now.
    """
    read = [_read(services, spool, study_instance_uid) for spool in spools]
    read = _without_stored(services, read)
    written = _write_all(services, read, spools)
    _check_storage(written)
    added = iter(_add(services, [item for item in written if isinstance(item, NewInstance)]))
    results = [next(added) if isinstance(item, NewInstance) else item for item in written]
    log.info("store", extra={"counts": _counts(spools, results)})
    return results


def _counts(spools: Sequence[Spool], results: Sequence[StoreResult]) -> dict[str, int]:
    """Return counts of a store for logs and metrics, without patient data."""
    refused = sum(result.outcome is None for result in results)
    received = sum(spool.size for spool in spools)
    return {"stored": len(results) - refused, "refused": refused, "bytes": received}


def _read(
    services: Services, spool: Spool, study_instance_uid: str | None
) -> NewInstance | StoreResult:
    """Read the head; return a result if the instance is refused."""
    try:
        parsed = part10.parse(spool.view())
    except errors.InvalidInstance as error:
        log.info("instance refused: %s", error.detail)
        return StoreResult(None, failure_reason=error.failure_reason, detail=error.detail)
    if study_instance_uid not in (None, parsed.study_instance_uid):
        detail = f"It belongs to another study than the URL names: {parsed.study_instance_uid}."
        return _refused(parsed, FailureReason.PROCESSING_FAILURE, detail)
    if services.settings.uids == STRICT and (warning := warning_of_uids(parsed)):
        return _refused(parsed, FailureReason.CANNOT_UNDERSTAND, warning)
    sha256 = spool.sha256()
    return NewInstance(parsed, new_key(parsed.target, sha256), spool.size, sha256)


def _without_stored(
    services: Services, read: Sequence[NewInstance | StoreResult]
) -> list[NewInstance | StoreResult]:
    """Replace instances whose very bytes are stored by their results: they need no other file."""
    instances = [each for each in read if isinstance(each, NewInstance)]
    named = [(item.parsed.target, item.sha256) for item in instances]
    found = iter(services.index.retrieval.already_stored(named))
    return [
        item if isinstance(item, StoreResult) else _unless_stored(services, item, next(found))
        for item in read
    ]


def _unless_stored(
    services: Services, item: NewInstance, orthanc_ids: dict[Level, str] | None
) -> NewInstance | StoreResult:
    # A delete may come in between: then the instance is stored like any new one.
    if orthanc_ids is None or not (rows := services.index.retrieval.find(item.parsed.target)):
        return item
    (row,) = rows
    try:
        has_file = _has_whole_file(services, row)
    except OSError as error:
        return _not_written(item, error)
    if has_file:
        return _accepted(item.parsed, Outcome.ALREADY_STORED, orthanc_ids)
    log.warning("%s was lost or cut short; the instance is stored again", row.key)
    # Under a new key, so that another process that restores it too cannot overwrite this file.
    return replace(item, lost_key=row.key)


def _has_whole_file(services: Services, row: StoredInstance) -> bool:
    try:
        return len(services.storage.read(row.key, row.size - 1, 1)) == 1
    except FileNotFoundError:
        return False
    except Archived:
        return True


def _write_all(
    services: Services, read: Sequence[NewInstance | StoreResult], spools: Sequence[Spool]
) -> list[NewInstance | StoreResult]:
    """Write the files, several at a time: most of the time is spent on waiting for the disk."""
    if len(spools) == 1:
        return [_write(services, read[0], spools[0])]
    return list(services.threads.map(partial(_write, services), read, spools))


def _check_storage(written: Sequence[NewInstance | StoreResult]) -> None:
    """Refuse the whole request if the storage accepted no file of it."""
    if any(isinstance(item, NewInstance) or item.outcome for item in written):
        return
    for item in written:
        if isinstance(item, StoreResult) and item.temporary_failure is not None:
            raise item.temporary_failure


def _write(
    services: Services, item: NewInstance | StoreResult, spool: Spool
) -> NewInstance | StoreResult:
    if isinstance(item, StoreResult):
        return item
    try:
        services.storage.put(item.key, spool)
    except OSError as error:
        return _not_written(item, error)
    return item


def _not_written(item: NewInstance, error: OSError) -> StoreResult:
    """Return a temporary refusal, since the storage fails."""
    log.error("the storage refuses a file", exc_info=error)
    failure = _temporary_failure(error)
    refused = _refused(item.parsed, FailureReason.OUT_OF_RESOURCES, failure.detail)
    return replace(refused, temporary_failure=failure)


def _temporary_failure(error: OSError) -> errors.StorageFull | errors.Unavailable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return errors.StorageFull("The storage is full: its disk has no room.")
    return errors.Unavailable("The storage does not take files now; try again in a moment.")


def _add(services: Services, instances: list[NewInstance]) -> list[StoreResult]:
    if not instances:
        return []
    results = []
    try:
        added = services.index.writer.add(instances, replace=services.settings.replace)
    except errors.OutcomeUnknown:
        raise  # it may be committed after all, and then its rows name these files
    except Exception:
        # Not committed, so no row names these files.
        for instance in instances:
            services.storage.delete(instance.key)
        raise
    _remove_obsolete(services, added)
    for instance, answer in zip(instances, added, strict=True):
        if answer.outcome is Outcome.REFUSED_DUPLICATE:
            result = _duplicate(instance.parsed, answer)
        else:
            result = _accepted(instance.parsed, answer.outcome, answer.orthanc_ids)
            if answer.is_of_other_patient:
                result = result.with_warning(WarningReason.COERCION_OF_DATA_ELEMENTS, OTHER_PATIENT)
        results.append(result)
    return results


def _duplicate(parsed: ParsedInstance, answer: Added) -> StoreResult:
    """Return the refusal of an instance whose UIDs are stored with other bytes.

    It has no identifiers where the stored instance is of another patient: for Orthanc these are
    two instances, and nobody may take one for the other.
    """
    reason = FailureReason.DUPLICATE_SOP_INSTANCE
    if not answer.is_of_other_patient:
        return _refused(parsed, reason, DIFFERENT_BYTES, answer.orthanc_ids)
    detail = (
        f"These UIDs are stored for the patient {answer.orthanc_ids[Level.PATIENT]}; this file is"
        f" of the patient {orthanc_id(patient_id_of(parsed.dataset))} (Orthanc's identifiers). Give"
        " it UIDs of its own, or delete the stored instance first."
    )
    return _refused(parsed, reason, detail)


def _remove_obsolete(services: Services, added: Sequence[Added]) -> None:
    """Delete the files of replaced instances, new ones of instances stored already, lost ones."""
    replaced = []
    for answer in added:
        if answer.obsolete_key is None:
            continue
        if answer.outcome is Outcome.REPLACED:
            replaced.append(answer.obsolete_key)
        else:
            services.storage.delete(answer.obsolete_key)
    remove_files(services, replaced)


def _accepted(
    parsed: ParsedInstance, outcome: Outcome, orthanc_ids: dict[Level, str]
) -> StoreResult:
    result = StoreResult(outcome, parsed.sop_class_uid, parsed.target, orthanc_ids)
    for warning in filter(None, (warning_of_uids(parsed), _warning_of_frames(parsed))):
        result = result.with_warning(WarningReason.DATA_SET_DOES_NOT_MATCH_SOP_CLASS, warning)
    return result


def warning_of_uids(parsed: ParsedInstance) -> str:
    """Return a sentence that names the invalid UIDs (PS3.5 9.1), or an empty string."""
    named = {
        "Study Instance UID": parsed.study_instance_uid,
        "Series Instance UID": parsed.series_instance_uid,
        "SOP Instance UID": parsed.sop_instance_uid,
        "SOP Class UID": parsed.sop_class_uid,
    }
    invalid = [name for name, uid in named.items() if not uids.is_valid(uid)]
    if not invalid:
        return ""
    return f"Not a valid UID (PS3.5 9.1): {', '.join(invalid)}."


def _warning_of_frames(parsed: ParsedInstance) -> str:
    """Return a sentence if frames of single bits are padded to bytes, else an empty string."""
    pixels = parsed.layout.pixels
    if pixels is None or not pixels.frame_bits or pixels.number_of_frames < 2:
        return ""
    if first_integer(parsed.dataset, BITS_ALLOCATED) != 1:
        return ""
    sides = (ROWS, COLUMNS, SAMPLES_PER_PIXEL)
    if pixels.frame_bits == math.prod(first_integer(parsed.dataset, tag) or 1 for tag in sides):
        return ""
    return "Frames are padded to bytes (PS3.5 8.1.1) and read so."


def _refused(
    parsed: ParsedInstance,
    failure_reason: int,
    detail: str,
    orthanc_ids: dict[Level, str] | None = None,
) -> StoreResult:
    log.info("instance %s refused: %s", parsed.sop_instance_uid, detail)
    # An item of FailedSOPSequence names a SOP class.
    target = parsed.target if parsed.sop_class_uid else None
    return StoreResult(None, parsed.sop_class_uid, target, orthanc_ids, failure_reason, detail)
