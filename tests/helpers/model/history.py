"""A history of operations, and what the world must look like after each of them.

What an acknowledged operation says has happened; of one that failed or died nobody knows. Of two at
once either may have been first: some order has to explain all answers and what is there now.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from lenticular.dicom.model import Target
from lenticular.errors import LenticularError
from lenticular.index.records import Outcome
from lenticular.transactions.store.keys import target_of_key
from tests.helpers.model.contents import Content, Junk
from tests.helpers.model.dropping import Drops
from tests.helpers.model.invariants import check_everything, feed_of
from tests.helpers.model.operations import (
    Change,
    Deleted,
    Drop,
    Operation,
    Reindex,
    Reindexed,
    SafelyStored,
    Store,
    Stored,
    Sweep,
    TakeDrops,
)
from tests.helpers.model.process import Died, Fault, Turns
from tests.helpers.model.uploading import Announce, Announced, Complete, Uploads
from tests.helpers.model.world import World

States = set[bytes | None]


@dataclass(frozen=True)
class Act:
    """An operation, and what befalls it."""

    operation: Operation
    fault: Fault | None = None

    @property
    def own_fault(self) -> Fault | None:
        """The fault, unless it is a person who does it."""
        return None if isinstance(self.operation, Drop) else self.fault


class History:
    """What was done in a world so far, and what must have come of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stored: dict[Target, bytes] = {}
        self.is_broken = False
        self.uploads = Uploads()
        self._drops = Drops(world, self.uploads)
        self.feed: list[Any] = []
        self._points: list[str] = []
        self._contents: dict[bytes, Content] = {}
        self._digests: dict[str, bytes] = {}

    @property
    def points(self) -> list[str]:
        """The points that the last single operation came to."""
        return self._points

    def do(self, *acts: Act, runs: Sequence[int] = ()) -> None:
        """One operation, or two at once that change as `runs` say; then look what became of it."""
        self.is_broken = True
        self._do(acts, runs)
        self.is_broken = False

    def _do(self, acts: Sequence[Act], runs: Sequence[int]) -> None:
        self.world.tick()
        self._note(act.operation for act in acts)
        before, misplaced = self._unreferenced(), self._misplaced()
        answers = self._run(acts, runs)
        self._note_uploads(acts, answers)
        changes = [
            change
            for number, (act, answer) in enumerate(zip(acts, answers, strict=True))
            for change in self._changes(number, act, answer)
        ]
        if any(isinstance(act.operation, TakeDrops) for act in acts):
            is_undisturbed = len(acts) == 1 and acts[0].fault is None
            changes += self._drops.changes(is_undisturbed=is_undisturbed)
        if any(isinstance(act.operation, Reindex) for act in acts):
            changes += self._reindexed(before, changes)
        self._check(changes)
        if all(isinstance(act.operation, Sweep) for act in acts):
            lost = {*misplaced.values()} - {*self._misplaced().values()} - set(self.stored)
            assert not lost, f"sweep removes the only file of {lost}"

    def end(self) -> None:
        """Take what is left, and check everything."""
        self.do(Act(TakeDrops()))
        if self._misplaced():
            self.do(Act(Sweep()))  # which must leave alone what nobody else has
            self.do(Act(Reindex()))  # which takes what people put back under other names
        self.uploads.check(self.world.admin)
        check_everything(self.world)
        self.feed += feed_of(self.world.admin.index, self.feed[-1]["sequence"] if self.feed else 0)
        assert self.feed == feed_of(self.world.admin.index, 0), "readers of the feed missed some"

    def put_by_hand(self, key: str, content: Content) -> None:
        """A person puts a file back, under any name."""
        self._contents[content.sha256] = content
        self._digests.pop(key, None)  # another file may have been there
        self.world.put_by_hand(key, content.data)

    def lose_index(self, *faults: Fault) -> None:
        """Lose the index and make it anew from the files, however often that is broken off."""
        self.world.lose_index()
        self.feed = []
        expected = self._unreferenced()
        assert set(self.stored) <= set(expected), "an acknowledged instance has no file"
        for fault in (*faults, None):
            self._run([Act(Reindex(), fault)], ())
        rows = self.world.rows()
        for target, digests in expected.items():
            assert target in rows, f"reindex leaves out {target}"
            assert rows[target].sha256 in digests
        self._look(rows)

    def _note(self, operations: Iterable[Operation]) -> None:
        for operation in operations:
            if isinstance(operation, Store):
                self._contents |= _contents_of(operation.contents)
            if isinstance(operation, Drop):
                self._contents |= _contents_of(operation.items)
                self._drops.add(operation.name, operation.items)

    def put(self, file: Announced) -> None:
        """A person puts an announced file, or its parts, into the bucket, once or again."""
        self._contents |= _contents_of([file.item])
        file.put()
        if not file.is_in_parts:
            self._drops.add(file.name, (file.item,))

    def _note_uploads(self, acts: Sequence[Act], answers: Sequence[Any]) -> None:
        for act, answer in zip(acts, answers, strict=True):
            if isinstance(act.operation, Announce):
                self.uploads.note(act.operation, answer)
            if isinstance(act.operation, Complete):
                file = act.operation.file
                is_there = f"incoming/{file.name}" in self.world.files("incoming")
                assert is_there or not answer or file.name in self.uploads.outcomes
                if is_there:
                    self._drops.add(file.name, (file.item,))

    def _targets(self) -> set[Target]:
        return {content.target for content in self._contents.values()}

    def _unreferenced(self) -> dict[Target, frozenset[bytes]]:
        """The digests of whole files without a row, by instance."""
        named = {row.key for row in self.world.rows().values()}
        found: dict[Target, set[bytes]] = {}
        for key, digest in self._files().items():
            content = self._contents.get(digest)
            if key not in named and content is not None:
                found.setdefault(content.target, set()).add(digest)
        return {target: frozenset(digests) for target, digests in found.items()}

    def _misplaced(self) -> dict[str, Target]:
        """The instances that people put back under other names, by their keys."""
        held = {key: self._contents.get(digest) for key, digest in self._files().items()}
        return {
            key: content.target
            for key, content in held.items()
            if content is not None and target_of_key(key) != content.target
        }

    def _files(self) -> dict[str, bytes]:
        """Key and digest of all that is kept; what was read once is not read again."""
        storage = self.world.admin.storage
        for key, _, _ in list(storage.keys("instances/")):
            if key not in self._digests:
                self._digests[key] = sha256(storage.read(key)).digest()
        keys = {key for key, _, _ in storage.keys("instances/")}
        self._digests = {key: self._digests[key] for key in keys}
        return self._digests

    def _run(self, acts: Sequence[Act], runs: Sequence[int]) -> list[Any]:
        if len(acts) == 1:
            process = self.world.processes[0]
            process.begin(acts[0].own_fault)
            answer = self._answer(0, acts[0])
            self._points = process.points
            return [answer]
        turns = Turns(runs)
        answers: list[Any] = [None, None]
        raised: list[BaseException] = []

        def work(number: int) -> None:
            self.world.processes[number].begin(acts[number].own_fault, turns, number)
            turns.wait(number)
            try:
                answers[number] = self._answer(number, acts[number])
            except BaseException as error:
                raised.append(error)
            finally:
                turns.end(number)

        threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if raised:
            raise raised[0]
        return answers

    def _answer(self, number: int, act: Act) -> Any:
        """What the operation answers; None when it failed, by a fault, or died."""
        process, services = self.world.processes[number], self.world.services[number]
        answer = None
        try:
            with process.here():
                answer = act.operation.run(self.world, services)
        except Died:
            pass
        except (LenticularError, OSError):
            if not process.is_dead and not process.has_failed:
                raise
        if process.is_dead:
            self.world.reopen(number)
            return None
        return answer

    def _reindexed(
        self, before: dict[Target, frozenset[bytes]], changes: Sequence[Change]
    ) -> list[Change]:
        """What reindex may have found: files left over, and those that are just being stored."""
        found = {target: set(digests) for target, digests in before.items()}
        for change in changes:
            if isinstance(change, Stored):
                content = change.content
                found.setdefault(content.target, set()).add(content.sha256)
            if (
                isinstance(change, Deleted)
                and change.found is None
                and change.target in self.stored
            ):
                found.setdefault(change.target, set()).add(self.stored[change.target])
        return [Reindexed(target, frozenset(digests)) for target, digests in found.items()]

    def _changes(self, number: int, act: Act, answer: Any) -> list[Change]:
        """Return what the answer says; a commit whose answer was lost is repeated."""
        changes = act.operation.changes(list(self._targets()), answer)
        if not self.world.processes[number].has_failed:
            return changes
        return [
            SafelyStored(change.content)
            if isinstance(change, Stored) and change.outcome is Outcome.ALREADY_STORED
            else change
            for change in changes
        ]

    def _check(self, changes: Sequence[Change]) -> None:
        rows = self.world.rows()
        for target in self._targets() | set(rows):
            found = rows[target].sha256 if target in rows else None
            concerned = [change for change in changes if _target(change) == target]
            states = possible(self.stored.get(target), concerned, self.world.replace)
            assert found in states, (
                f"{target.sop_instance_uid} has {_name(found, self._contents)}, which is none of"
                f" {[_name(state, self._contents) for state in states]}, after {concerned}"
            )
        self._look(rows)

    def _look(self, rows: Any) -> None:
        """Every row has its file; then what is there counts as known."""
        files = self._files()
        for target, row in rows.items():
            assert row.key in files, f"the row of {target.sop_instance_uid} has no file {row.key}"
            assert files[row.key] == row.sha256, f"{row.key} holds other bytes than its row says"
        self.stored = {target: row.sha256 for target, row in rows.items()}
        last = self.feed[-1]["sequence"] if self.feed else 0
        self.feed += feed_of(self.world.admin.index, last)


def _contents_of(items: Iterable[Content | Junk]) -> dict[bytes, Content]:
    return {item.sha256: item for item in items if isinstance(item, Content)}


def possible(state: bytes | None, changes: Sequence[Change], replace: bool) -> States:
    """The states that an instance can have after these changes, in whichever order they came."""

    @cache
    def after(state: bytes | None, left: frozenset[int]) -> frozenset[bytes | None]:
        if not left:
            return frozenset({state})
        return frozenset(
            last
            for number in left
            for following in _after(state, changes[number], replace)
            for last in after(following, left - {number})
        )

    return set(after(state, frozenset(range(len(changes)))))


def _after(state: bytes | None, change: Change, replace: bool) -> States:
    """The states after a change that answers so; none when it cannot have answered so."""
    if isinstance(change, Reindexed):
        return {state, *change.digests} if state is None else {state}
    if isinstance(change, Deleted):
        if change.found is None:
            return {state, None}
        return {None} if change.found or state is None else set()
    digest = change.content.sha256
    after, outcome = _store(state, digest, replace)
    if isinstance(change, SafelyStored):
        return {after} if after == digest else set()
    if change.outcome is None:
        return {state, after}
    return {after} if outcome is change.outcome else set()


def _store(state: bytes | None, digest: bytes, replace: bool) -> tuple[bytes, Outcome]:
    if state is None:
        return digest, Outcome.STORED
    if state == digest:
        return digest, Outcome.ALREADY_STORED
    return (digest, Outcome.REPLACED) if replace else (state, Outcome.REFUSED_DUPLICATE)


def _target(change: Change) -> Target:
    return change.content.target if isinstance(change, Stored) else change.target


def _name(digest: bytes | None, contents: dict[bytes, Content]) -> str:
    return "nothing" if digest is None else repr(contents.get(digest, digest))
