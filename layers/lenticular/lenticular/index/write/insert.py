"""Insert the instances of one transaction, in as few statements as possible.

Rows of one kind are written together. Studies, series and instances are locked, read and
written in this order everywhere, so that two writers never wait for each other.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lenticular.dicom.model import Level, Target
from lenticular.dicom.orthanc_id import digest, from_digest, patient_id_of
from lenticular.index import migrations
from lenticular.index.records import Added, Outcome, Removed
from lenticular.index.write.changes import Action, ChangeEntry, now, to_row
from lenticular.index.write.parent_rows import Created, ExistingInstance, ParentRows, SeriesRow
from lenticular.index.write.rows import InstanceRows, Row

Remove = Callable[[Sequence[Target]], Removed | None]
"""Removes instances within the transaction."""


@dataclass(slots=True)
class _PendingInstance:
    """A new instance whose rows wait to be written, and the levels that came with it."""

    rows: InstanceRows
    series: SeriesRow
    orthanc_id: bytes
    created: Created
    action: Action
    row_id: int = 0


@dataclass(slots=True)
class InstanceInserter:
    """One transaction's work: `prefetch` all, `insert` each batch, then `flush`."""

    parents: ParentRows
    remove: Remove
    _prefetched: Sequence[InstanceRows] = ()
    _waiting: list[_PendingInstance] = field(default_factory=list)
    _replaced: dict[Target, str] = field(default_factory=dict)
    _new_keys: list[Row] = field(default_factory=list)

    def prefetch(self, instances: Sequence[InstanceRows]) -> None:
        """Read the series of all instances of this transaction, and which of them are stored."""
        self._prefetched = instances
        wanted: dict[tuple[str, str], list[str]] = {}
        for each in instances:
            parsed = each.new.parsed
            series = (parsed.study_instance_uid, parsed.series_instance_uid)
            wanted.setdefault(series, []).append(parsed.sop_instance_uid)
        for series in sorted(wanted):
            self.parents.look_up(*series, wanted[series])

    def insert(self, batch: Sequence[InstanceRows], replace: bool = False) -> list[Added]:
        """Insert what is new; an instance whose UID is stored is compared by its bytes."""
        if replace:
            self._remove_replaced(batch)
        return [self._insert_one(each, replace) for each in batch]

    def flush(self) -> None:
        """Write the rows and the counts of everything inserted so far."""
        waiting, self._waiting = self._waiting, []
        if self._new_keys:
            self._change_keys()
        if not waiting:
            return
        self._add_instances(waiting)
        cursor, statements = self.parents.cursor, self.parents.statements
        for statement, make in (
            (statements.add_document, _document),
            (statements.add_frames, _frames),
        ):
            statement.run_many(cursor, [row for each in waiting for row in make(each)])
        self.parents.add_tag_values(_tag_values(waiting))
        self.parents.grow()
        ((revision,),) = statements.order_commits.run(cursor).fetchall()
        created = now()
        knows_instances = revision >= migrations.INSTANCE_FEED
        add_change = statements.add_change if knows_instances else statements.add_change_before
        entries = (each for one in waiting for each in _change_entries(one))
        add_change.run_many(cursor, [to_row(each, created) for each in entries])

    def _insert_one(self, new: InstanceRows, replace: bool) -> Added:
        parsed = new.new.parsed
        series = self.parents.find(parsed.study_instance_uid, parsed.series_instance_uid)
        known = series.known.get(parsed.sop_instance_uid) if series else None
        if series is None or known is None:
            return self._add(new, series)
        if known.sha256 == new.new.sha256:
            if known.key == new.new.lost_key:
                return self._keep_again(new, series, known)
            return _already_there(Outcome.ALREADY_STORED, series, known, new)
        if not replace:
            return _already_there(Outcome.REFUSED_DUPLICATE, series, known, new)
        # The batch itself has this instance twice, with different bytes.
        self._remove({_target(new): known.key})
        return self._insert_one(new, replace)

    def _remove_replaced(self, batch: Sequence[InstanceRows]) -> None:
        """Remove at once all stored instances that the batch replaces."""
        replaced: dict[Target, str] = {}
        seen: set[Target] = set()
        for each in batch:
            target = _target(each)
            known = self._known(each)
            if target not in seen and known is not None and known.sha256 != each.new.sha256:
                replaced[target] = known.key
            seen.add(target)
        if replaced:
            self._remove(replaced)

    def _known(self, new: InstanceRows) -> ExistingInstance | None:
        parsed = new.new.parsed
        series = self.parents.find(parsed.study_instance_uid, parsed.series_instance_uid)
        return series.known.get(parsed.sop_instance_uid) if series else None

    def _remove(self, replaced: dict[Target, str]) -> None:
        """Remove instances that are inserted anew, and read again what all others belong to."""
        self.flush()
        self.remove(list(replaced))
        self._replaced |= replaced
        self.parents.forget()
        self.prefetch(self._prefetched)

    def _add(self, new: InstanceRows, series: SeriesRow | None) -> Added:
        parsed = new.new.parsed
        obsolete_key = self._replaced.pop(_target(new), None)
        action = Action.CREATE if obsolete_key is None else Action.UPDATE
        created: Created = []
        series = series or self.parents.create(new.new, created)
        study, uid = series.study, parsed.sop_instance_uid
        orthanc_id = digest(study.patient_id, study.uid, series.uid, uid)
        series.known[uid] = ExistingInstance(orthanc_id, new.new.sha256, new.new.key)
        series.growth.add(new.new.size)
        study.growth.add(new.new.size)
        if parsed.sop_class_uid not in study.sop_classes:
            study.sop_classes.append(parsed.sop_class_uid)
        self._waiting.append(_PendingInstance(new, series, orthanc_id, created, action))
        outcome = Outcome.STORED if obsolete_key is None else Outcome.REPLACED
        return Added(
            outcome, _ids(series, orthanc_id), obsolete_key, _is_of_other_patient(new, series)
        )

    def _keep_again(self, new: InstanceRows, series: SeriesRow, known: ExistingInstance) -> Added:
        """Update the row of an instance whose file was lost, to name the new one of equal bytes."""
        uid, lost_key = new.new.parsed.sop_instance_uid, known.key
        known.key = new.new.key
        self._new_keys.append({"of_series": series.row_id, "uid": uid, "new_key": known.key})
        return Added(Outcome.ALREADY_STORED, _ids(series, known.orthanc_id), lost_key)

    def _change_keys(self) -> None:
        cursor, statements = self.parents.cursor, self.parents.statements
        new_keys, self._new_keys = self._new_keys, []
        statements.change_key.run_many(cursor, new_keys)
        # A sweep that looks for files without a row must see these keys.
        statements.order_commits.run(cursor).fetchall()

    def _add_instances(self, waiting: Sequence[_PendingInstance]) -> None:
        cursor, statements = self.parents.cursor, self.parents.statements
        if len(waiting) == 1:
            waiting[0].row_id = statements.add_instance.insert(cursor, self._instance(waiting[0]))
            return
        statements.add_instance.run_many(cursor, [self._instance(each) for each in waiting])
        by_series: dict[int, dict[str, _PendingInstance]] = {}
        for each in waiting:
            uid = each.rows.new.parsed.sop_instance_uid
            by_series.setdefault(each.series.row_id, {})[uid] = each
        for series_row_id, by_uid in by_series.items():
            for uid, row_id, *_ in self.parents.known(series_row_id, list(by_uid)):
                by_uid[uid].row_id = row_id

    def _instance(self, waiting: _PendingInstance) -> Row:
        return {
            **waiting.rows.instance,
            "series_row_id": waiting.series.row_id,
            "orthanc_id": waiting.orthanc_id,
            "created": self.parents.now,
        }


def _target(new: InstanceRows) -> Target:
    parsed = new.new.parsed
    return Target(parsed.study_instance_uid, parsed.series_instance_uid, parsed.sop_instance_uid)


def _change_entries(waiting: _PendingInstance) -> Iterator[ChangeEntry]:
    target = _target(waiting.rows)
    yield ChangeEntry("NewInstance", Level.INSTANCE, waiting.orthanc_id, target, waiting.action)
    for level, orthanc_id in waiting.created:
        yield ChangeEntry(f"New{level}", level, orthanc_id)


def _document(waiting: _PendingInstance) -> Iterator[Row]:
    yield {
        **waiting.rows.document,
        "series_row_id": waiting.series.row_id,
        "instance_row_id": waiting.row_id,
    }


def _frames(waiting: _PendingInstance) -> Iterator[Row]:
    for chunk, ranges in enumerate(waiting.rows.frames):
        yield {"instance_row_id": waiting.row_id, "chunk": chunk, "ranges": ranges}


def _tag_values(waiting: Sequence[_PendingInstance]) -> list[Row]:
    return [{**row, "row_id": each.row_id} for each in waiting for row in each.rows.tag_values]


def _already_there(
    outcome: Outcome, series: SeriesRow, known: ExistingInstance, new: InstanceRows
) -> Added:
    # A call that is repeated may name the very file of the row: that file stays.
    obsolete = None if known.key == new.new.key else new.new.key
    return Added(
        outcome, _ids(series, known.orthanc_id), obsolete, _is_of_other_patient(new, series)
    )


def _is_of_other_patient(new: InstanceRows, series: SeriesRow) -> bool:
    return patient_id_of(new.new.parsed.dataset) != series.study.patient_id


def _ids(series: SeriesRow, orthanc_id: bytes) -> dict[Level, str]:
    study = series.study
    return {
        Level.PATIENT: from_digest(study.patient_orthanc_id),
        Level.STUDY: from_digest(study.orthanc_id),
        Level.SERIES: from_digest(series.orthanc_id),
        Level.INSTANCE: from_digest(orthanc_id),
    }
