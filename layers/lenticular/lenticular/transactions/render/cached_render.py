"""Pictures of render requests, from a cache or newly drawn.

Thumbnails are cached in memory, pictures of large frames in the bucket (`rendition_cache.py`).
Codecs are loaded when the first picture is drawn.
"""

import os
from dataclasses import dataclass
from threading import BoundedSemaphore

from lenticular.limits import Limits
from lenticular.transactions.render import rendition_cache
from lenticular.transactions.render.lru_bytes import LruBytes
from lenticular.transactions.render.render_request import RenderRequest


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a file, and the strong entity tag of these very bytes."""

    body: bytes
    media_type: str
    etag: str


class RenderResources:
    """The memory and the processors that all pictures of a server share.

    A frame may need half a gigabyte, so as many are drawn at once as there are processors.
    """

    def __init__(self, limits: Limits) -> None:
        self.thumbnails = LruBytes(limits.thumbnails_bytes)
        self.drawing = BoundedSemaphore(max(2, os.cpu_count() or 2))


def render(request: RenderRequest) -> Picture:
    """Decode, present and encode, unless a picture with the same entity tag is cached."""
    etag = request.etag
    thumbnails = request.services.shared(RenderResources).thumbnails
    body = thumbnails.get(etag) if request.thumbnail else None
    if body is None:
        body = _cached(request, etag) or _drawn(request, etag)
        if request.thumbnail:
            thumbnails.put(etag, body)
    return Picture(body, request.options.media_type, etag)


def _cached(request: RenderRequest, etag: str) -> bytes | None:
    if not request.is_costly:
        return None
    return rendition_cache.get(request.services, request.located.instance, etag)


def _drawn(request: RenderRequest, etag: str) -> bytes:
    with request.services.shared(RenderResources).drawing:
        body = _draw(request)
    if request.is_costly:
        rendition_cache.put(request.services, request.located.instance, etag, body)
    return body


def _draw(request: RenderRequest) -> bytes:
    from lenticular.transactions.render.draw import draw

    return draw(request)
