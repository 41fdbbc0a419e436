"""Upload: choose the way of each source, send several requests at the same time, and wait."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import chain
from pathlib import Path

import click

from lenticular.client import stow, upload_session
from lenticular.client.connection import CONNECTIONS, Authorizer, Server, UploadFailed
from lenticular.client.journal import Journal, open_journal
from lenticular.client.progress import Progress
from lenticular.client.report import Report, SourceStatus
from lenticular.client.sources import Source, find
from lenticular.client.streamed_body import Cancelled
from lenticular.client.transfer import FileTransfer, Job, groups
from lenticular.client.upload_session import NoUploads, SessionGone, SessionRefused, UploadSession

# A server takes 1,000 files in a session, but a response with a URL for each part must stay short.
SESSION_FILES = 100
SESSION_BYTES = 16 * 1024**3
FIRST_POLL_SECONDS = 0.5
POLL_SECONDS = 10


def upload_all(
    paths: Sequence[Path],
    url: str,
    authorizer: Authorizer,
    *,
    restart: bool = False,
    patience: float = 600,
) -> bool:
    """Upload everything and print the outcome. Return True if all of it is stored."""
    server = Server(url, authorizer)
    sources = list(dict.fromkeys(chain.from_iterable(find(path) for path in paths)))
    journal = _journal(url, paths, restart=restart)
    if not journal.is_empty:
        click.echo("Resuming an earlier upload (--restart sends everything again).")
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
    report.print_summary()
    journal.close(finished=report.is_finished)
    if problem is not None:
        raise UploadFailed(problem)
    return report.is_success


def _journal(url: str, paths: Sequence[Path], *, restart: bool) -> Journal:
    try:
        return open_journal(url, paths, restart=restart)
    except OSError as error:
        click.echo(
            f"This upload cannot be resumed later (no journal could be written): {error}", err=True
        )
        return Journal()


class UploadRun:
    """One run over all sources without an outcome."""

    def __init__(self, server: Server, report: Report) -> None:
        self._server = server
        self._report = report
        self._limit = stow.REQUEST_BYTES
        self._has_uploads = True
        self._sessions: list[UploadSession] = []
        self._ready: deque[Job] = deque()
        self._too_large: list[Source] = []

    def run(self, patience: float) -> None:
        """Send everything, and wait until the server has stored or refused it."""
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
        self._wait_for_outcomes(patience)

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
        """Yield each job when its turn comes: URLs expire, and limits are learned on the way."""
        yield from self._resumed()
        known = {source for session in self._sessions for source in session.sources.values()}
        rest = [source for source in self._report.open_sources() if source not in known]
        small = [source for source in rest if stow.fits(source, self._limit)]
        for batch in stow.batches(small, lambda: self._limit):
            yield partial(self._send_batch, batch)
        yield from self._large([source for source in rest if not stow.fits(source, self._limit)])

    def _resumed(self) -> Iterator[Job]:
        """Yield the jobs that are left of the sessions of earlier runs."""
        by_key = {source.key: source for source in self._report.open_sources()}
        # Of a file that was sent more than once, the last attempt counts.
        for upload, files in reversed(self._report.journal.uploads.items()):
            sources = {number: by_key[key] for number, key in files.items() if key in by_key}
            if not sources:
                continue
            try:
                session = upload_session.reopen(self._server, upload, sources)
            except SessionGone:
                self._report.journal.forget_upload(upload)
                continue
            for source in sources.values():
                del by_key[source.key]
            yield from self._transfer_jobs(session)

    def _large(self, sources: list[Source]) -> Iterator[Job]:
        for group in groups(sources, SESSION_FILES, SESSION_BYTES):
            yield from self._by_session(group)

    def _by_session(self, group: list[Source]) -> Iterator[Job]:
        if self._has_uploads:
            try:
                session = upload_session.begin(self._server, group)
            except NoUploads:
                self._has_uploads = False
            except SessionRefused as error:
                yield from self._one_by_one(group, str(error))
                return
            else:
                files = {number: source.key for number, source in session.sources.items()}
                self._report.journal.note_upload(session.id, files)
                yield from self._transfer_jobs(session)
                return
        for source in group:
            yield partial(self._send_large, source)

    def _one_by_one(self, group: list[Source], why: str) -> Iterator[Job]:
        """Try each source alone: one of them may be the reason for the refusal."""
        if len(group) == 1:
            self._report.refused(group[0], why)
            return
        for source in group:
            yield from self._by_session([source])

    def _transfer_jobs(self, session: UploadSession) -> Iterator[Job]:
        self._sessions.append(session)
        for number in session.sources:
            sending = FileTransfer(self._server, self._report, session, number)
            self._report.progress.add_bytes(sending.arrived_bytes())
            yield from sending.jobs()

    def _send_batch(self, batch: list[Source]) -> list[Job]:
        refused = stow.send_batch(self._server, batch, self._report)
        if refused is None:
            return []
        if len(refused.sources) == 1:
            self._too_large += refused.sources
            return []
        # All later requests stay below this limit, too.
        half = sum(source.size for source in refused.sources) // 2
        self._limit = min(self._limit, half)
        again = stow.batches(refused.sources, lambda: self._limit)
        return [partial(self._send_batch, batch) for batch in again]

    def _send_large(self, source: Source) -> list[Job]:
        refused = stow.send_large(self._server, source, self._report)
        if refused is not None:
            self._report.refused(source, refused.reason)
        return []

    def _wait_for_outcomes(self, patience: float) -> None:
        """Poll until nothing is waiting, or nothing changed for `patience` seconds."""
        pause = FIRST_POLL_SECONDS
        last_news = time.monotonic()
        while (waiting := self._report.count(SourceStatus.WAITING)) and (
            time.monotonic() - last_news < patience
        ):
            for session in self._sessions:
                self._poll(session)
            if self._report.count(SourceStatus.WAITING) < waiting:
                last_news, pause = time.monotonic(), FIRST_POLL_SECONDS
                continue
            try:
                self._server.pause(pause)
            except Cancelled:
                return
            pause = min(2 * pause, POLL_SECONDS)

    def _poll(self, session: UploadSession) -> None:
        """Get a session, and note the outcomes of its files."""
        waiting = {
            number: source
            for number, source in session.sources.items()
            if self._report.is_waiting(source)
        }
        if not waiting:
            return
        try:
            session.refresh()
        except SessionGone as error:
            self._report.journal.forget_upload(session.id)
            for source in waiting.values():
                self._report.failed(
                    source, f"the server does not know this upload any more: {error}"
                )
            return
        for number, source in waiting.items():
            self._take_outcome(source, session.file(number))

    def _take_outcome(self, source: Source, file: dict[str, object]) -> None:
        if file["status"] == "stored":
            self._report.stored([source])
        elif file["status"] == "refused":
            self._report.refused(source, "; ".join(_reasons(file.get("refusals"))))


def _reasons(refusals: object) -> Iterable[str]:
    if isinstance(refusals, list):
        yield from (str(refusal["reason"]) for refusal in refusals)
