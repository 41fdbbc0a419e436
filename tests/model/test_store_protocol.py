"""The store protocol against a model of it: whatever happens in whatever order, nothing is lost.

Hypothesis makes histories of operations on both ports, with errors, outages and deaths at their
calls and with two processes at once, and checks what must hold. Histories follow from seeds, 0 and
on: `pytest tests/model --model-seconds 3600` makes more of them, `--model-seed N` begins with
another.
"""

import time
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Verbosity, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from lenticular.dicom.model import Target
from tests.helpers.model.contents import VERSIONS, Content, Junk, key_of
from tests.helpers.model.history import Act, History
from tests.helpers.model.operations import (
    Delete,
    Drop,
    MarkStable,
    Operation,
    Reindex,
    Store,
    Sweep,
    TakeDrops,
)
from tests.helpers.model.process import Cause, Fault, Kind
from tests.helpers.model.uploading import Announce, Complete
from tests.helpers.model.world import World

HISTORIES_A_SEED = 10
STEPS = 10

Files = tuple[Content | Junk, ...]


def target_of(content: Content, depth: int) -> Target:
    """The instance of the content, its series or its study."""
    target = content.target
    uids = (target.study_instance_uid, target.series_instance_uid, target.sop_instance_uid)
    return Target(*uids[:depth])


contents = st.builds(
    Content, st.integers(0, 2), st.integers(0, 1), st.integers(0, 2), st.integers(0, VERSIONS - 1)
)
targets = st.builds(target_of, contents, st.integers(1, 3))
names = st.sampled_from(["a", "b"])
items = contents | st.builds(Junk, st.integers(0, 1))
faults = st.none() | st.builds(
    Fault, st.sampled_from(Kind), st.integers(0, 30), st.sampled_from(Cause)
)

stores = st.builds(Store, st.lists(contents, min_size=1, max_size=3).map(tuple))
deletes = st.builds(Delete, st.lists(targets, min_size=1, max_size=2).map(tuple))
files = st.lists(items, min_size=1, max_size=3).map(tuple)
drops = st.builds(Drop, names, files)
operations: st.SearchStrategy[Operation] = st.one_of(
    stores,
    deletes,
    drops,
    st.just(TakeDrops()),
    st.just(Reindex()),
    st.just(Sweep()),
    st.just(MarkStable()),
)
runs = st.lists(st.integers(0, 12), max_size=4)


def machine(world: World) -> type[RuleBasedStateMachine]:
    """The machine that works in this world."""

    class StoreProtocol(RuleBasedStateMachine):
        @initialize(replace=st.booleans())
        def begin(self, replace: bool) -> None:
            world.begin(replace)
            self.history = History(world)

        @rule(operation=stores, fault=faults)
        def store(self, operation: Operation, fault: Fault | None) -> None:
            self.history.do(Act(operation, fault))

        @rule(operation=deletes, fault=faults)
        def delete(self, operation: Operation, fault: Fault | None) -> None:
            self.history.do(Act(operation, fault))

        @rule(operation=drops, fault=faults)
        def drop_and_take(self, operation: Operation, fault: Fault | None) -> None:
            self.history.do(Act(operation))
            self.history.do(Act(TakeDrops(), fault))

        @rule(first=drops, items=files, runs=runs, fault=faults)
        def drop_again_while_taken(
            self, first: Drop, items: Files, runs: list[int], fault: Fault | None
        ) -> None:
            self.history.do(Act(first))
            self.history.do(Act(TakeDrops(), fault), Act(Drop(first.name, items)), runs=runs)

        @rule(operation=operations, fault=faults)
        def do(self, operation: Operation, fault: Fault | None) -> None:
            self.history.do(Act(operation, fault))

        @rule(one=operations, other=operations, runs=runs, fault=faults)
        def do_at_once(
            self, one: Operation, other: Operation, runs: list[int], fault: Fault | None
        ) -> None:
            if one == other == TakeDrops() and world.has_one_taker:
                return
            if isinstance(one, Drop) and isinstance(other, Drop):  # no process of ours
                return
            self.history.do(Act(one, fault), Act(other), runs=runs)

        @rule(content=contents, named_for=contents, is_odd=st.booleans())
        def put_by_hand(self, content: Content, named_for: Content, is_odd: bool) -> None:
            key = key_of(named_for)
            self.history.put_by_hand(f"{key.rpartition('/')[0]}/IM1" if is_odd else key, content)

        @rule(fault=faults)
        def lose_index(self, fault: Fault | None) -> None:
            self.history.lose_index(*filter(None, [fault]))

        @precondition(lambda self: world.services[0].bucket)
        @rule(items=files, fault=faults)
        def announce(self, items: Files, fault: Fault | None) -> None:
            self.history.do(Act(Announce(items), fault))

        @precondition(lambda self: self.history.uploads.files)
        @rule(data=st.data())
        def put(self, data: st.DataObject) -> None:
            self.history.put(data.draw(st.sampled_from(self.history.uploads.files)))

        @precondition(lambda self: self.history.uploads.files)
        @rule(data=st.data(), fault=faults)
        def complete(self, data: st.DataObject, fault: Fault | None) -> None:
            file = data.draw(st.sampled_from(self.history.uploads.files))
            self.history.do(Act(Complete(file), fault))

        def teardown(self) -> None:
            if not self.history.is_broken:
                self.history.end()

    return StoreProtocol


def run_histories(world: World, number: int, histories: int = HISTORIES_A_SEED) -> None:
    """Some histories that follow from a seed."""
    options = settings(
        max_examples=histories,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.normal,
    )
    seeded: Any = seed(number)(machine(world))
    run_state_machine_as_test(seeded, settings=options)


@pytest.mark.slow
def test_whatever_happens_nothing_that_was_acknowledged_is_lost(world, pytestconfig):
    until = time.monotonic() + pytestconfig.getoption("--model-seconds") / 2
    for number in count(pytestconfig.getoption("--model-seed")):
        print(f"--model-seed {number}")
        run_histories(world, number)
        if time.monotonic() > until:
            return
