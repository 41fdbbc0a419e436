"""Many write into one index at once: threads share transactions, processes queue."""

import dataclasses
import fcntl
import multiprocessing
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from lenticular.index import Index
from lenticular.index.records import Outcome, Statistics
from tests.helpers.indexes import counts, new, target


def test_threads_share_transactions_and_counts_stay_exact(index):
    batches = [[new("s", 1 + n % 3, n), new("s", 1, 999)] for n in range(1, 41)]

    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(index.writer.add, batches))

    stored = [each for batch in added for each in batch if each.outcome is Outcome.STORED]
    assert len(stored) == 41
    assert counts(index)[:2] == (3, 41)
    assert index.retrieval.statistics() == Statistics(1, 1, 3, 41, 41_000)


@pytest.mark.parametrize("url", ["SQLite"], indirect=True)
def test_a_bad_batch_harms_only_itself(index, url):
    bad = dataclasses.replace(new("bad"), size=2**70)  # no database has such an integer
    with (
        open(url.removeprefix("sqlite:///") + ".lock", "w") as lock,
        ThreadPoolExecutor(6) as pool,
    ):
        # While another process writes, batches pile up and become one transaction.
        fcntl.flock(lock, fcntl.LOCK_EX)
        answers = [pool.submit(index.writer.add, [new(n)]) for n in range(2)]
        time.sleep(0.2)
        answers += [pool.submit(index.writer.add, [each]) for each in (new(2), bad, new(3))]
        time.sleep(0.2)
        fcntl.flock(lock, fcntl.LOCK_UN)

        with pytest.raises(OverflowError):
            answers[3].result(timeout=20)
        good = [answer.result(timeout=20)[0].outcome for answer in answers if answer != answers[3]]

    assert good == [Outcome.STORED] * 4
    assert index.retrieval.statistics() == Statistics(4, 4, 4, 4, 4000)
    assert index.retrieval.find(target("bad")) == []


def add_some(url, worker, together):
    """Another process: instances of its own and instances that every process adds."""
    index = Index(url)
    index.migrate()
    failed = []
    threads = [
        threading.Thread(target=add_few, args=(index, worker, thread, together, failed))
        for thread in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    index.close()
    sys.exit(len(failed))


def add_few(index, worker, thread, together, failed):
    together.wait(timeout=60)
    try:
        for n in range(1, 11):
            own = [new("s", worker + 1, 100 * thread + n), new(("own", worker))]
            index.writer.add([own[0], new("s", 99, n), own[1]])
    except Exception as error:
        failed.append(error)
        raise


@pytest.mark.slow
@pytest.mark.parametrize(("url", "processes"), [("SQLite", 3), ("MariaDB", 8)], indirect=["url"])
def test_processes_add_to_one_study_and_counts_stay_exact(url, processes):
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2 * processes)
    workers = [context.Process(target=add_some, args=(url, n, together)) for n in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)

    assert [worker.exitcode for worker in workers] == [0] * processes
    index = Index(url)
    total = 20 * processes + 10
    series, instances, of_each = counts(index)
    assert (series, instances) == (processes + 1, total)
    assert sorted(of_each) == [10] + [20] * processes
    studies = processes + 1
    expected = (studies, studies, studies + processes, total + processes)
    assert index.retrieval.statistics() == Statistics(*expected, 1000 * expected[-1])
    sequence = [change.sequence for change in index.changes.page(0, 10_000)]
    assert sequence == sorted(set(sequence))
    assert len(sequence) == sum(expected)
    index.close()
