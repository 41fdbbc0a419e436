"""What must hold after every history, whatever it was."""

import time
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Table, select

from lenticular.dicom.model import Level
from lenticular.errors import Conflict
from lenticular.index import Index
from lenticular.index.sql import schema
from lenticular.index.sql.schema import (
    changes,
    documents,
    frames,
    instances,
    patients,
    series,
    studies,
)
from lenticular.services import Services
from lenticular.transactions.search import parse_query, search
from lenticular.transactions.store.keys import target_of_key
from lenticular.transactions.upkeep.stability import mark_stable
from lenticular.transactions.upkeep.sweep_and_reindex import reindex, sweep
from tests.helpers.model.ports import database_of
from tests.helpers.model.world import World, rows_by_target

LEVELS = {
    Level.PATIENT: patients,
    Level.STUDY: studies,
    Level.SERIES: series,
    Level.INSTANCE: instances,
}
NOT_COMPARED = {"row_id", "created", "updated", "settled", "sequence", "known", "started", "since"}
"""Times, and numbers in the order of arrival."""


def check_everything(world: World) -> None:
    """Check all of it; the world is swept on the way."""
    services = world.admin
    mark_stable(services)
    check_search(world)
    check_counts(services.index)
    check_feed(services.index)
    check_files(world)
    check_reindex(world)


def rows_of(index: Index, table: Table) -> list[dict[str, Any]]:
    """All rows of a table."""
    with database_of(index).connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def feed_of(index: Index, since: int) -> list[dict[str, Any]]:
    """The feed after a number, in its order."""
    wanted = select(changes).where(changes.c.sequence > since).order_by(changes.c.sequence)
    with database_of(index).connect() as connection:
        return [dict(row) for row in connection.execute(wanted).mappings()]


def check_search(world: World) -> None:
    """Every row is found by a search, once."""
    query, _ = parse_query(Level.INSTANCE, None, [])
    found = Counter(
        orjson.loads(match)["00080018"]["Value"][0]
        for match in search(world.admin, query, "http://here").matches
    )
    expected = Counter(target.sop_instance_uid for target in world.rows())
    assert found == expected, "a search does not find each instance once"


def check_counts(index: Index) -> None:
    """Counts, sizes, modalities and SOP classes are those of what is there; nothing is left."""
    rows = {level: rows_of(index, table) for level, table in LEVELS.items()}
    for row in rows[Level.SERIES]:
        below = [one for one in rows[Level.INSTANCE] if one["series_row_id"] == row["row_id"]]
        assert below, "a series is empty"
        assert row["number_of_series_related_instances"] == len(below)
        assert row["size"] == sum(one["size"] for one in below)
    for row in rows[Level.STUDY]:
        _check_study(row, rows[Level.SERIES], rows[Level.INSTANCE])
    for row in rows[Level.PATIENT]:
        below = [one for one in rows[Level.STUDY] if one["patient_row_id"] == row["row_id"]]
        assert below, "a patient has no study"
    ids = {row["row_id"] for row in rows[Level.INSTANCE]}
    assert {row["instance_row_id"] for row in rows_of(index, documents)} == ids
    assert {row["instance_row_id"] for row in rows_of(index, frames)} <= ids
    _check_attributes(index, rows)


def _check_study(study: Any, all_series: list[Any], all_instances: list[Any]) -> None:
    below = [one for one in all_series if one["study_row_id"] == study["row_id"]]
    series_ids = {one["row_id"] for one in below}
    of_study = [one for one in all_instances if one["series_row_id"] in series_ids]
    assert below, "a study is empty"
    assert study["number_of_study_related_series"] == len(below)
    assert study["number_of_study_related_instances"] == len(of_study)
    assert study["size"] == sum(one["size"] for one in of_study)
    modalities = {one["modality"] for one in below if one["modality"]}
    assert _elements(study["modalities_in_study"]) == modalities
    classes = {one["sop_class_uid"] for one in of_study}
    assert _elements(study["sop_classes_in_study"]) == classes


def _elements(marked: str | None) -> set[str]:
    from lenticular.index.write import rows

    found = rows.elements_of(marked)
    assert len(found) == len(set(found)), "a value is there twice"
    return set(found)


def _check_attributes(index: Index, rows: dict[Level, list[Any]]) -> None:
    for table, column, level in (
        (schema.study_attributes, "study_row_id", Level.STUDY),
        (schema.series_attributes, "series_row_id", Level.SERIES),
    ):
        found = {row[column] for row in rows_of(index, table)}
        assert found == {row["row_id"] for row in rows[level]}, f"attributes of each {level}"


def check_feed(index: Index, *, with_stability: bool = True) -> None:
    """The feed tells what is there: read from its beginning it ends at the rows."""
    there: dict[Level, set[bytes]] = {level: set() for level in LEVELS}
    stable: set[bytes] = set()
    known: set[tuple[str, ...]] = set()
    for entry in feed_of(index, 0):
        level, orthanc_id = Level(entry["level"]), entry["orthanc_id"]
        if entry["kind"] == f"New{level}":
            assert orthanc_id not in there[level], "the feed makes anew what is there"
            there[level].add(orthanc_id)
            stable.discard(orthanc_id)
        else:
            assert orthanc_id in there[level], (
                f"the feed tells {entry['kind']} of what is not there"
            )
        if entry["kind"] == "Deleted":
            there[level].discard(orthanc_id)
        if entry["kind"] == f"Stable{level}":
            stable.add(orthanc_id)
        if level is Level.INSTANCE:
            _follow(known, entry)
    for level, table in LEVELS.items():
        ids = {row["orthanc_id"] for row in rows_of(index, table)}
        assert there[level] == ids, f"the feed ends at another set of {level} than the rows"
        if with_stability and level is not Level.INSTANCE:
            assert ids <= stable, f"a {level} that is stable was never told"
    assert len(known) == len(there[Level.INSTANCE])


def _follow(known: set[tuple[str, ...]], entry: Any) -> None:
    """The feed of instances: made when it was not there, changed and deleted when it was."""
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    uids = tuple(entry[name] for name in names)
    assert all(uids), "the feed of instances lacks a UID"
    if entry["action"] == "create":
        assert uids not in known, "the feed of instances makes anew what is there"
        known.add(uids)
    elif entry["action"]:
        assert uids in known, f"the feed of instances tells {entry['action']} of what is not there"
    if entry["action"] == "delete":
        known.remove(uids)


def check_files(world: World) -> None:
    """Every row has its file, byte for byte, and after a sweep every file has its row."""
    try:
        sweep(world.admin, older_than_seconds=time.time() - world.clock.tick())
    except Conflict:
        assert not world.rows(), "sweep takes an index that is not empty for lost"
        return
    files = world.files("instances")
    rows = world.rows()
    for row in rows.values():
        assert row.key in files, f"{row.key} is gone"
        assert len(files[row.key]) == row.size
        assert sha256(files[row.key]).digest() == row.sha256, f"{row.key} has other bytes"
    # Files that people put there under other names stay until a reindex takes them.
    ours = {key for key in files if target_of_key(key)}
    assert ours == {row.key for row in rows.values()}, "a file has no row after a sweep"


def check_reindex(world: World) -> None:
    """An index made anew from the files has the same instances."""
    if world.rows():
        assert rows_by_target(_made_anew(world).index) == world.rows()


def check_tables(world: World) -> None:
    """An index made anew from the files is the index that there is, table by table."""
    before, after = canonical(world.admin.index), canonical(_made_anew(world).index)
    for name, rows in before.items():
        assert after[name] == rows, f"reindex makes other {name}: {_difference(rows, after[name])}"


def _made_anew(world: World) -> Services:
    services: Services = replace(world.admin, index=world.empty_index())
    done = reindex(services)
    assert done.complete
    assert done.unreadable == 0
    mark_stable(services)
    return services


def _difference(before: list[Any], after: list[Any]) -> list[Any]:
    return [
        {key: (one[key], other[key]) for key in one if one[key] != other[key]}
        for one, other in zip(before, after, strict=False)
        if one != other
    ]


def canonical(index: Index) -> dict[str, list[dict[str, Any]]]:
    """The tables but for times and numbers: what rows refer to is named by its Orthanc id."""
    names: dict[str, dict[int, bytes]] = {
        table.name: {row["row_id"]: row["orthanc_id"] for row in rows_of(index, table)}
        for table in LEVELS.values()
    }
    references = {f"{level}_row_id": names[table.name] for level, table in LEVELS.items()}
    references = {name.lower(): ids for name, ids in references.items()}
    result: dict[str, list[dict[str, Any]]] = {}
    for table in schema.metadata.sorted_tables:
        if table.name in ("changes", "query_tags") or table in schema.TAG_VALUES.values():
            continue
        rows = [_named(row, references) for row in rows_of(index, table)]
        result[table.name] = sorted(rows, key=repr)
    for level, table in schema.TAG_VALUES.items():
        ids = names[LEVELS[level].name]
        rows = [row | {"row_id": ids[row["row_id"]]} for row in rows_of(index, table)]
        result[table.name] = sorted(rows, key=repr)
    return result


def _named(row: dict[str, Any], references: dict[str, dict[int, bytes]]) -> dict[str, Any]:
    return {
        name: references[name].get(value) if name in references else value
        for name, value in row.items()
        if name not in NOT_COMPARED
    }
