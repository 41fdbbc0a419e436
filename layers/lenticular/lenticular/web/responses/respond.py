"""Responses with a body: byte ranges, conditions and streaming, RFC 9110 13 and 14.

A small body is sent in one piece with its length; a large one streams in constant memory. Its
beginning is always read before the response starts, so that a file that cannot be read still gets
its proper status. A body above the payload limit goes another way, see `payload_limit.py`.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from lenticular.errors import RangeUnsatisfiable, TooLarge
from lenticular.transactions.retrieve.omissions import Omissions
from lenticular.transactions.retrieve.read_ahead import read_ahead
from lenticular.web.http import content_encoding
from lenticular.web.http.multipart import (
    Part,
    multipart_related,
    new_boundary,
    related_content_type,
    related_size,
)
from lenticular.web.request_context import DICOMWEB, root_url, services_of
from lenticular.web.responses import omission_warnings, payload_limit
from lenticular.web.responses.payload_limit import DeferredBody

if TYPE_CHECKING:
    from lenticular.transactions.retrieve.made_ahead import Scratch

Stream = Callable[[int, int], Iterable[bytes]]
"""Yields `length` bytes from `offset` on, in pieces: `stream(offset, length)`."""

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.I)
# Only the client may cache patient data, and it has to ask whether they are still current.
_ALWAYS = {"cache-control": "private, no-cache", "vary": "Accept, Accept-Encoding"}


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A part of a content of a known size; its text is that of Content-Range."""

    start: int
    length: int
    size: int

    def __str__(self) -> str:
        return f"bytes {self.start}-{self.start + self.length - 1}/{self.size}"


def entity_tag(*parts: object) -> str:
    """Return a strong ETag made of everything that determines the bytes of a representation."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def digest(documents: Iterable[bytes]) -> bytes:
    """Return a hash of documents, for an ETag."""
    found = hashlib.sha256()
    for document in documents:
        found.update(document)
    return found.digest()


def content(
    request: Request,
    body: bytes | Stream,
    media_type: str,
    *,
    size: int | None = None,
    etag: str | None = None,
    stored_key: str | None = None,
    file_name: str | None = None,
) -> Response:
    """Respond with a single part: `body` is all of it, or gives any range of its `size` bytes.

    With `stored_key` these are the bytes of that file and nothing else.
    """
    if isinstance(body, bytes):
        size, body = len(body), _ranges_of(body)
    if size is None:
        raise ValueError("a stream needs its size")
    if unchanged := not_modified(request, etag):
        return unchanged
    sent = (
        _headers(media_type, etag, file_name)
        | _content_location(request)
        | {"accept-ranges": "bytes"}
    )
    asked = asked_range(request, size, etag)
    if asked is not None and payload_limit.exceeds(request, asked.length):
        asked = None  # the client repeats its range at the URL of the whole
    if asked is not None:
        sent["content-range"] = str(asked)
    start, length = (asked.start, asked.length) if asked else (0, size)
    sent["content-length"] = str(length)
    whole = DeferredBody(
        lambda: body(start, length), length, stored_key=stored_key, file_name=file_name
    )
    return _answer(request, 206 if asked else 200, sent, whole)


def multipart(
    request: Request,
    parts: Iterable[Part],
    media_type: str,
    *,
    etag: str | None = None,
    status: int = 200,
    about: int = 0,
    omissions: Omissions | None = None,
    is_read_ahead: bool = False,
) -> Response:
    """Respond with multipart/related, with parts of this media type.

    Pass a list if the length of the response shall be known, an iterator if the parts are made
    while it is sent; then `about` is their least size. `is_read_ahead` is for parts
    whose pieces read files and do nothing else.
    """
    boundary = new_boundary()
    # The boundary differs each time, so the tag is a weak one.
    weak = f"W/{etag}" if etag is not None else None
    if unchanged := not_modified(request, weak):
        return unchanged
    sent = _headers(related_content_type(media_type, boundary), weak)
    size = related_size(parts, boundary) if isinstance(parts, list) else None
    if size is not None:
        sent["content-length"] = str(size)
    if status == 206 and payload_limit.exceeds(request, size or 0):
        # In the bucket, the range would be one of the multipart body and not of the value.
        raise TooLarge("The range is too large to be sent at once; ask for less at a time.")
    services = services_of(request)
    body = DeferredBody(
        lambda: multipart_related(
            read_ahead(services, parts) if is_read_ahead else parts, boundary
        ),
        size,
        about,
        omissions=Omissions() if omissions is None else omissions,
    )
    return _answer(request, status, sent, body)


def stream(
    request: Request,
    pieces: Iterable[bytes],
    media_type: str,
    *,
    etag: str | None = None,
    about: int = 0,
    file_name: str | None = None,
    omissions: Omissions | None = None,
    studies: tuple[str, ...] = (),
) -> Response:
    """Respond with a single part that is made as it goes; `about` is its least size."""
    if unchanged := not_modified(request, etag):
        return unchanged
    body = DeferredBody(
        lambda: pieces,
        about=about,
        file_name=file_name,
        omissions=Omissions() if omissions is None else omissions,
        studies=studies,
    )
    sent = _headers(media_type, etag, file_name) | _content_location(request)
    return _answer(request, 200, sent, body)


@dataclass(frozen=True, slots=True)
class ArrayMarks:
    """The bytes around and between the elements of an array."""

    begin: bytes
    separator: bytes
    end: bytes


JSON_ARRAY = ArrayMarks(b"[", b",", b"]")


def array(
    request: Request,
    documents: Iterable[bytes],
    media_type: str,
    etag: str | None = None,
    *,
    marks: ArrayMarks = JSON_ARRAY,
    omissions: Omissions | None = None,
) -> Response:
    """Respond with an array of documents that are encoded already.

    Pass `etag` for documents that are streamed; otherwise it is a hash of the content. `omissions`
    are noted while the documents are made.
    """
    omissions = Omissions() if omissions is None else omissions
    pieces = _coalesced(request, _array(documents, marks))
    beginning, rest = next(pieces), next(pieces, None)
    if rest is None:
        etag = entity_tag(hashlib.sha256(beginning).digest())
    elif isinstance(documents, list):
        etag = entity_tag(media_type, digest(documents))
    if unchanged := not_modified(request, etag):
        return unchanged
    sent = _headers(media_type, etag) | _content_location(request)
    if rest is not None:
        streamed = DeferredBody(lambda: chain([beginning, rest], pieces), omissions=omissions)
        return _answer(request, 200, sent, streamed)
    sent["content-length"] = str(len(beginning))
    whole = DeferredBody(lambda: [beginning], len(beginning), omissions=omissions)
    return _answer(request, 200, sent, whole)


def document(request: Request, body: bytes, media_type: str) -> Response:
    """Respond with a complete body, without an ETag."""
    sent = _headers(media_type, None) | {"content-length": str(len(body))}
    return _answer(request, 200, sent, DeferredBody(lambda: [body], len(body)))


def scratch_for(request: Request) -> "Scratch":
    """Return the scratch space for parts that are made before the response to this request begins.

    A response below the payload limit, or through the bucket, is made before its status is sent
    anyway; and a HEAD makes no more than the first piece.
    """
    from lenticular.transactions.retrieve.made_ahead import Scratch

    services = services_of(request)
    folder = services.storage.spool_folder
    if request.method == "HEAD":
        return Scratch(folder, ahead_bytes=0, part_bytes=0)
    if payload_limit.payload_limit_of(request) is not None:
        return Scratch(folder, ahead_bytes=0)
    return Scratch(folder, services.limits.ahead_bytes)


def not_modified(request: Request, etag: str | None) -> Response | None:
    """Return 304 if the client has this representation already (If-None-Match), else None."""
    known = request.headers.get("if-none-match")
    if known is None or etag is None:
        return None
    tags = [tag.strip() for tag in known.split(",")]
    bare = etag.removeprefix("W/")
    # Respond with the tag that the client has: a weak one if it got several parts or gzip.
    found = next((tag for tag in tags if tag.removeprefix("W/") == bare), None)
    if found is None and tags != ["*"]:
        return None
    return Response(status_code=304, headers={**_ALWAYS, "etag": found or etag})


def asked_range(request: Request, size: int, etag: str | None) -> ByteRange | None:
    """Return the one range of the content that the client asks for, None for all of it.

    Several ranges, other units and malformed ones may be ignored (RFC 9110 14.2).
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None and last is not None:
        start, end = max(size - last, 0), size
    elif first is not None and (last is None or last >= first):
        start, end = first, size if last is None else min(last + 1, size)
    else:
        return None
    if start >= size or start >= end:
        raise RangeUnsatisfiable(f"The range is outside the content's {size} bytes.", size)
    return ByteRange(start, end - start, size) if end - start < size else None


def _headers(media_type: str, etag: str | None, file_name: str | None = None) -> dict[str, str]:
    """Return the headers that every response has, and those of this one."""
    sent = {**_ALWAYS, "content-type": media_type}
    if etag is not None:
        sent["etag"] = etag
    if file_name is not None:
        sent["content-disposition"] = f'attachment; filename="{file_name}"'
    return sent


def _content_location(request: Request) -> dict[str, str]:
    """Return the Content-Location of a single part (PS3.18 8.4.3)."""
    path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    if not path.startswith((f"{DICOMWEB}/", "/wado")):
        return {}
    query = request.scope["query_string"].decode("latin-1")
    location = root_url(request) + quote(path, "/,:;=@") + (f"?{query}" if query else "")
    return {"content-location": location}


def _answer(request: Request, status: int, headers: dict[str, str], body: DeferredBody) -> Response:
    """Respond to GET or HEAD with this body: whole, streamed, or through the bucket."""
    if request.method == "HEAD":
        if content_encoding.is_worth_gzip(request, headers, body.size):
            headers = content_encoding.gzip_headers(headers)
        # Starlette would send a length of 0 if there is none.
        return omission_warnings.respond_streaming(request, status, headers, [], body.omissions)
    coalesced = replace(body, pieces=lambda: _coalesced(request, body.pieces()))
    if payload_limit.payload_limit_of(request) is not None:
        return payload_limit.respond(request, status, headers, coalesced)
    pieces = iter(coalesced.pieces())
    beginning, rest = next(pieces, b""), next(pieces, None)
    if rest is None:
        return omission_warnings.respond_whole(request, status, headers, beginning, body.omissions)
    whole: Iterable[bytes] = chain([beginning, rest], pieces)
    if content_encoding.is_worth_gzip(request, headers, None):
        whole, headers = content_encoding.gzipped(whole), content_encoding.gzip_headers(headers)
    return omission_warnings.respond_streaming(request, status, headers, whole, body.omissions)


def _array(documents: Iterable[bytes], marks: ArrayMarks) -> Iterator[bytes]:
    """Yield the documents with the marks of an array around and between them."""
    mark = marks.begin
    for document in documents:
        yield mark
        yield document
        mark = marks.separator
    yield marks.end if mark is marks.separator else marks.begin + marks.end


def _coalesced(request: Request, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the bytes in pieces that are not small, for each piece costs a change of threads."""
    least = services_of(request).limits.response_piece_bytes
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= least:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)


def _ranges_of(body: bytes) -> Stream:
    """Return a stream over bytes in memory."""
    return lambda offset, length: [body[offset : offset + length]]
