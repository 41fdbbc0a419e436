"""multipart/related in both directions, RFC 2046 5.1 and RFC 2387, as PS3.18 8.6.1.2 uses it.

`MultipartReader` reads a body in chunks of any size and yields headers and data as they arrive; it
never holds back more than a header line or the possible beginning of a delimiter. Form-data parsers
cannot be used: they refuse a preamble, padding after a boundary and a part without a body, all of
which the RFC allows and clients send.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import uuid4

from lenticular.errors import InvalidRequest, TooLarge, UnsupportedMedia
from lenticular.web.http.media_types import MULTIPART_RELATED, MediaType

MAX_BOUNDARY = 200  # RFC 2046 5.1.1 says 70; Orthanc sends 73
MAX_PREAMBLE = 64 * 1024
MAX_HEADER_LINE = 8 * 1024
MAX_HEADER_LINES = 64

_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*:[ \t]*([^\x00\r]*)", re.S)
# What may follow `--boundary` on its line; the second says that more bytes are needed to know.
_LINE_END = re.compile(rb"--|[ \t]{0,128}\r?\n")
_UNDECIDED = re.compile(rb"(?:-|[ \t]{0,128}\r?)\Z")


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins; the names of its headers are in lower case."""

    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """A piece of the part's body."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


Event = PartBegin | PartData | PartEnd


class _State(Enum):
    PREAMBLE = auto()
    HEADERS = auto()
    DATA = auto()
    EPILOGUE = auto()


class MultipartReader:
    """Reads one multipart body: `feed` it the chunks, then `finish`."""

    def __init__(self, boundary: str) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise InvalidRequest(f"A boundary must have 1 to {MAX_BOUNDARY} characters.")
        self._delimiter = b"\n--" + boundary.encode("latin-1")
        self._state = _State.PREAMBLE
        self._held = b""
        # At the very beginning, and after the blank line that ends the headers, a delimiter
        # needs no line end of its own.
        self._fresh = True
        self._discarded = 0
        self._lines: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """Yield what the chunk completes; exhaust the iterator before the next call."""
        data = self._held + chunk if self._held else chunk
        self._held = b""
        position = 0
        while position < len(data) and self._state is not _State.EPILOGUE:
            if self._state is _State.HEADERS:
                position = self._header_line(data, position)
                if self._fresh:
                    yield PartBegin(_headers(self._lines))
                continue
            stop, line_end = self._seek(data, position)
            yield from self._body(data, position, stop)
            if line_end is None:
                self._held = data[stop:]
                return
            if self._state is _State.DATA:
                yield PartEnd()
            self._begin_headers(closed=line_end[0] == b"--")
            position = line_end.end()

    def finish(self) -> None:
        """End the body; raise an error if the closing delimiter is missing."""
        if self._state is _State.PREAMBLE:
            raise InvalidRequest("The boundary named in Content-Type does not occur in the body.")
        if self._state is not _State.EPILOGUE:
            raise InvalidRequest("The body ends before its closing delimiter; it was cut short.")

    def _seek(self, data: bytes, start: int) -> tuple[int, re.Match[bytes] | None]:
        """Return the end of the data, and the end of the delimiter's line if it has arrived."""
        for stop, after in self._candidates(data, start):
            line_end = _LINE_END.match(data, after)
            if line_end is not None:
                self._refuse_bare_line_feed(data, stop)
            if line_end is not None or _UNDECIDED.match(data, after):
                return stop, line_end
        return self._doubtful(data, start), None

    def _candidates(self, data: bytes, start: int) -> Iterator[tuple[int, int]]:
        """Yield each position at which a delimiter seems to begin, and where its boundary ends."""
        bare = self._delimiter[1:]
        if self._fresh and data.startswith(bare, start):
            yield start, start + len(bare)
        newline = data.find(self._delimiter, start)
        while newline >= 0:
            yield _line_end_start(data, start, newline), newline + len(self._delimiter)
            newline = data.find(self._delimiter, newline + 1)

    def _doubtful(self, data: bytes, start: int) -> int:
        """Return the start of bytes that may become a delimiter with the next chunk."""
        if self._fresh and self._delimiter.startswith(data[start:], 1):
            return start
        newline = data.rfind(b"\n", max(start, len(data) - len(self._delimiter)))
        if newline >= 0 and self._delimiter.startswith(data[newline:]):
            return _line_end_start(data, start, newline)
        return len(data) - data.endswith(b"\r")

    def _body(self, data: bytes, start: int, stop: int) -> Iterator[PartData]:
        """Yield the data of a part from start to stop."""
        if stop == start:
            return
        self._fresh = False
        if self._state is _State.DATA:
            yield PartData(data[start:stop])
            return
        self._discarded += stop - start
        if self._discarded > MAX_PREAMBLE:
            raise InvalidRequest(
                "The boundary named in Content-Type does not occur where the body begins."
            )

    def _refuse_bare_line_feed(self, data: bytes, stop: int) -> None:
        """Refuse a delimiter after a LF without CR."""
        # A CR before the delimiter may be data or not: refusing is better than guessing.
        if self._state is _State.DATA and data.startswith(b"\n", stop):
            raise InvalidRequest("The line end before a boundary must be CR LF, not a bare LF.")

    def _begin_headers(self, *, closed: bool) -> None:
        """Begin to read the headers of a part."""
        self._state = _State.EPILOGUE if closed else _State.HEADERS
        self._fresh = False
        self._lines = []

    def _header_line(self, data: bytes, start: int) -> int:
        """Read one header line; the blank line begins the body."""
        newline = data.find(b"\n", start, start + MAX_HEADER_LINE)
        if newline < 0:
            if len(data) - start >= MAX_HEADER_LINE:
                raise TooLarge(f"A header line of a part is longer than {MAX_HEADER_LINE} bytes.")
            self._held = data[start:]
            return len(data)
        line = data[start:newline].removesuffix(b"\r")
        if not line:
            self._state, self._fresh = _State.DATA, True
        elif len(self._lines) == MAX_HEADER_LINES:
            raise TooLarge(f"A part has more than {MAX_HEADER_LINES} header lines.")
        else:
            self._lines.append(line)
        return newline + 1


def _line_end_start(data: bytes, start: int, newline: int) -> int:
    """Return the start of a line end whose LF is given: its CR if it has one."""
    return newline - (newline > start and data[newline - 1] == 0x0D)


def _headers(lines: Sequence[bytes]) -> dict[str, str]:
    """Return the header lines as a dictionary, with names in lower case."""
    # Folded lines (RFC 5322 2.2.3) are obsolete but mail libraries still write them.
    unfolded = re.sub(rb"\n[ \t]+", b" ", b"\n".join(lines)).split(b"\n") if lines else []
    headers: dict[str, str] = {}
    for line in unfolded:
        match = _HEADER.fullmatch(line)
        if match is None:
            raise InvalidRequest("A part begins with a line that is not a header.")
        name, value = match[1].decode("ascii").lower(), match[2].decode("latin-1").strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def boundary_of(content_type: str) -> str:
    """Return the boundary that a Content-Type of multipart/related names."""
    media = MediaType.parse(content_type)
    if media.name != MULTIPART_RELATED:
        raise UnsupportedMedia(f"The body must be {MULTIPART_RELATED}, not {media.name}.")
    boundary = media.parameters.get("boundary", "")
    if not re.fullmatch(rf"[ -~]{{1,{MAX_BOUNDARY}}}", boundary):
        raise InvalidRequest(
            f"Content-Type must name a boundary of 1 to {MAX_BOUNDARY} ASCII characters."
        )
    return boundary


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a response; `pieces` is called when the part is sent."""

    content_type: str
    pieces: Callable[[], Iterable[bytes]]
    size: int | None = None
    location: str | None = None
    content_range: str | None = None

    def head(self, boundary: str) -> bytes:
        """Return the delimiter without the line end before it, and the headers."""
        # Viewers look for `Content-Type:` spelled exactly so.
        lines = [f"--{boundary}", f"Content-Type: {self.content_type}"]
        if self.location is not None:
            lines.append(f"Content-Location: {self.location}")
        if self.size is not None:
            lines.append(f"Content-Length: {self.size}")
        if self.content_range is not None:
            lines.append(f"Content-Range: {self.content_range}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


def new_boundary() -> str:
    """Return a random boundary, which nobody can hide in a file beforehand."""
    return uuid4().hex


def related_content_type(media_type: str, boundary: str) -> str:
    """Return the Content-Type of a multipart/related response."""
    return f'{MULTIPART_RELATED}; type="{media_type}"; boundary={boundary}'


def multipart_related(parts: Iterable[Part], boundary: str) -> Iterator[bytes]:
    """Yield the body, piece by piece."""
    for part in parts:
        yield part.head(boundary)
        yield from part.pieces()
        yield b"\r\n"
    yield _close(boundary)


def related_size(parts: Iterable[Part], boundary: str) -> int | None:
    """Return the size of the body, or None when a part does not know its own."""
    total = len(_close(boundary))
    for part in parts:
        if part.size is None:
            return None
        total += len(part.head(boundary)) + part.size + 2
    return total


def _close(boundary: str) -> bytes:
    """Return the closing delimiter."""
    return f"--{boundary}--\r\n".encode("ascii")
