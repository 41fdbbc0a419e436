"""One error, death or change of turn at every point of every operation, one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lenticular.dicom.model import Target
from tests.helpers.model.contents import Content, Junk, key_of
from tests.helpers.model.history import Act, History
from tests.helpers.model.invariants import check_tables
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
from tests.helpers.model.world import World

ONE, OTHER, NEIGHBOUR = Content(), Content(version=1), Content(instance=1)
OF_ANOTHER_STUDY, OF_ANOTHER_PATIENT = Content(study=1), Content(instance=2, version=2)
STUDY = Target(ONE.target.study_instance_uid)
INSTANCE = ONE.target

OPERATIONS: dict[str, Operation] = {
    "store of what is new": Store((Content(study=2), OF_ANOTHER_PATIENT)),
    "store of what is known": Store((ONE, OTHER, Content(study=2))),
    "replacement of two": Store((OTHER, Content(instance=1, version=2))),
    "delete of an instance": Delete((INSTANCE,)),
    "delete of a study": Delete((STUDY,)),
    "drops": TakeDrops(),
    "sweep": Sweep(),
    "reindex": Reindex(),
    "stability": MarkStable(),
}
PAIRS = [
    *[(name, "delete of a study") for name in OPERATIONS],
    *[("delete of a study", name) for name in OPERATIONS if name != "delete of a study"],
    *[("store of what is new", "reindex"), ("reindex", "store of what is new")],
    *[("sweep", "reindex"), ("reindex", "sweep"), ("reindex", "reindex")],
    *[("store of what is known", "replacement of two"), ("drops", "store of what is known")],
]
LEFT_OVER = Content(study=0, series=1, version=1)


@contextmanager
def history(world: World, replace: bool) -> Iterator[History]:
    """A history that has begun: two studies, two drops, and a file that a death has left over."""
    world.begin(replace)
    made = History(world)
    made.do(Act(Store((ONE, NEIGHBOUR, OF_ANOTHER_STUDY))))
    made.put_by_hand(key_of(LEFT_OVER), LEFT_OVER)
    made.do(Act(Drop("a", (Content(study=2), OTHER, Junk()))))
    made.do(Act(Drop("b", (OTHER,))))
    yield made
    made.end()


def points_of(world: World, operation: Operation, replace: bool) -> list[str]:
    """The points that the operation comes to when nothing happens to it."""
    with history(world, replace) as made:
        made.do(Act(operation))
        return made.points


def faults_at(number: int, point: str) -> Iterator[Fault]:
    """What may happen at a point; to die after it is to die before the next."""
    yield Fault(Kind.DEATH_BEFORE, number)
    yield Fault(Kind.OUTAGE, number, Cause.GONE)
    yield Fault(Kind.OUTAGE, number, Cause.FULL)
    if point == "put":
        yield Fault(Kind.DEATH_WITHIN, number)
    if point == "commit" or point.partition(" ")[0] in ("put", "delete", "open", "os.rename"):
        yield Fault(Kind.ERROR_BEFORE, number, Cause.FULL)
        yield Fault(Kind.ERROR_BEFORE, number, Cause.GONE)
    if point in ("put", "commit", "delete"):
        yield Fault(Kind.ERROR_AFTER, number)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_fails_or_dies_at_any_point_loses_nothing(quick, folder_world, name):
    operation = OPERATIONS[name]
    for number, point in enumerate(points_of(folder_world, operation, replace=True)):
        for fault in faults_at(number, point):
            print(f"{point}: {fault}")
            with history(folder_world, replace=True) as made:
                made.do(Act(operation, fault))


@pytest.mark.slow
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_an_operation_at_any_point_of_another_loses_nothing(quick, folder_world, one, other):
    for number in range(len(points_of(folder_world, OPERATIONS[one], replace=True))):
        print(f"after {number} points")
        with history(folder_world, replace=True) as made:
            made.do(Act(OPERATIONS[one]), Act(OPERATIONS[other]), runs=[number])


def test_an_index_made_anew_equals_one_whose_first_instance_was_deleted(quick, folder_world):
    with history(folder_world, replace=False) as made:
        made.do(Act(Delete((INSTANCE,))))
        made.end()
        check_tables(folder_world)
