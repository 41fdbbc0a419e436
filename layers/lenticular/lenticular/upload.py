"""`lenticular upload`: store files, folders and zips on a server, with a progress bar."""

import os
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import click
import orjson
import urllib3

CONNECTIONS = 4
WAITING = 2 * CONNECTIONS
IN_MEMORY_BYTES = 8 * 1024 * 1024
REASONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who uploads: `name:password`, or a bearer token, or neither."""

    user: str | None = None
    token: str | None = None

    def headers(self) -> dict[str, str]:
        """The Authorization header."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return urllib3.make_headers(basic_auth=self.user) if self.user else {}


@dataclass(frozen=True, slots=True)
class Source:
    """A file to upload: by itself, or an entry of a zip."""

    path: Path
    entry: str | None = None
    size: int = 0

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"{self.path}:{self.entry}" if self.entry else str(self.path)

    def open(self) -> IO[bytes]:
        """Its bytes, from the start."""
        if self.entry is None:
            return self.path.open("rb")
        # The caller closes it.
        body = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
        with zipfile.ZipFile(self.path) as archive, archive.open(self.entry) as file:
            while piece := file.read(IN_MEMORY_BYTES):
                body.write(piece)
        body.seek(0)
        return body


def upload_all(paths: Iterable[Path], url: str, credentials: Credentials) -> bool:
    """Upload everything; tell what became of it; whether all of it is stored."""
    sources = [source for path in paths for source in find(path)]
    refused: list[str] = []
    counts: Counter[str] = Counter()
    pool = urllib3.PoolManager(maxsize=CONNECTIONS, retries=urllib3.Retry(3, backoff_factor=0.5))
    uploader = _Uploader(pool, url, credentials.headers())
    total = sum(source.size for source in sources)
    with click.progressbar(length=total, label=f"Uploading {len(sources)} files") as bar:
        for source, refusal in uploader.results(sources):
            counts["refused" if refusal else "stored"] += 1
            if refusal:
                refused.append(f"{source.name}: {refusal}")
            bar.update(source.size)
    click.echo(f"{counts['stored']} stored, {counts['refused']} refused.")
    for line in refused[:REASONS_SHOWN]:
        click.echo(f"  {line}", err=True)
    if len(refused) > REASONS_SHOWN:
        click.echo(f"  … and {len(refused) - REASONS_SHOWN} more", err=True)
    return not refused


def find(path: Path) -> Iterator[Source]:
    """The files below a path and in the zips there; names with a dot in front are left out."""
    if not path.is_dir():
        yield from _entries(path)
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(folder, name).is_file():
                yield from _entries(Path(folder, name))


def _entries(path: Path) -> Iterator[Source]:
    if not _is_zip(path):
        yield Source(path, size=path.stat().st_size)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile:
        yield Source(path, size=path.stat().st_size)  # the server says what it makes of it
        return
    for entry in entries:
        yield Source(path, entry.filename, entry.file_size)


def _is_zip(path: Path) -> bool:
    """By its first bytes: a DICOM file may have a zip at its end, in an encapsulated document."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class _Uploader:
    pool: urllib3.PoolManager
    url: str
    headers: dict[str, str]

    def results(self, sources: Iterable[Source]) -> Iterator[tuple[Source, str | None]]:
        """Each source with the reason why it was refused, or None, as they are done."""
        with ThreadPoolExecutor(CONNECTIONS) as executor:
            running: dict[Future[str | None], Source] = {}
            for source in sources:
                running[executor.submit(self.send, source)] = source
                if len(running) >= WAITING:
                    yield from _done(running)
            while running:
                yield from _done(running)

    def send(self, source: Source) -> str | None:
        """Store one file by STOW-RS; the reason if it was refused."""
        try:
            with source.open() as body:
                size = os.fstat(body.fileno()).st_size if source.entry is None else source.size
                response = self.pool.request(
                    "POST",
                    f"{self.url}/dicom-web/studies",
                    body=body,
                    headers={
                        **self.headers,
                        "Content-Type": "application/dicom",
                        "Content-Length": str(size),
                        "Accept": "application/dicom+json",
                    },
                )
        except (OSError, urllib3.exceptions.HTTPError, zipfile.BadZipFile, RuntimeError) as error:
            return str(error)
        return None if response.status == 200 else _reason(response)


def _done(running: dict[Future[str | None], Source]) -> Iterator[tuple[Source, str | None]]:
    finished, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in finished:
        yield running.pop(future), future.result()


def _reason(response: urllib3.BaseHTTPResponse) -> str:
    try:
        answer = orjson.loads(response.data)
        failures = answer.get("00081198") or answer.get("0008119A")
        if failures:
            return str(failures["Value"][0]["00000902"]["Value"][0])
        return str(answer["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"the server answered {response.status}"
