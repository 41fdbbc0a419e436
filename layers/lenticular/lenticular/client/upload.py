"""Upload: which source goes which way, several requests at once, and what became of each."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import chain
from pathlib import Path

import click

from lenticular.client import stow, upload_session
from lenticular.client.body import Cancelled
from lenticular.client.connection import CONNECTIONS, Authorizer, Server, UploadFailed
from lenticular.client.journal import Journal, open_journal
from lenticular.client.progress import Progress
from lenticular.client.report import Fate, Report
from lenticular.client.sources import Source, find
from lenticular.client.transfer import Job, Sending, groups
from lenticular.client.upload_session import NoUploads, TicketGone, TicketRefused, UploadSession

# A server takes 1,000 files in one ticket, but an answer with a URL for each part must stay short.
TICKET_FILES = 100
TICKET_BYTES = 16 * 1024**3
FIRST_LOOK_SECONDS = 0.5
LOOK_SECONDS = 10


def upload_all(
    paths: Sequence[Path],
    url: str,
    authorizer: Authorizer,
    *,
    restart: bool = False,
    patience: float = 600,
) -> bool:
    """Upload everything; tell what became of it; whether all of it is stored."""
    server = Server(url, authorizer)
    sources = list(dict.fromkeys(chain.from_iterable(find(path) for path in paths)))
    journal = _journal(url, paths, restart=restart)
    if not journal.is_empty:
        click.echo("Going on where this upload broke off (--restart sends everything again).")
    problem = None
    with Progress(len(sources), sum(source.size for source in sources)) as progress:
        report = Report(sources, journal, progress)
        try:
            UploadRun(server, report).run(patience)
        except UploadFailed as error:
            problem = str(error)
        except BaseException:
            server.stop.set()
            raise
    report.tell()
    journal.close(finished=report.is_finished)
    if problem is not None:
        raise UploadFailed(problem)
    return report.is_success


def _journal(url: str, paths: Sequence[Path], *, restart: bool) -> Journal:
    try:
        return open_journal(url, paths, restart=restart)
    except OSError as error:
        click.echo(f"This upload cannot go on after a break, for want of notes: {error}", err=True)
        return Journal()


class UploadRun:
    """A run over all sources that have no outcome yet."""

    def __init__(self, server: Server, report: Report) -> None:
        self._server = server
        self._report = report
        self._limit = stow.REQUEST_BYTES
        self._has_uploads = True
        self._tickets: list[UploadSession] = []
        self._ready: deque[Job] = deque()
        self._too_large: list[Source] = []

    def run(self, patience: float) -> None:
        """Send, and wait until the server has said what became of everything it got."""
        self._report.recall()
        planned = self._plan()
        running: set[Future[list[Job]]] = set()
        executor = ThreadPoolExecutor(CONNECTIONS)
        try:
            while True:
                while len(running) < 2 * CONNECTIONS and (job := self._next(planned, running)):
                    running.add(executor.submit(job))
                if not running:
                    break
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    self._ready += future.result()
            executor.shutdown()
        except UploadFailed:
            self._server.stop.set()
            executor.shutdown(cancel_futures=True)
            raise
        except BaseException:
            self._server.stop.set()
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        self._await_outcomes(patience)

    def _next(self, planned: Iterator[Job], running: set[Future[list[Job]]]) -> Job | None:
        if self._ready:
            return self._ready.popleft()
        job = next(planned, None)
        if job is None and self._too_large and not running:
            sources, self._too_large = self._too_large, []
            self._ready += self._large(sources)
            return self._ready.popleft() if self._ready else None
        return job

    def _plan(self) -> Iterator[Job]:
        """The jobs, made when their turn comes: URLs expire, and limits are learned on the way."""
        yield from self._resumed()
        known = {source for ticket in self._tickets for source in ticket.sources.values()}
        rest = [source for source in self._report.open_sources() if source not in known]
        small = [source for source in rest if stow.fits(source, self._limit)]
        for batch in stow.batches(small, lambda: self._limit):
            yield partial(self._send_batch, batch)
        yield from self._large([source for source in rest if not stow.fits(source, self._limit)])

    def _resumed(self) -> Iterator[Job]:
        """What is left to do of the tickets of an earlier run."""
        by_key = {source.key: source for source in self._report.open_sources()}
        # Of a file that was sent more than once, the last attempt counts.
        for upload, files in reversed(self._report.journal.uploads.items()):
            sources = {number: by_key[key] for number, key in files.items() if key in by_key}
            if not sources:
                continue
            try:
                ticket = upload_session.reopen(self._server, upload, sources)
            except TicketGone:
                self._report.journal.forget_upload(upload)
                continue
            for source in sources.values():
                del by_key[source.key]
            yield from self._sent_by(ticket)

    def _large(self, sources: list[Source]) -> Iterator[Job]:
        for group in groups(sources, TICKET_FILES, TICKET_BYTES):
            yield from self._by_ticket(group)

    def _by_ticket(self, group: list[Source]) -> Iterator[Job]:
        if self._has_uploads:
            try:
                ticket = upload_session.begin(self._server, group)
            except NoUploads:
                self._has_uploads = False
            except TicketRefused as error:
                yield from self._one_by_one(group, str(error))
                return
            else:
                files = {number: source.key for number, source in ticket.sources.items()}
                self._report.journal.note_upload(ticket.id, files)
                yield from self._sent_by(ticket)
                return
        for source in group:
            yield partial(self._send_large, source)

    def _one_by_one(self, group: list[Source], why: str) -> Iterator[Job]:
        """One file may have spoilt it for the others."""
        if len(group) == 1:
            self._report.refused(group[0], why)
            return
        for source in group:
            yield from self._by_ticket([source])

    def _sent_by(self, ticket: UploadSession) -> Iterator[Job]:
        self._tickets.append(ticket)
        for number in ticket.sources:
            sending = Sending(self._server, self._report, ticket, number)
            self._report.progress.add_bytes(sending.arrived_bytes())
            yield from sending.jobs()

    def _send_batch(self, batch: list[Source]) -> list[Job]:
        refused = stow.send_batch(self._server, batch, self._report)
        if refused is None:
            return []
        if len(refused.sources) == 1:
            self._too_large += refused.sources
            return []
        # Learned for all that follow.
        half = sum(source.size for source in refused.sources) // 2
        self._limit = min(self._limit, half)
        again = stow.batches(refused.sources, lambda: self._limit)
        return [partial(self._send_batch, batch) for batch in again]

    def _send_large(self, source: Source) -> list[Job]:
        refused = stow.send_large(self._server, source, self._report)
        if refused is not None:
            self._report.refused(source, refused.reason)
        return []

    def _await_outcomes(self, patience: float) -> None:
        """Ask the server what became of what has arrived, until it says nothing new for long."""
        pause = FIRST_LOOK_SECONDS
        last_news = time.monotonic()
        while (waiting := self._report.count(Fate.WAITING)) and (
            time.monotonic() - last_news < patience
        ):
            for ticket in self._tickets:
                self._look(ticket)
            if self._report.count(Fate.WAITING) < waiting:
                last_news, pause = time.monotonic(), FIRST_LOOK_SECONDS
                continue
            try:
                self._server.pause(pause)
            except Cancelled:
                return
            pause = min(2 * pause, LOOK_SECONDS)

    def _look(self, ticket: UploadSession) -> None:
        """Take over the outcomes that a ticket tells."""
        waiting = {
            number: source
            for number, source in ticket.sources.items()
            if self._report.is_waiting(source)
        }
        if not waiting:
            return
        try:
            ticket.refresh()
        except TicketGone as error:
            self._report.journal.forget_upload(ticket.id)
            for source in waiting.values():
                self._report.failed(source, f"the server has forgotten the upload: {error}")
            return
        for number, source in waiting.items():
            self._take_outcome(source, ticket.file(number))

    def _take_outcome(self, source: Source, file: dict[str, object]) -> None:
        if file["status"] == "stored":
            self._report.stored([source])
        elif file["status"] == "refused":
            self._report.refused(source, "; ".join(_reasons(file.get("refusals"))))


def _reasons(refusals: object) -> Iterable[str]:
    if isinstance(refusals, list):
        yield from (str(refusal["reason"]) for refusal in refusals)
