"""Read the body of a store transaction: files, or metadata and bulk data, PS3.18 10.5.1."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from fastapi import Request

from lenticular import errors
from lenticular.services import Services
from lenticular.storage.spool import Spool
from lenticular.transactions.store.store import StoreResult
from lenticular.web.http import media_types
from lenticular.web.http.media_types import MediaType
from lenticular.web.http.multipart import MultipartReader, PartBegin, PartData, PartEnd, boundary_of
from lenticular.web.request_context import base_url
from lenticular.web.stow import metadata_request
from lenticular.web.stow.metadata_request import FORMATS, Composed, Headers, MetadataFormat

EXPECTED = (
    f'Send multipart/related; type="application/dicom" (or {" or ".join(FORMATS)} with bulk data),'
    " or one application/dicom body."
)

Parts = AsyncGenerator[tuple[Headers, Spool], None]


def received(
    request: Request, body: AsyncIterator[bytes], services: Services
) -> AsyncGenerator[Spool | Composed | StoreResult, None]:
    """Yield the instances of a request: files, and files composed of metadata and bulk data."""
    content_type = request.headers.get("content-type")
    if not content_type:
        raise errors.UnsupportedMedia(f"The body has no Content-Type. {EXPECTED}")
    media_type = MediaType.parse(content_type)
    if media_type.name == media_types.DICOM:
        return _lone_instance(body, services)
    if media_type.name != media_types.MULTIPART_RELATED:
        raise errors.UnsupportedMedia(f"{media_type.name} cannot be stored. {EXPECTED}")
    part_type = MediaType.parse(media_type.parameters.get("type", media_types.DICOM)).name
    if part_type != media_types.DICOM and part_type not in FORMATS:
        raise errors.UnsupportedMedia(f"Parts of type {part_type} cannot be stored. {EXPECTED}")
    reader = MultipartReader(boundary_of(content_type))
    if part_type == media_types.DICOM:
        return _files(_parts(body, reader, services))
    metadata_format = FORMATS[part_type]
    parts = _parts(body, reader, services, metadata_format)
    base = base_url(request) + "/studies"
    return metadata_request.instances(parts, metadata_format, services, base)


async def _lone_instance(
    body: AsyncIterator[bytes], services: Services
) -> AsyncGenerator[Spool, None]:
    """Yield the file of a body that is not multipart."""
    spool = services.new_spool()
    try:
        async for piece in body:
            spool.write(piece)
    except BaseException:
        spool.close()
        raise
    yield spool


async def _files(parts: Parts) -> AsyncGenerator[Spool, None]:
    """Yield the content of each part."""
    async with aclosing(parts):
        async for _, spool in parts:
            yield spool


async def _parts(
    body: AsyncIterator[bytes],
    reader: MultipartReader,
    services: Services,
    metadata_format: MetadataFormat | None = None,
) -> Parts:
    """Yield the headers and content of each part."""
    part: _Part | None = None
    count = 0
    try:
        async for piece in body:
            for event in reader.feed(piece):
                match event:
                    case PartBegin(headers):
                        part = _Part(headers, services, metadata_format)
                    case PartData(data):
                        assert part is not None
                        part.write(data)
                    case PartEnd():
                        assert part is not None
                        whole, part = part, None
                        count += 1
                        yield whole.headers, whole.spool
        reader.finish()
    finally:
        if part is not None:
            part.spool.close()
    if not count:
        raise errors.InvalidRequest("The body has no parts, so there is nothing to store.")


class _Part:
    """A part that is being received; metadata has a size limit of its own."""

    def __init__(
        self, headers: Headers, services: Services, metadata_format: MetadataFormat | None
    ) -> None:
        self.headers = headers
        self.spool = services.new_spool()
        has_limit = metadata_format and metadata_request.is_metadata(headers, metadata_format)
        self._limit = services.limits.metadata_bytes if has_limit else None

    def write(self, data: bytes) -> None:
        """Append a piece."""
        self.spool.write(data)
        if self._limit is not None and self.spool.size > self._limit:
            raise errors.TooLarge(f"A part of metadata may have at most {self._limit:,} bytes.")
