"""Files that go into the bucket by presigned URLs: announced, put there, and put together."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

import requests

from lenticular.errors import Conflict
from lenticular.services import Services
from lenticular.transactions import uploads
from tests.helpers.model.contents import Content, Junk
from tests.helpers.model.operations import Operation
from tests.helpers.model.world import LIMITS, World

SECONDS = 60


@dataclass(frozen=True)
class Announce(Operation):
    """Announce files."""

    items: tuple[Content | Junk, ...]

    def run(self, world: World, services: Services) -> uploads.Upload:
        wanted = [
            uploads.RequestedFile(f"{number}.dcm", len(item.data))
            for number, item in enumerate(self.items)
        ]
        return uploads.begin(services, wanted)


@dataclass(frozen=True)
class Announced:
    """A file that was announced."""

    upload_id: str
    number: int
    item: Content | Junk
    urls: tuple[str, ...] = field(repr=False)
    is_in_parts: bool

    @property
    def name(self) -> str:
        """What it is called in the drop folder."""
        return unquote(urlsplit(self.urls[0]).path).partition("/incoming/")[2]

    def put(self) -> None:
        """Put the file, or each of its parts, where the URLs say."""
        for at, url in enumerate(self.urls):
            data = self.item.data
            if self.is_in_parts:
                data = data[at * LIMITS.upload_part_bytes : (at + 1) * LIMITS.upload_part_bytes]
            answer = requests.put(url, data, timeout=SECONDS)
            if answer.status_code != 404:  # its parts were put together, or given up
                answer.raise_for_status()


@dataclass(frozen=True)
class Complete(Operation):
    """Put the parts of a file together."""

    file: Announced

    def run(self, world: World, services: Services) -> bool:
        try:
            uploads.complete(services, self.file.upload_id, self.file.number)
        except Conflict:  # some are missing
            return False
        return True


@dataclass
class Uploads:
    """What was announced in a history, and what became of it."""

    files: list[Announced] = field(default_factory=list)
    outcomes: dict[str, str | None] = field(default_factory=dict)

    def note(self, operation: Announce, answer: uploads.Upload | None) -> None:
        """Note what was announced."""
        if answer is None:
            return
        for file, item in zip(answer.files, operation.items, strict=True):
            urls = (file.url,) if file.url else tuple(part.url for part in file.parts)
            known = tuple(url for url in urls if url)
            self.files.append(Announced(answer.upload_id, file.number, item, known, not file.url))

    def taken(self, name: str, refusals: set[str] | None) -> None:
        """Note what became of a dropped file, if it is an upload; stored is for good."""
        outcome = None if refusals is None else "refused" if refusals else "stored"
        if name.startswith("uploads/") and self.outcomes.get(name) != "stored":
            self.outcomes[name] = outcome

    def check(self, services: Services) -> None:
        """Whoever asks is told what became of each file."""
        for upload_id in {file.upload_id for file in self.files}:
            _check(upload_id, self._expected(upload_id), services)

    def _expected(self, upload_id: str) -> Sequence[tuple[bool, str | None]]:
        return [
            (file.name in self.outcomes, self.outcomes.get(file.name))
            for file in self.files
            if file.upload_id == upload_id
        ]


def _check(upload_id: str, expected: Sequence[tuple[bool, str | None]], services: Services) -> None:
    states = [file.status for file in uploads.status(services, upload_id).files]
    for status, (was_taken, outcome) in zip(states, expected, strict=True):
        assert not was_taken or outcome in (None, status), f"{outcome} is told as {status}"
        assert was_taken or status == "waiting", f"{status} before it was taken"
