"""One instance: its file, its tags and its frames as they are stored."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lenticular import errors
from lenticular.dicom.model import Dataset, Level
from lenticular.dicom.orthanc_tags import full, simplified
from lenticular.dicom.transfer_syntaxes import lookup
from lenticular.index.records import OrthancResource, StoredInstance
from lenticular.transactions.orthanc import resources
from lenticular.transactions.orthanc.file_texts import dataset_as_written
from lenticular.transactions.retrieve import frames, instances
from lenticular.transactions.retrieve.byte_source import file_content
from lenticular.web.http.media_types import DICOM
from lenticular.web.reading_routes import get_and_head
from lenticular.web.request_context import services_of
from lenticular.web.responses import respond
from lenticular.web.routes.orthanc.parameters import (
    INSTANCE,
    STYLES,
    answer,
    file_name,
    large_answer,
    tag_style,
    takes,
    untruncated_tags,
)
from lenticular.web.routes.orthanc.transcoding import transcoded_file, wanted_syntax

router = APIRouter(tags=["Orthanc"])

FRAME_VIEWS = ("image-int16", "image-uint16", "image-uint8", "preview", "raw", "rendered")


@get_and_head(router, INSTANCE + "/attachments/dicom/data", extra=takes())
@get_and_head(router, INSTANCE + "/file", extra=takes("transcode", "filename"))
def file(request: Request, identifier: str) -> Response:
    """Return the file, byte for byte as it was received unless `transcode` is given."""
    syntax = wanted_syntax(request)
    services = services_of(request)
    found = resources.find(services, Level.INSTANCE, identifier)
    stored, name = stored_of(found), file_name(request, f"{found.uuid}.dcm")
    if syntax not in (None, stored.transfer_syntax_uid):
        return transcoded_file(request, stored, syntax, name)
    content = file_content(services, stored)
    return respond.content(
        request,
        content.pieces,
        DICOM,
        size=content.size,
        etag=f'"{stored.sha256.hex()[:32]}"',
        stored_key=content.key,
        file_name=name,
    )


@get_and_head(router, INSTANCE + "/tags", extra=takes("ignore-length", *STYLES))
def tags(request: Request, identifier: str) -> Response:
    """Return all tags with names and types; `simplify` and `short` give less of each."""
    dataset = _dataset(request, identifier)
    return large_answer(request, tag_style(request, full)(dataset, untruncated_tags(request)))


@get_and_head(router, INSTANCE + "/simplified-tags", extra=takes("ignore-length"))
def simplified_tags(request: Request, identifier: str) -> Response:
    """Return all tags by name."""
    dataset = _dataset(request, identifier)
    return large_answer(request, simplified(dataset, untruncated_tags(request)))


@get_and_head(router, INSTANCE + "/frames", extra=takes())
def frame_indices(request: Request, identifier: str) -> Response:
    """List the indices of the frames, from 0."""
    found = resources.find(services_of(request), Level.INSTANCE, identifier)
    return answer(list(range(stored_of(found).number_of_frames)))


@get_and_head(router, INSTANCE + "/frames/{frame_index}", extra=takes())
def frame_views(request: Request, identifier: str, frame_index: int) -> Response:
    """List the views of a frame: its picture, its preview, its bytes."""
    found = resources.find(services_of(request), Level.INSTANCE, identifier)
    check_frame(stored_of(found), frame_index)
    return answer(FRAME_VIEWS)


@get_and_head(router, INSTANCE + "/frames/{frame_index}/raw", extra=takes())
def raw_frame(request: Request, identifier: str, frame_index: int) -> Response:
    """Return the bytes of a frame as stored; of an uncompressed one, in little endian."""
    services = services_of(request)
    stored = stored_of(resources.find(services, Level.INSTANCE, identifier))
    located = instances.locate(services, stored.target)
    (frame,) = frames.stored_frames(services, located, [frame_index + 1])
    media_type = lookup(frames.frame_syntax(services, located)).media_type
    content = frame.load()
    etag = f'"{stored.sha256.hex()[:32]}-{frame_index}"'
    return respond.content(request, content.pieces, media_type, size=content.size, etag=etag)


def _dataset(request: Request, identifier: str) -> Dataset:
    """Return the dataset of an instance with the texts of its file."""
    services = services_of(request)
    stored = stored_of(resources.find(services, Level.INSTANCE, identifier))
    return dataset_as_written(services, instances.locate(services, stored.target))


def stored_of(instance: OrthancResource) -> StoredInstance:
    """Return the instance as retrieval needs it."""
    assert instance.instance is not None
    return instance.instance


def check_frame(stored: StoredInstance, frame_index: int) -> None:
    """Refuse the index of a frame that does not exist."""
    if not 0 <= frame_index < max(stored.number_of_frames, 1):
        raise errors.NotFound(f"There is no frame {frame_index}; the first is 0.")
