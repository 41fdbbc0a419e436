"""Measurements in turns, so that other work of the machine slows both servers alike."""

import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice

from bench.driver import Client, RefusedError, Request, Run, run_clients
from bench.files import Shape
from bench.report import Goal, Row, Section
from bench.servers import Server
from bench.work import CHECKED, STORES, Place, Read, Store, post, stow

WARM = "/system"
Maker = Callable[[Shape, int, int, int], bytes]


@dataclass(slots=True)
class Pair:
    """Ours and Orthanc; one of them may be missing."""

    ours: Server | None
    theirs: Server | None

    def servers(self, turn: int = 0) -> list[Server]:
        """Return the servers that run; the first changes with every turn."""
        found = [server for server in self.both() if server]
        return found[::-1] if turn % 2 else found

    def both(self) -> tuple[Server | None, Server | None]:
        """Ours, then Orthanc."""
        return self.ours, self.theirs


@dataclass(slots=True)
class Tally:
    """The work of one server in the rounds of a store."""

    runs: list[Run] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Instances per second, the median of all rounds."""
        return statistics.median(run.instances / run.seconds for run in self.runs)

    @property
    def cpu_milliseconds(self) -> float:
        """CPU time of the server for an instance."""
        return self.cpu * 1e3 / sum(run.instances for run in self.runs)


def say(text: str) -> None:
    """Tell on the terminal what goes on."""
    print(text, file=sys.stderr, flush=True)


def stores(pair: Pair, make: Maker, shape: Shape, goal: Goal, quick: bool) -> Section:
    """Every way of storing; two unmeasured studies first."""
    section = Section("Store, 0.5 MB CT")
    studies = iter(range(shape.studies))
    for study in islice(studies, 2):  # the first instances create tables, threads and caches
        files = [make(shape, *place) for place in _places(shape, [study])]
        for server in pair.servers():
            with server.client() as client:
                client.send(stow(files[:25]))
                for file in files[25:]:
                    client.send(post(file))
    for store in STORES:
        batches = (
            [make(shape, *place) for place in _places(shape, islice(studies, store.studies))]
            for _ in range(2 if quick else store.rounds)
        )
        section.rows += _store(pair, store, batches, goal, section.remarks)
    return section


def reads(pair: Pair, title: str, work: Sequence[Read]) -> Section:
    """Every kind of read, with the median time of each."""
    section = Section(title)
    for read in work:
        section.remarks += _check(pair, read)
        section.rows.append(_read(pair, read))
    return section


def load(pair: Pair, make: Maker, shape: Shape, what: str, clients: int = 4) -> Section:
    """Fill both with a collection, each by the way that is fastest for it."""
    section = Section(f"Load of {shape.total:,} {what}")
    rates: list[float | None] = []
    for server in pair.both():
        if server is None:
            rates.append(None)
            continue
        say(f"loading {shape.total:,} instances into {server.name}")
        way = Store("load", clients, 100 if server is pair.ours else 0, 0, 1)
        requests = way.requests([make(shape, *place) for place in shape.places()])
        run = run_clients(server.port, _deal(requests, clients), WARM)
        if run.refused:
            section.remarks.append(f"{server.name} refused {run.refused} requests")
        rates.append(run.instances / run.seconds)
    note = "ours: STOW, 100 per request; Orthanc: POST"
    section.rows.append(Row(f"load, {clients} clients", "/s", rates[0], rates[1], None, note))
    section.remarks += _count_stored(pair, shape)
    return section


def _store(
    pair: Pair, store: Store, batches: Iterable[list[bytes]], goal: Goal, remarks: list[str]
) -> list[Row]:
    say(store.name)
    tallies = {server.name: Tally() for server in pair.servers()}
    for turn, files in enumerate(batches):
        shares = _deal(store.requests(files), store.clients)
        for server in pair.servers(turn):
            tally = tallies[server.name]
            before = server.cpu_seconds()
            tally.runs.append(run_clients(server.port, shares, WARM))
            tally.cpu += server.cpu_seconds() - before
    for name, tally in tallies.items():
        if refused := sum(run.refused for run in tally.runs):
            remarks.append(f"{store.name}: {name} refused {refused} requests")
    both = [tallies[server.name] if server else None for server in pair.both()]
    ours, theirs = (tally.rate if tally else None for tally in both)
    our_cost, their_cost = (tally.cpu_milliseconds if tally else None for tally in both)
    return [
        Row(store.name, "/s", ours, theirs, goal),
        Row("its CPU for an instance", "ms", our_cost, their_cost),
    ]


def _read(pair: Pair, read: Read) -> Row:
    say(read.name)
    seconds: dict[str, list[float]] = {server.name: [] for server in pair.servers()}
    notes = [read.note] if read.note else []
    with ExitStack() as stack:
        clients = {server.name: stack.enter_context(server.client()) for server in pair.servers()}
        for client in clients.values():
            client.send(Request(WARM))
        for turn in range(CHECKED, len(read.ours)):
            for server in pair.servers(turn):
                request = _requests(pair, read, server)[turn]
                try:
                    seconds[server.name].append(_time(clients[server.name], request, read.warm))
                except RefusedError as error:
                    notes.append(f"{server.name}: {error}")
    ours, theirs = (_median(seconds[server.name]) if server else None for server in pair.both())
    return Row(read.name, "ms", ours, theirs, read.goal, "; ".join(dict.fromkeys(notes)))


def _time(client: Client, request: Request, warm: bool) -> float:
    if warm:
        client.time(request)
    return client.time(request)


def _median(seconds: Sequence[float]) -> float | None:
    return statistics.median(seconds) * 1e3 if seconds else None


def _check(pair: Pair, read: Read) -> list[str]:
    """Return the differences between the answers to the first requests."""
    seen: dict[str, list[object]] = {}
    for server in pair.servers():
        with server.client() as client:
            requests = _requests(pair, read, server)[:CHECKED]
            seen[server.name] = [_content(client, read, request) for request in requests]
    first, *others = seen.values()
    if all(first == other for other in others):
        return []
    return [f"{read.name}: the answers differ: {_brief(seen)}"]


def _content(client: Client, read: Read, request: Request) -> object:
    answer = client.send(request)
    if answer.status not in (200, 204):
        return f"status {answer.status}"
    content: object = read.content(answer)
    return content


def _brief(seen: dict[str, list[object]]) -> str:
    texts = (f"{name} {contents}" for name, contents in seen.items())
    return "; ".join(text if len(text) < 200 else f"{text[:200]}…" for text in texts)


def _count_stored(pair: Pair, shape: Shape) -> list[str]:
    """Return a remark for each server that lacks some of the instances sent."""
    remarks = []
    for server in pair.servers():
        with server.client() as client:
            count = client.send(Request("/statistics")).json()["CountInstances"]
        if count != shape.total:
            remarks.append(f"{server.name} holds {count} of {shape.total} instances")
    return remarks


def _requests(pair: Pair, read: Read, server: Server) -> Sequence[Request]:
    return read.ours if server is pair.ours else read.theirs


def _places(shape: Shape, studies: Iterable[int]) -> Iterator[Place]:
    for study in studies:
        for series in range(shape.series):
            for instance in range(shape.instances):
                yield study, series, instance


def _deal(requests: Sequence[Request], clients: int) -> list[Sequence[Request]]:
    return [requests[client::clients] for client in range(clients)]
