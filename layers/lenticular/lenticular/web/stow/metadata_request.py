"""Read the parts of a store with metadata and bulk data, PS3.18 10.5.1.4 and 8.7.3.

Metadata is one part of DICOM JSON, or a part of XML for each instance; every further part is bulk
data under the Content-Location that a BulkDataURI of the metadata names.
"""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool

from lenticular import errors
from lenticular.dicom import tags, uids
from lenticular.dicom.json_and_xml import json_reader
from lenticular.dicom.json_and_xml.json_reader import Metadata
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.store.compose_instance import StoreWarning, compose
from lenticular.transactions.store.match_bulkdata import (
    BulkDataMatcher,
    BulkPart,
    IncomingInstance,
    refused,
)
from lenticular.transactions.store.store import StoreResult
from lenticular.web.http.media_types import DICOM_JSON, DICOM_XML, JSON, OCTET_STREAM, MediaType

MADE_AT_ONCE = 64
MADE_BYTES_AT_ONCE = 8 * 1024 * 1024

Headers = dict[str, str]
Composed = tuple[Spool, StoreWarning]


@dataclass(frozen=True, slots=True)
class MetadataFormat:
    """A format of metadata: the media types of its parts, and the function that reads one.

    The function returns the datasets of the part. It raises InvalidInstance if only this part
    cannot be used.
    """

    media_types: tuple[str, ...]
    read: Callable[[bytes], list[Any]]


def _read_xml(document: bytes) -> list[Any]:
    """Return the dataset of a part of XML."""
    from lenticular.dicom.json_and_xml.xml_reader import from_xml

    return [from_xml(document)]


FORMATS = {
    DICOM_JSON: MetadataFormat((DICOM_JSON, JSON), json_reader.objects),
    DICOM_XML: MetadataFormat((DICOM_XML, "application/xml", "text/xml"), _read_xml),
}
"""The formats of metadata that can be stored, by the `type` of the request."""


async def instances(
    parts: AsyncGenerator[tuple[Headers, Spool], None],
    metadata_format: MetadataFormat,
    services: Services,
    base: str,
) -> AsyncGenerator[Composed | StoreResult, None]:
    """Yield a file for each instance as soon as all its parts have arrived, and the refusals."""
    incoming = MetadataRequest(services, metadata_format, base)
    try:
        async with aclosing(parts):
            async for headers, spool in parts:
                await run_in_threadpool(incoming.add, headers, spool)
                # A few at a time, for metadata alone may complete very many.
                while made := await run_in_threadpool(incoming.next_made):
                    for each in _closing_rest(made):
                        yield each
        for refusal in incoming.matcher.leftovers():
            yield refusal
    finally:
        incoming.close()


def _closing_rest(made: list[Composed | StoreResult]) -> Iterator[Composed | StoreResult]:
    """Yield each item; close the files of the others if the caller stops."""
    rest = deque(made)
    try:
        while rest:
            yield rest.popleft()
    finally:
        for each in rest:
            if not isinstance(each, StoreResult):
                each[0].close()


def is_metadata(headers: Headers, metadata_format: MetadataFormat) -> bool:
    """Return True if a part is metadata: by its type or, without one, if it has no name."""
    content_type = headers.get("content-type")
    if content_type is None:
        return _location(headers) is None
    return MediaType.parse(content_type).name in metadata_format.media_types


class MetadataRequest:
    """The parts of a request so far; instances that are complete become files."""

    def __init__(self, services: Services, metadata_format: MetadataFormat, base: str) -> None:
        self._services = services
        self._format = metadata_format
        self.matcher = BulkDataMatcher(base, services.limits)
        self._refusals: deque[StoreResult] = deque()

    def add(self, headers: Headers, spool: Spool) -> None:
        """Add a part of metadata or of bulk data."""
        media_type = MediaType.parse(headers.get("content-type") or OCTET_STREAM)
        syntax = _uid(media_type.parameters.get("transfer-syntax"))
        if is_metadata(headers, self._format):
            with spool:
                self._add_metadata(bytes(spool.view()), syntax)
        else:
            self._add_bulk_data(headers, BulkPart(media_type.name, syntax, spool))

    def next_made(self) -> list[Composed | StoreResult]:
        """Return the next few files and refusals; an empty list if more parts are needed."""
        made: list[Composed | StoreResult] = []
        size = 0
        while len(made) < MADE_AT_ONCE and size < MADE_BYTES_AT_ONCE:
            if self._refusals:
                made.append(self._refusals.popleft())
                continue
            instance = next(self.matcher.complete(), None)
            if instance is None:
                break
            made.append(one := self._compose(instance))
            size += 0 if isinstance(one, StoreResult) else one[0].size
        return made

    def _compose(self, instance: IncomingInstance) -> Composed | StoreResult:
        """Return the file composed of an instance's metadata and bulk data, or the refusal."""
        try:
            return compose(instance, self._services.new_spool)
        except errors.InvalidInstance as error:
            return refused(instance.metadata.dataset, error.detail)
        finally:
            self.matcher.release(instance)

    def close(self) -> None:
        """Close all parts that wait."""
        self.matcher.close()

    def _add_metadata(self, document: bytes, syntax: str | None) -> None:
        """Add the datasets of a part of metadata."""
        try:
            datasets = self._format.read(document)
        except errors.InvalidInstance as error:
            self._refusals.append(refused(None, error.detail))
            return
        for found in datasets:
            try:
                metadata = json_reader.checked(found)
                self.matcher.add_metadata(metadata, syntax or _syntax_of(metadata))
            except errors.InvalidInstance as error:
                self._refusals.append(refused(found, error.detail))

    def _add_bulk_data(self, headers: Headers, part: BulkPart) -> None:
        """Add a part of bulk data."""
        location = _location(headers)
        if location is None:
            part.spool.close()
            self._refusals.append(refused(None, "A part of bulk data has no Content-Location."))
        else:
            self.matcher.add_bulk_data(part, location)


def _location(headers: Headers) -> str | None:
    """Return the URI of a part: its Content-Location, or its Content-ID (RFC 2392)."""
    if location := headers.get("content-location"):
        return location
    identifier = headers.get("content-id", "").strip("<> ")
    return f"cid:{identifier}" if identifier else None


def _syntax_of(metadata: Metadata) -> str | None:
    """Return the transfer syntax of the bulk data if the metadata gives it."""
    for tag in (tags.AVAILABLE_TRANSFER_SYNTAX_UID, tags.TRANSFER_SYNTAX_UID):
        values = metadata.file_meta.get(tag, {}).get("Value") or [None]
        if uid := _uid(values[0]):
            return uid
    return None


def _uid(text: Any) -> str | None:
    """Return a text if it is a UID."""
    return text if isinstance(text, str) and uids.is_valid(text) else None
