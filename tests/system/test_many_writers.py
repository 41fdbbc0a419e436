"""Sixteen processes store into one study on MariaDB, as Lambdas do, and some are killed."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import func, select

from lenticular.dicom.model import Level, Target
from lenticular.dicom.orthanc_id import orthanc_id
from lenticular.index import Index
from lenticular.index.records import Outcome
from lenticular.index.sql.schema import instances, metadata, series, studies
from lenticular.services import Services, open_services
from lenticular.settings import Settings, load, to_environment
from lenticular.transactions.store.store import store
from lenticular.transactions.upkeep import sweep_and_reindex
from tests.helpers import samples

PROCESSES = 16
CALLS = 4
KILLED = 12
MODALITIES = ("CT", "MR", "PT", "US")
# What depends on when and in which order the files came, which no file tells: row ids and the
# numbers of changes, times, and what was told to be stable.
BY_ARRIVAL = frozenset({"row_id", "sequence", "created", "updated", "settled"})
IN_ANY_ORDER = frozenset({"modalities_in_study", "sop_classes_in_study"})


def file_of(study, one_series, instance, modality="CT"):
    """A file whose series has the modality."""
    attributes = {"PatientID": "P", "Modality": modality}
    return samples.encode(samples.dataset(study, one_series, instance, **attributes))


def files_of(worker, call):
    """One of its own series, one of a series of all, one that all store, one of its own study."""
    number = 100 * worker + call
    return [
        file_of("many", worker + 1, call, MODALITIES[worker % len(MODALITIES)]),
        file_of("many", 99, number),
        file_of("many", 98, call),
        file_of(f"own {worker}", 1, call),
    ]


def put(services, files):
    """Store files in one call, as a request does."""
    with contextlib.ExitStack() as stack:
        spools = [stack.enter_context(services.new_spool()) for _ in files]
        for spool, file in zip(spools, files, strict=True):
            spool.write(file)
        return store(services, spools)


def work(settings, worker, calls, folder):
    """One of them: store, and write down what was acknowledged."""
    journal = (folder / f"journal {worker}").open("ab", buffering=0)
    with closing(open_services(settings)) as services, journal:
        for call in range(1, calls + 1):
            if (folder / "stop").exists():
                break
            files = files_of(worker, call)
            for result, file in zip(put(services, files), files, strict=True):
                assert result.outcome is not None, result.detail
                target, sha256 = result.target, hashlib.sha256(file).hexdigest()
                uids = target.study_instance_uid, target.series_instance_uid
                line = json.dumps([*uids, target.sop_instance_uid, sha256, result.outcome])
                journal.write(line.encode() + b"\n")


def fork_all(folder, calls):
    """Start them from one process that has imported everything; tell how each has ended."""
    gate, opening = os.pipe()
    pids = []
    for worker in range(PROCESSES):
        pids.append(os.fork())
        if pids[-1] == 0:
            os.close(opening)
            os.read(gate, 1)  # until all are there
            work(load(), worker, calls, folder)
            os._exit(0)
    (folder / "pids").write_text(json.dumps(pids))
    os.close(opening)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]))


def started(settings, folder, calls):
    """The process from which they come."""
    environment = {**os.environ, **to_environment(settings)}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    command = [sys.executable, "-m", __name__, str(folder), str(calls)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)


def ended(process):
    """How each of them has ended."""
    with process:
        output, _ = process.communicate(timeout=120)
        return json.loads(output)


def acknowledged(folder):
    """What was acknowledged: study, series, instance, SHA-256, outcome."""
    written = [journal.read_bytes() for journal in folder.glob("journal *")]
    # The last line of one that was killed may be half a line.
    return [json.loads(line) for text in written for line in text.split(b"\n")[:-1]]


def exact_counts(index):
    """Whether every study and series says of itself what its rows say."""
    with index.database.connect() as connection:
        said = connection.execute(
            select(studies.c.row_id, studies.c.number_of_study_related_series,
                   studies.c.number_of_study_related_instances, studies.c.size)
            .order_by(studies.c.row_id)
        ).all()  # fmt: skip
        counted = connection.execute(
            select(studies.c.row_id, func.count(series.c.row_id.distinct()), func.count(),
                   func.sum(instances.c.size))
            .select_from(studies.join(series).join(instances))
            .group_by(studies.c.row_id).order_by(studies.c.row_id)
        ).all()  # fmt: skip
        assert [tuple(map(int, row)) for row in said] == [tuple(map(int, row)) for row in counted]
        of_series = connection.execute(
            select(series.c.number_of_series_related_instances, series.c.size, func.count(),
                   func.sum(instances.c.size))
            .select_from(series.outerjoin(instances)).group_by(series.c.row_id)
        ).all()  # fmt: skip
        assert all((row[0], row[1]) == (row[2], row[3]) for row in of_series)


def complete_feed(index):
    """The changes, of which none is missing and each comes after the one before."""
    changes = index.changes.page(0, 100_000)
    numbers = [change.sequence for change in changes]
    assert numbers == sorted(set(numbers))
    told = Counter(change.level for change in changes if change.kind.startswith("New"))
    total = index.retrieval.statistics()
    stored = (total.patients, total.studies, total.series, total.instances)
    assert tuple(told[level] for level in Level) == stored
    return changes


def test_sixteen_processes_store_into_one_study_and_counts_are_exact(mariadb_url, tmp_path):
    settings = Settings(data=tmp_path / "data", index=mariadb_url)

    assert ended(started(settings, tmp_path, CALLS)) == [0] * PROCESSES

    outcomes = Counter(line[-1] for line in acknowledged(tmp_path))
    new = 3 * PROCESSES * CALLS + CALLS
    assert outcomes == {Outcome.STORED: new, Outcome.ALREADY_STORED: (PROCESSES - 1) * CALLS}
    with closing(open_services(settings)) as services:
        study = services.index.orthanc.resource(
            Level.STUDY, orthanc_id("P", samples.study_uid("many"))
        )
        assert study.series_count == PROCESSES + 2
        assert study.instance_count == 2 * PROCESSES * CALLS + CALLS
        files = {file for n in range(PROCESSES) for c in range(1, CALLS + 1)
                 for file in files_of(n, c)[:3]}  # fmt: skip
        assert study.size == sum(map(len, files))
        with services.index.database.connect() as connection:
            marked = connection.scalar(
                select(studies.c.modalities_in_study).where(studies.c.row_id == study.row_id)
            )
        assert sorted(marked.strip("\\").split("\\")) == ["ct", "mr", "pt", "us"]
        exact_counts(services.index)
        complete_feed(services.index)
        assert services.index.retrieval.statistics().patients == 1


def kill_some(folder, chance):
    """Kill three of four at moments of their own, once they are at work."""
    deadline = time.monotonic() + 60
    while len(acknowledged(folder)) < 2 * PROCESSES and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in chance.sample(json.loads((folder / "pids").read_text()), KILLED):
        time.sleep(chance.uniform(0, 0.15))
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_whoever_is_killed_loses_nothing_acknowledged(mariadb, mariadb_url, bucket, tmp_path):
    settings = Settings(data=tmp_path, storage=f"s3://{bucket}", index=mariadb_url)
    process = started(settings, tmp_path, calls=1000)
    kill_some(tmp_path, random.Random(3))
    (tmp_path / "stop").touch()
    assert Counter(ended(process)) == {-signal.SIGKILL: KILLED, 0: PROCESSES - KILLED}

    with closing(open_services(settings)) as services:
        index, storage = services.index, services.storage
        stored = {each.target: each for each in all_instances(index)}
        for *uids, sha256, _ in acknowledged(tmp_path):
            assert stored[Target(*uids)].sha256.hex() == sha256
        kept = {key for key, _, _ in storage.keys("instances/")}
        assert {each.key for each in stored.values()} <= kept
        exact_counts(index)
        complete_feed(index)

        swept = sweep_and_reindex.sweep(services, older_than_seconds=-5)
        assert swept.removed == len(kept) - len(stored)
        assert {key for key, _, _ in storage.keys("instances/")} == {
            each.key for each in stored.values()
        }
        rebuilt = Services(settings, storage, Index(mariadb.new_database()))
        with closing(rebuilt):
            rebuilt.index.migrate()
            assert sweep_and_reindex.reindex(rebuilt).filed == len(stored)
            assert contents(rebuilt.index) == contents(index)


def all_instances(index):
    """Every instance of the index."""
    with index.database.connect() as connection:
        uids = connection.scalars(select(studies.c.study_instance_uid)).all()
    return [each for uid in uids for each in index.retrieval.find(Target(uid))]


def contents(index):
    """All rows of all tables, told by Orthanc ids instead of numbers, but for BY_ARRIVAL."""
    with index.database.connect() as connection:
        tables = {
            t.name: connection.execute(select(t)).mappings().all() for t in metadata.sorted_tables
        }
    named = {
        name: {row["row_id"]: row["orthanc_id"] for row in tables[plural]}
        for name, plural in (
            *(("patient_row_id", "patients"), ("study_row_id", "studies")),
            *(("series_row_id", "series"), ("instance_row_id", "instances")),
        )
    }

    def told(name, value):
        if name in named:
            return named[name][value]
        return sorted(value.split("\\")) if name in IN_ANY_ORDER else value

    def row_of(row):
        return repr([(n, told(n, value)) for n, value in row.items() if n not in BY_ARRIVAL])

    return {name: sorted(map(row_of, rows)) for name, rows in tables.items()}


if __name__ == "__main__":
    import boto3  # noqa: F401  before the fork, for all of them

    fork_all(Path(sys.argv[1]), int(sys.argv[2]))
